"""Show progress on standard error, if that is a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

# rich is imported only if a bar is shown.
if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bars:
    """One line for each name, in the order in which they are first used."""

    def __init__(self, shown: "Progress | None") -> None:
        self._shown = shown
        self._tasks: dict[str, TaskID] = {}

    @property
    def shown(self) -> bool:
        """Return whether the bars are visible, since a total may cost a query."""
        return self._shown is not None

    def start(self, name: str, total: int | None = None) -> None:
        """Show a line, and how much is to be done if that is known."""
        if self._shown:
            self._shown.update(self._task(name), total=total)

    def advance(self, name: str, count: int = 1) -> None:
        """Add to what is done."""
        if self._shown:
            self._shown.advance(self._task(name), count)

    def move(self, name: str, done: int, total: int) -> None:
        """Set what is done, and how much is to be done."""
        if self._shown:
            self._shown.update(self._task(name), completed=done, total=total)

    def _task(self, name: str) -> "TaskID":
        assert self._shown
        if name not in self._tasks:
            self._tasks[name] = self._shown.add_task(name, total=None)
        return self._tasks[name]


@contextmanager
def bars(unit: str, hidden: bool = False) -> Iterator[Bars]:
    """Show bars while the block runs, and remove them at its end.

    Args:
        unit: What is counted, such as `documents`; numbers of `bytes` are shortened.
        hidden: Show nothing, not even on a terminal.
    """
    if hidden or not sys.stderr.isatty():
        yield Bars(None)
        return
    from rich.console import Console
    from rich.filesize import decimal
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Numbers(ProgressColumn):
        """Count, rate and the time left; without a total, the time passed."""

        def render(self, task: Task) -> Text:
            done = number(task.completed)
            of = f" of {number(task.total)}" if task.total else ""
            rate = f"  {number(task.speed)}/s" if task.speed else ""
            seconds = task.time_remaining if task.total else task.elapsed
            time = f"  {int(seconds // 60)}:{int(seconds % 60):02}" if seconds else ""
            return Text(f"{done}{of}{suffix}{rate}{time}")

    def number(value: float) -> str:
        return decimal(int(value)) if unit == "bytes" else f"{value:,.0f}"

    suffix = f" {unit}" if unit not in ("", "bytes") else ""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), Numbers())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        yield Bars(shown)
