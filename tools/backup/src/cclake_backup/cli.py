"""Command line of backup."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from cclake_common import settings
from cclake_common.cli import DATABASE, Json, MongoDb, MongoUri, make_app
from cclake_common.failure import run
from cclake_common.kept import default_path
from cclake_common.progress import bars
from cclake_common.visible import visible

from cclake_backup.check import check
from cclake_backup.load import load
from cclake_backup.save import Advance, Source, save

HELP = """Save the archive in a folder, load it again, and check what was saved.

Exit status: 0 done, 1 failed, 75 MongoDB does not answer, or another save is running.
"""
SAVE_HELP = """Save what is new since the last save, or everything the first time.

Each save adds a numbered part to the folder, completely or not at all. Parts never
change. If nothing is new, no part is added.

\b
Examples:
  backup save /media/disk/cclake
  backup save /media/disk/cclake --whole
"""
LOAD_HELP = """Load a backup into MongoDB; existing documents stay.

All hashes are checked first. An interrupted load can be run again.
"""
CHECK_HELP = (
    """Compare every file of a backup with its hash, and count the documents."""
)

Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]
Done = TypeVar("Done")

app = make_app(HELP, no_args_is_help=True)


@app.command("save", help=SAVE_HELP)
def save_command(
    folder: Folder,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            help="Save everything; earlier parts may then be deleted.",
        ),
    ] = False,
    as_json: Json = False,
    mongo_uri: MongoUri = None,
    mongo_db: MongoDb = DATABASE,
) -> None:
    """Save what is new."""
    source = Source(
        mongo_uri or settings.mongo_uri(), mongo_db, settings.host(), default_path()
    )
    part = _with_progress("saving", lambda tell: save(source, folder, whole, tell))
    made = part.manifest if part else None
    done = {
        "part": str(part.path) if part else None,
        "whole": bool(made and not made.after),
        "documents": made.documents if made else 0,
        "bytes": made.bytes if made else 0,
    }
    line = "{part}: {documents:,} documents, {bytes:,} bytes" if part else "nothing new"
    _print(done, line, as_json)


@app.command("load", help=LOAD_HELP)
def load_command(
    folder: Folder,
    as_json: Json = False,
    mongo_uri: MongoUri = None,
    mongo_db: MongoDb = DATABASE,
) -> None:
    """Load a backup into MongoDB."""
    uri = mongo_uri or settings.mongo_uri()
    loaded = _with_progress(
        "loading", lambda tell: load(uri, mongo_db, folder, default_path(), tell)
    )
    done = {
        "inserted": loaded.inserted.total(),
        "present": loaded.present.total(),
        "changed": loaded.changed,
        "kept": loaded.kept,
        "collections": {
            name: {"inserted": new, "present": loaded.present[name]}
            for name, new in sorted(loaded.inserted.items())
        },
    }
    line = "{inserted:,} documents inserted, {present:,} existed already"
    _print(done, line, as_json)


@app.command("check", help=CHECK_HELP)
def check_command(folder: Folder, as_json: Json = False) -> None:
    """Compare every file with its hash."""
    done = asdict(_with_progress("checking", lambda tell: check(folder, tell)))
    line = "intact: {documents:,} documents, {bytes:,} bytes, of {saved_at}"
    _print(done, line, as_json)


def _print(done: dict[str, Any], line: str, as_json: bool) -> None:
    print(json.dumps(done) if as_json else visible(line.format(**done)))


def _with_progress(what: str, work: Callable[[Advance], Done]) -> Done:
    with bars("documents") as shown:
        return work(lambda name, count: shown.advance(f"{what} {name}", count))


def main() -> None:
    """Run the console script."""
    run("backup", app, at_once=True)
