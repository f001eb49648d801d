"""A progress bar on standard error, for people."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cclake_tailer.file_server import FileServer


@contextmanager
def progress(server: FileServer) -> Iterator[Callable[[], None]]:
    """Show how much is read while the block runs, if standard error is a terminal.

    Yields:
        A function to call after each turn.
    """
    # Records and bar would overwrite each other on one terminal.
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
                done = server.counters.bytes_read_total
                bar.update(task, completed=done, total=done + server.backlog_bytes())

        yield show
