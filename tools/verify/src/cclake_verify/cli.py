"""Command line of verify."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from cclake_common import settings as common
from cclake_common.failure import run
from cclake_common.visible import visible
from cclake_lake.settings import Lake
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

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

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, with every file.")
    ] = False,
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
    mongo_uri: Annotated[
        str | None,
        typer.Option(
            envvar="MONGO_URI",
            show_default="the private mongod",
            help="Address of MongoDB.",
        ),
    ] = None,
    mongo_db: Annotated[
        str, typer.Option(envvar="MONGO_DB", help="Name of the database.")
    ] = "claude_logs",
    this_host: Annotated[
        str | None,
        typer.Option(
            envvar="CCLAKE_HOST",
            show_default="the machine's host name",
            help="Name of this machine; its files are compared with the disk.",
        ),
    ] = None,
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
    sqlite_path: Annotated[
        Path | None,
        typer.Option(
            envvar="SQLITE_PATH",
            show_default="$CCLAKE_HOME/buffer.db",
            help="The buffer, to count the lines that still wait.",
        ),
    ] = None,
    duckdb_path: Annotated[
        Path | None,
        typer.Option(
            envvar="DUCKDB_PATH",
            show_default="$CCLAKE_HOME/analytics.duckdb",
            help="The warehouse.",
        ),
    ] = None,
    export_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="EXPORT_DIR",
            show_default="$CCLAKE_HOME/exports",
            help="Folder of the exports.",
        ),
    ] = None,
    iceberg_warehouse_path: Annotated[
        str | None,
        typer.Option(
            envvar="ICEBERG_WAREHOUSE_PATH",
            show_default="$CCLAKE_HOME/iceberg",
            help="Folder or address of the lake.",
        ),
    ] = None,
) -> None:
    """Prove that every byte of every log is in every store."""
    lake = Lake.from_env(warehouse=iceberg_warehouse_path)
    found = Settings(
        mongo_uri=mongo_uri or common.mongo_uri(),
        mongo_db=mongo_db,
        host=this_host or common.host(),
        roots=common.roots(claude_dir),
        state=common.in_home("VERIFY_STATE", "verify.db", state),
        buffer=common.in_home("SQLITE_PATH", "buffer.db", sqlite_path),
        warehouse=common.in_home("DUCKDB_PATH", "analytics.duckdb", duckdb_path),
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
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("proving files", total=None)
        stores: dict[str, TaskID] = {}

        def advance(store: str, rows: int) -> None:
            if store not in stores:
                stores[store] = progress.add_task(f"reading {store}", total=None)
            progress.advance(stores[store], rows)

        return verify(
            settings,
            only,
            full,
            begin=lambda total: progress.update(task, total=total),
            step=lambda _finding: progress.advance(task),
            advance=advance,
        )


def main() -> None:
    """Run `verify`."""
    run("verify", app)
