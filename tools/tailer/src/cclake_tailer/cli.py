"""The command line of tailer."""

import gc
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from cclake_common import failure, settings
from cclake_common.stop import Stop, die_with_parent

from cclake_tailer.catalog import Catalog, shown
from cclake_tailer.compare import REST
from cclake_tailer.counters import Counters
from cclake_tailer.engine import Engine
from cclake_tailer.follow import Follower, Pace
from cclake_tailer.held import raise_limit
from cclake_tailer.once import read_once
from cclake_tailer.output import Output
from cclake_tailer.progress import progress
from cclake_tailer.reader import Reader
from cclake_tailer.resume import load
from cclake_tailer.tree import Walker, is_folder

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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
        help="Folder with logs; several times for several. "
        "CLAUDE_DIR holds them with ':' in between.",
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
        help="Go on as files grow, or end when all is read.",
    ),
]
Resume = Annotated[
    list[Path] | None,
    typer.Option(
        envvar="CCLAKE_RESUME",
        metavar="FILE",
        help="Checkpoint records of an earlier run, '-' for standard input: "
        "what they cover is not read again. Of several, the last that knows a "
        "file counts.",
    ),
]
SideFiles = Annotated[
    bool,
    typer.Option(
        envvar="CCLAKE_SIDE_FILES",
        help="Also archive the files of sessions that are not logs.",
    ),
]
Rest = Annotated[
    float,
    typer.Option(
        envvar="CCLAKE_REST_SECONDS",
        min=0,
        metavar="SECONDS",
        help="A last line without newline is read when its file rested so long.",
    ),
]
Rescan = Annotated[
    float,
    typer.Option(
        envvar="CCLAKE_RESCAN_SECONDS",
        min=0.1,
        metavar="SECONDS",
        help="Following: shortest pause between safety scans.",
    ),
]
PollSeconds = Annotated[
    float,
    typer.Option(
        envvar="CCLAKE_POLL_SECONDS",
        min=0.05,
        metavar="SECONDS",
        help="Following: pause between scans where inotify can't tell of changes.",
    ),
]
Compare = Annotated[
    float,
    typer.Option(
        "--compare-seconds",
        envvar="CCLAKE_COMPARE_SECONDS",
        min=0,
        metavar="SECONDS",
        help="Compare a file that has grown with what was read of it, once it has "
        "not changed for this long.",
    ),
]
Poll = Annotated[
    bool,
    typer.Option("--poll", envvar="CCLAKE_POLL", help="Following: don't use inotify."),
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

    Reads all *.jsonl files below the roots, history.jsonl beside them, and the other
    files in the folders of sessions. After each run of lines of a file, a checkpoint
    record says how far the file was read. Given back with --resume it is where the
    next run goes on, whatever was renamed, truncated, rewritten or deleted in between.
    Nothing is ever written to disk.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Whoever reads a record finds its entry one level deeper than it stood here.
    sys.setrecursionlimit(800)
    roots = [str(Path(each).absolute()) for each in root or settings.roots()]
    for each in roots:
        if shown(each) != each:
            raise failure.Failure(
                f"the name of {shown(each)} is not UTF-8", "Give a link to it instead."
            )
    catalog = Catalog(host or settings.host(), list(dict.fromkeys(roots)))
    stop = Stop()
    raise_limit()
    # What is known of files lives long, is much, and holds no cycles.
    gc.set_threshold(100_000)
    if follow:
        die_with_parent()
    for source in resume or ():
        load(str(source), catalog)
    counters = Counters()
    out = Output(sys.stdout.fileno())
    engine = Engine(catalog, Reader(out, counters), counters, compare_seconds)
    if follow:
        pace = Pace(rest_seconds, rescan_seconds, poll_seconds)
        Follower(engine, out, counters, pace, side_files, stop).run(poll)
        return
    missing = [each for each in catalog.roots if not is_folder(each)]
    if missing:
        raise failure.Failure(
            f"no folder {missing[0]}", "Name the folder with --root or CLAUDE_DIR."
        )
    walker = Walker(side_files, engine.trouble)
    with progress(engine) as show:
        read_once(engine, walker, rest_seconds, stop, show)
    out.flush()
    if stop:
        raise typer.Exit(failure.INTERRUPTED)
    if engine.refused:
        (place, why), count = min(engine.refused.items()), len(engine.refused)
        raise failure.Failure(
            f"{count} could not be read; the first is {place.full} ({why})",
            "All else was read; when that is mended, run it again with --resume.",
        )


def main() -> None:
    """The console script."""
    failure.run("tailer", app)
