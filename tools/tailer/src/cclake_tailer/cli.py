"""Command line of tailer."""

import gc
import itertools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from cclake_common import failure, settings
from cclake_common.cli import make_app
from cclake_common.progress import Bars, bars
from cclake_common.stop import Stop, die_with_parent

from cclake_tailer.compare import REST
from cclake_tailer.counters import Counters
from cclake_tailer.discovery import Walker, is_folder
from cclake_tailer.fd_cache import raise_fd_limit
from cclake_tailer.file_server import FileServer
from cclake_tailer.follow import Follower, Pace
from cclake_tailer.once import read_once
from cclake_tailer.output import Output
from cclake_tailer.reader import Reader
from cclake_tailer.registry import Registry, load_checkpoints, shown

app = make_app()

EPILOG = """\b
Examples:
  tailer | jq -r 'select(.kind == "line") | .entry.type' | sort | uniq -c
  tailer | gzip > backup.jsonl.gz
  tailer --follow --resume <(buffer checkpoints) | buffer append
"""

Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder with logs; may be repeated. "
        "CLAUDE_DIR lists several, separated by ':'.",
        show_default="CLAUDE_DIR, else ~/.claude/projects",
    ),
]
Host = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of this machine in the records.",
        show_default="CCLAKE_HOST, else the host name",
    ),
]
Follow = Annotated[
    bool,
    typer.Option(
        "--follow/--once",
        envvar="CCLAKE_FOLLOW",
        help="Keep reading as files grow, or exit when everything is read.",
    ),
]
Resume = Annotated[
    list[Path] | None,
    typer.Option(
        envvar="CCLAKE_RESUME",
        metavar="FILE",
        help="File with the checkpoint records of an earlier run, or '-' for standard "
        "input; what they cover is not read again. May be repeated: for each file, "
        "the last checkpoint counts.",
    ),
]
SideFiles = Annotated[
    bool,
    typer.Option(
        envvar="CCLAKE_SIDE_FILES",
        help="Also archive the side files of sessions.",
    ),
]
Rest = Annotated[
    float,
    typer.Option(
        envvar="CCLAKE_REST_SECONDS",
        min=0,
        metavar="SECONDS",
        help="Read a last line without a newline once its file has not changed for "
        "this long.",
    ),
]
Rescan = Annotated[
    float,
    typer.Option(
        envvar="CCLAKE_RESCAN_SECONDS",
        min=0.1,
        metavar="SECONDS",
        help="With --follow: minimum pause between safety scans.",
    ),
]
PollSeconds = Annotated[
    float,
    typer.Option(
        envvar="CCLAKE_POLL_SECONDS",
        min=0.05,
        metavar="SECONDS",
        help="With --follow: pause between scans where inotify does not work.",
    ),
]
Compare = Annotated[
    float,
    typer.Option(
        "--compare-seconds",
        envvar="CCLAKE_COMPARE_SECONDS",
        min=0,
        metavar="SECONDS",
        help="Compare a file that has grown with what was read of it once it has not "
        "changed for this long.",
    ),
]
Poll = Annotated[
    bool,
    typer.Option(
        "--poll", envvar="CCLAKE_POLL", help="With --follow: do not use inotify."
    ),
]


@app.command(epilog=EPILOG)
def tailer(
    root: Roots = None,
    host: Host = None,
    follow: Follow = False,
    resume: Resume = None,
    side_files: SideFiles = True,
    rest_seconds: Rest = 30.0,
    rescan_seconds: Rescan = 60.0,
    poll_seconds: PollSeconds = 2.0,
    compare_seconds: Compare = REST,
    poll: Poll = False,
) -> None:
    """Print every line of Claude Code's conversation logs as a JSON record.

    Reads all *.jsonl files below the roots, history.jsonl beside them, and the side
    files of sessions. After each group of lines of a file, a checkpoint record says how
    far the file was read. The next run continues from there with --resume, even if
    files were renamed, truncated, rewritten or deleted in between. Writes nothing to
    disk.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    roots = [str(Path(each).absolute()) for each in root or settings.roots()]
    for each in roots:
        if shown(each) != each:
            raise failure.Failure(
                f"the name of {shown(each)} is not UTF-8",
                "Name a symbolic link to it instead.",
            )
    registry = Registry(host or settings.host(), list(dict.fromkeys(roots)))
    stop = Stop()
    raise_fd_limit()
    # Checkpoints are many, live long and contain no reference cycles.
    gc.set_threshold(100_000)
    if follow:
        die_with_parent()
    for source in resume or ():
        load_checkpoints(str(source), registry)
    counters = Counters()
    out = Output(sys.stdout.fileno())
    server = FileServer(registry, Reader(out, counters), counters, compare_seconds)
    if follow:
        pace = Pace(rest_seconds, rescan_seconds, poll_seconds)
        Follower(server, out, counters, pace, side_files, stop).run(poll)
        return
    missing = [each for each in registry.roots if not is_folder(each)]
    if missing:
        raise failure.Failure(
            f"no folder {missing[0]}", "Name the folder with --root or CLAUDE_DIR."
        )
    walker = Walker(side_files, server.note_error)
    # Records and bar would overwrite each other on one terminal.
    with bars("bytes", hidden=sys.stdout.isatty()) as reading:
        read_once(server, walker, rest_seconds, stop, _progress(server, reading))
    out.flush()
    if stop:
        raise typer.Exit(failure.INTERRUPTED)
    if server.refused:
        (place, why), count = min(server.refused.items()), len(server.refused)
        raise failure.Failure(
            f"{count} could not be read; the first is {place.full} ({why})",
            "Everything else was read. Fix that, then run it again with --resume.",
        )


def _progress(server: FileServer, reading: Bars) -> Callable[[], None]:
    """Return what to call after each turn; it shows every fiftieth."""
    turns = itertools.count()

    def show() -> None:
        if reading.shown and not next(turns) % 50:
            done = server.counters.bytes_read_total
            reading.move("Reading logs", done, done + server.backlog_bytes())

    return show


def main() -> None:
    """Run the console script."""
    failure.run("tailer", app)
