"""A progress bar on standard error, for people."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cclake_tailer.engine import Engine


@contextmanager
def progress(engine: Engine) -> Iterator[Callable[[], None]]:
    """Show how much is read while the block runs, if a person can see it.

    Yields:
        To be called now and then.
    """
    # Both on the terminal would be written into one another.
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress, TransferSpeedColumn

    columns = (*Progress.get_default_columns(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading logs", total=None)
        calls = 0

        def show() -> None:
            nonlocal calls
            calls += 1
            if calls % 50 == 1:
                done = engine.counters.bytes_read_total
                bar.update(task, completed=done, total=done + engine.behind())

        yield show
