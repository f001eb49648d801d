"""Command line of restore."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from cclake_common import settings
from cclake_common.cli import DATABASE, Json, MongoDb, MongoUri, make_app
from cclake_common.failure import Failure, run
from cclake_common.progress import bars
from cclake_common.visible import visible

from cclake_restore.run import Request, Result, restore
from cclake_restore.selection import Selection

HELP = """Recreate the original log files from MongoDB, byte for byte.

Every line is checked against its hash. Nothing is overwritten, and nothing is written
outside the folder. If there are several hosts, or several roots of a host, each gets a
folder of its own.

Exit status: 0 all files were restored, 1 some were not, 75 MongoDB does not answer.

\b
Examples:
  restore --host laptop --out /tmp/projects
  restore --out /tmp/x --session 5f0c0b5e
  restore --out /tmp/x --project /home/me/alpha --dry-run
"""

app = make_app()


@app.command(help=HELP)
def main_command(
    out: Annotated[
        Path | None,
        typer.Option(
            envvar="RESTORE_OUT",
            help="Folder for the files; not needed with --dry-run.",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(envvar="RESTORE_HOST", help="Restore files of this host only."),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            help="Restore one session: its id, as the pages show it, or a file's name"
            " without the extension; the beginning is enough. Includes its folder, and"
            " all files with a line of it, such as forks and subagents."
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(help="Restore one project: the name of its folder, or its path."),
    ] = None,
    generation: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Restore the content before a rewrite; 0 is the oldest. Files"
            " without this generation are left out.",
        ),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(help="Also restore the prompt history, to this file."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be written.")
    ] = False,
    as_json: Json = False,
    mongo_uri: MongoUri = None,
    mongo_db: MongoDb = DATABASE,
) -> None:
    """Recreate the original log files from MongoDB, byte for byte."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if out is None and not dry_run:
        raise Failure("no folder was named", "Name it with --out.", code=2)
    request = Request(
        out=out,
        selection=Selection(session, project),
        host=host,
        history=history,
        generation=generation,
        dry_run=dry_run,
    )
    results = _with_progress(mongo_uri or settings.mongo_uri(), mongo_db, request)
    for result in results:
        print(json.dumps(result.as_dict()) if as_json else _line(result))
    whole = [result for result in results if not result.error]
    verb = "would be restored" if dry_run else "restored"
    size = sum(result.bytes for result in whole)
    print(f"{_files(len(whole))} {verb}, {size:,} bytes", file=sys.stderr)
    failed = sum(bool(result.error) for result in results)
    if failed:
        print(f"restore: not restored: {_files(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def _files(number: int) -> str:
    return f"{number:,} file" if number == 1 else f"{number:,} files"


def _with_progress(uri: str, database: str, request: Request) -> list[Result]:
    results = []
    with bars("files") as shown:
        for result in restore(
            uri, database, request, lambda total: shown.start("restoring", total)
        ):
            results.append(result)
            shown.advance("restoring")
    return results


def _line(result: Result) -> str:
    why = result.error and f"NOT RESTORED: {result.error}"
    note = f"  ({why or result.note})" if why or result.note else ""
    return visible(f"{result.bytes:>14,}  {result.path}{note}")


def main() -> None:
    """Run the console script."""
    run("restore", app)
