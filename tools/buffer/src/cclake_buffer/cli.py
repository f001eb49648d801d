"""Command line of buffer."""

import base64
import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from cclake_common import settings
from cclake_common.cli import BufferPath, Json, make_app
from cclake_common.failure import Failure, run
from cclake_common.stop import Stop, die_with_parent
from cclake_common.visible import visible

from cclake_buffer import dead_letters, inspection
from cclake_buffer.append import Appender
from cclake_buffer.limits import MB, Limits
from cclake_buffer.locks import HostLocks
from cclake_buffer.reader import LineReader
from cclake_buffer.recovery import DAMAGED, open_store, primary_code

HELP = """Keep records in a durable SQLite queue, together with their checkpoints.

Follow the logs, and resume exactly where the last run stopped:

    buffer append < <(tailer --follow --resume <(buffer checkpoints))
"""

app = make_app(HELP, no_args_is_help=True)
letters = make_app("Lines that could not be delivered.", no_args_is_help=True)
app.add_typer(letters, name="dead-letters")


def _path(given: Path | None) -> Path:
    return (given or settings.in_home("SQLITE_PATH", "buffer.db")).expanduser()


@app.command()
def append(
    sqlite_path: BufferPath = None,
    max_mb: Annotated[
        float | None,
        typer.Option(
            envvar="CCLAKE_BUFFER_MAX_MB",
            show_default="512, or a tenth of the free space",
            help="Pause reading while the buffer holds more than this.",
        ),
    ] = None,
    min_free_mb: Annotated[
        float,
        typer.Option(
            envvar="CCLAKE_MIN_FREE_MB",
            help="Pause reading while the disk has less free space than this.",
        ),
    ] = 256,
    allow_gaps: Annotated[
        bool,
        typer.Option(
            envvar="CCLAKE_ALLOW_GAPS",
            help="Accept lines that leave out bytes of their file.",
        ),
    ] = False,
    drain_seconds: Annotated[
        float,
        typer.Option(
            envvar="CCLAKE_DRAIN_SECONDS",
            help="Maximum wait for the end of the pipe after SIGTERM.",
        ),
    ] = 10,
) -> None:
    """Commit the records on standard input, lines together with their checkpoint.

    A checkpoint and its lines are one transaction. Lines whose checkpoint never
    arrives are dropped: the tailer reads them again from the last checkpoint.
    """
    if sys.stdin.isatty():
        raise Failure(
            "standard input is a terminal", "Pipe the output of `tailer` into it."
        )
    die_with_parent()
    stop = Stop()
    store = open_store(_path(sqlite_path))
    cap = int(max_mb * MB) if max_mb is not None else None
    appender = Appender(
        store=store,
        reader=LineReader(sys.stdin.fileno()),
        stop=stop,
        limits=Limits(store, cap, int(min_free_mb * MB)),
        locks=HostLocks(store.path, stop),
        allow_gaps=allow_gaps,
        drain_s=drain_seconds,
    )
    appender.run()
    store.close()
    for kind, count in appender.ignored.items():
        print(f"buffer: {count} records of unknown kind {kind!r}", file=sys.stderr)


@app.command()
def checkpoints(
    sqlite_path: BufferPath = None,
    host: Annotated[
        str | None, typer.Option(help="Print only the files of this host.")
    ] = None,
) -> None:
    """Print the committed checkpoints, for `tailer --resume`.

    Prints nothing if there is no buffer yet, or if it is damaged. `buffer append`
    sets a damaged buffer aside, and everything is read again.
    """
    try:
        found = inspection.checkpoints(_path(sqlite_path), host)
    except sqlite3.DatabaseError as error:
        if primary_code(error) not in DAMAGED:
            raise
        print(f"buffer: no checkpoints: {visible(str(error))}", file=sys.stderr)
        found = []
    if sys.stdout.isatty():
        for record in found:
            print(visible(record.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.writelines(record + b"\n" for record in found)


@app.command()
def status(sqlite_path: BufferPath = None, as_json: Json = False) -> None:
    """Show how many lines wait, since when, and whether the counters add up."""
    found = inspection.status(_path(sqlite_path))
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {number}" for key, number in value.items())
        print(visible(f"{name:<20} {'-' if value is None else value}"))


@app.command()
def peek(
    sqlite_path: BufferPath = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Number of lines.")] = 10,
    as_json: Json = False,
) -> None:
    """Show the oldest waiting lines."""
    rows = inspection.peek(_path(sqlite_path), limit)
    for row in rows:
        print(json.dumps(row) if as_json else _one_line(row))
    if not (rows or as_json):
        print("no lines are waiting")


def _one_line(row: dict[str, Any]) -> str:
    where = f"{row['host']}:{row['path']}@{row['off']}"
    return visible(f"{row['seq']}  {where}  {row['beginning'][:100]}")


@letters.command("list")
def list_letters(sqlite_path: BufferPath = None, as_json: Json = False) -> None:
    """List the dead letters."""
    found = dead_letters.list_all(_path(sqlite_path))
    for letter in found:
        where = f"{letter['host']}:{letter['path']}@{letter['off']}"
        line = f"{letter['id']}  {letter['at']}  {where}  {letter['len']} bytes"
        line += f"  {letter['reason']}"
        print(json.dumps(letter) if as_json else visible(line))
    if not (found or as_json):
        print("no dead letters")


@letters.command("show")
def show_letter(
    letter: Annotated[int, typer.Argument(help="Id of the dead letter.")],
    sqlite_path: BufferPath = None,
    as_json: Json = False,
) -> None:
    """Write the bytes of a dead letter to standard output."""
    found = dead_letters.get(_path(sqlite_path), letter)
    if as_json:
        print(json.dumps(found))
    else:
        body = base64.b64decode(found["body_base64"])
        if sys.stdout.isatty():
            print(visible(body.decode("utf-8", "backslashreplace")))
        else:
            os.write(sys.stdout.fileno(), body + b"\n")


@letters.command("retry")
def retry_letters(
    letter: Annotated[
        int | None,
        typer.Argument(help="Id of the dead letter.", show_default="all of them"),
    ] = None,
    sqlite_path: BufferPath = None,
) -> None:
    """Put dead letters back into the queue."""
    print(dead_letters.retry(_path(sqlite_path), letter))


def _app() -> None:
    try:
        app()
    except sqlite3.Error as error:
        raise Failure(
            f"cannot use the buffer: {error}",
            "Run `buffer append`, which replaces a damaged buffer.",
        ) from error


def main() -> None:
    """Run the console script."""
    run("buffer", _app)
