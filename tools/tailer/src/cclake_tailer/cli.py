"""The command line of tailer."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from cclake_common import failure, settings
from cclake_common.stop import Stop, die_with_parent

from cclake_tailer.catalog import Catalog
from cclake_tailer.counters import Counters
from cclake_tailer.engine import Engine
from cclake_tailer.follow import Follower, Pace
from cclake_tailer.held import raise_limit
from cclake_tailer.once import read_once
from cclake_tailer.output import Output
from cclake_tailer.reader import Reader
from cclake_tailer.resume import load
from cclake_tailer.tree import Walker

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = """Examples:

  tailer --once | jq -r 'select(.kind == "line") | .entry.type' | sort | uniq -c

  buffer append < <(tailer --follow --resume <(buffer checkpoints))
"""


@app.command(epilog=EPILOG)
def tailer(
    root: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with logs; may be given several times. "
            "CLAUDE_DIR holds several with ':' between them.",
            show_default="CLAUDE_DIR, else ~/.claude/projects",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Name of this machine in the records.",
            show_default="CCLAKE_HOST, else the host name",
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow/--once",
            envvar="CCLAKE_FOLLOW",
            help="Keep reading as files grow, or end when all is read.",
        ),
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            envvar="CCLAKE_RESUME",
            help="File with checkpoint records of an earlier run, '-' for standard "
            "input: what lies before them is not read again.",
        ),
    ] = None,
    side_files: Annotated[
        bool,
        typer.Option(
            envvar="CCLAKE_SIDE_FILES",
            help="Archive *.meta.json and tool-results/ files, too.",
        ),
    ] = True,
    rest_seconds: Annotated[
        float,
        typer.Option(
            envvar="CCLAKE_REST_SECONDS",
            min=0,
            help="A last line without newline is read when its file has rested.",
        ),
    ] = 30.0,
    rescan_seconds: Annotated[
        float,
        typer.Option(
            envvar="CCLAKE_RESCAN_SECONDS",
            min=0.1,
            help="Pause between safety scans (following).",
        ),
    ] = 60.0,
    poll_seconds: Annotated[
        float,
        typer.Option(
            envvar="CCLAKE_POLL_SECONDS",
            min=0.05,
            help="Pause between scans where the system tells nothing (following).",
        ),
    ] = 2.0,
    poll: Annotated[
        bool, typer.Option("--poll", envvar="CCLAKE_POLL", help="Never use inotify.")
    ] = False,
) -> None:
    """Print every line of Claude Code's conversation logs as a JSON record.

    Reads all *.jsonl files below the roots, and history.jsonl beside them. After
    each run of lines of a file a checkpoint record says how far the file was read;
    given back with --resume it is where the next run goes on, whatever was renamed,
    truncated, rewritten or deleted in between. Nothing is ever written to disk.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Whoever reads a record finds its entry one level deeper than it stood here.
    sys.setrecursionlimit(800)
    roots = [str(Path(each).absolute()) for each in root or settings.roots()]
    catalog = Catalog(host or settings.host(), list(dict.fromkeys(roots)))
    stop = Stop()
    raise_limit()
    if follow:
        die_with_parent()
    if resume is not None:
        load(resume, catalog)
    counters = Counters()
    out = Output(sys.stdout.fileno())
    engine = Engine(catalog, Reader(out, counters), counters)
    if follow:
        pace = Pace(rest_seconds, rescan_seconds, poll_seconds)
        Follower(engine, out, counters, pace, side_files, stop).run(poll)
        return
    missing = [each for each in catalog.roots if not Path(each).is_dir()]
    if missing:
        raise failure.Failure(
            f"no folder {missing[0]}", "Name the folder with --root or CLAUDE_DIR."
        )
    read_once(engine, Walker(side_files, engine.trouble), rest_seconds, stop)
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
