"""Progress on stderr, only where a person is watching."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cclake_publish.bulk import Progress


@contextmanager
def bars() -> Iterator[Progress]:
    """A progress line on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _table, _rows: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("publish {task.completed:,.0f} rows  {task.description}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)

        def advance(table: str, rows: int) -> None:
            shown.update(task, advance=rows, description=table)

        yield advance
