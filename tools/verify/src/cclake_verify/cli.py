"""Command line of verify."""

import json
from pathlib import Path
from typing import Annotated

import typer
from cclake_common import settings as common
from cclake_common.cli import (
    DATABASE,
    BufferPath,
    DuckDb,
    ExportDir,
    Json,
    MongoDb,
    MongoUri,
    ThisHost,
    Warehouse,
    make_app,
)
from cclake_common.failure import run
from cclake_common.progress import bars
from cclake_common.visible import visible
from cclake_lake.settings import Lake

from cclake_verify.report import Report
from cclake_verify.run import Settings, verify

HELP = """Prove that every byte of every log is in every store.

The quick proof reads what is new. The documents of each file that changed or grew
must cover it without gap or overlap, and must hash to the bytes on disk if the file
still exists. MongoDB, Iceberg, DuckDB and the exports must hold the same lines by
name and number, and the same tokens and costs. Each data file of Iceberg must exist
and have its size. Content that was proven before is not read again.

The full proof (--full) reads everything: every file and document, every row of
Iceberg and DuckDB, the tokens of gold against a recount, and every table of the
exports against gold.

Exit status: 0 the proof holds, 1 it does not, 75 a store does not answer.

\b
Examples:
  verify
  verify --full --json | jq '.findings[] | select(.status != "proven")'
"""

app = make_app()


@app.command(help=HELP)
def main_command(
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Read everything again, and compare the content of every store.",
        ),
    ] = False,
    only: Annotated[
        str | None, typer.Option("--host", help="Prove the files of this host only.")
    ] = None,
    as_json: Json = False,
    grace: Annotated[
        float,
        typer.Option(
            envvar="VERIFY_GRACE_S",
            help="Maximum seconds that ingestion may take; a file that is not archived"
            " this long after its last change fails the proof.",
        ),
    ] = 300.0,
    side_files: Annotated[
        bool,
        typer.Option(
            envvar="CCLAKE_SIDE_FILES",
            help="Whether the side files of sessions are archived as well.",
        ),
    ] = True,
    mongo_uri: MongoUri = None,
    mongo_db: MongoDb = DATABASE,
    this_host: ThisHost = None,
    claude_dir: Annotated[
        str | None,
        typer.Option(
            envvar="CLAUDE_DIR",
            show_default="~/.claude/projects",
            help="Folders with logs, separated by ':'.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            envvar="VERIFY_STATE",
            show_default="$CCLAKE_HOME/verify.db",
            help="Cache of earlier proofs.",
        ),
    ] = None,
    sqlite_path: BufferPath = None,
    duckdb: DuckDb = None,
    export_dir: ExportDir = None,
    warehouse: Warehouse = None,
) -> None:
    """Prove that every byte of every log is in every store."""
    lake = Lake.from_env(warehouse=warehouse)
    found = Settings(
        mongo_uri=mongo_uri or common.mongo_uri(),
        mongo_db=mongo_db,
        host=this_host or common.host(),
        roots=common.roots(claude_dir),
        state=common.in_home("VERIFY_STATE", "verify.db", state),
        buffer=common.in_home("SQLITE_PATH", "buffer.db", sqlite_path),
        warehouse=common.in_home("DUCKDB_PATH", "analytics.duckdb", duckdb),
        exports=common.in_home("EXPORT_DIR", "exports", export_dir),
        lake=lake,
        grace=grace,
        side_files=side_files,
    )
    report = _with_progress(found, only, full)
    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        print("\n".join(map(visible, report.lines())))
    if not report.holds:
        raise typer.Exit(1)


def _with_progress(settings: Settings, only: str | None, full: bool) -> Report:
    with bars("") as shown:
        return verify(
            settings,
            only,
            full,
            begin=lambda total: shown.start("proving files", total),
            step=lambda _finding: shown.advance("proving files"),
            advance=lambda store, rows: shown.advance(f"reading {store}", rows),
        )


def main() -> None:
    """Run `verify`."""
    run("verify", app)
