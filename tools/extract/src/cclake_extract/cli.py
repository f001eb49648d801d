"""The command line of extract."""

import gc
import sys
from datetime import datetime
from typing import Annotated

import typer
from cclake_archive.client import open_database
from cclake_common.cli import (
    DATABASE,
    CatalogType,
    CatalogUri,
    Json,
    MongoDb,
    MongoUri,
    Warehouse,
    make_app,
)
from cclake_common.failure import Failure, run
from cclake_lake.settings import Lake

from cclake_extract.mongo import AGAIN, REACH_MS
from cclake_extract.options import address, show
from cclake_extract.outcome import sentence
from cclake_extract.table_cli import app as table_app

app = make_app(
    "Extract new documents from MongoDB into an Apache Iceberg table.",
    epilog="`extract` and `extract --full-backfill` are short for `extract run …`.",
)
app.add_typer(table_app, name="table")

FullBackfill = Annotated[
    bool,
    typer.Option(
        "--full-backfill",
        help="Rebuild the table from all documents, in one commit at the end.",
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        help="Leave out what MongoDB took in before (UTC); for an empty table,"
        " or with --full-backfill.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say how many documents would come.")
]
CareEvery = Annotated[
    int,
    typer.Option(
        min=0,
        envvar="CCLAKE_CARE_EVERY",
        help="Compact and expire after so many small commits; 0: never.",
    ),
]


@app.callback()
def group() -> None:
    """Extract new documents from MongoDB into an Apache Iceberg table."""


@app.command("run")
def run_command(
    full_backfill: FullBackfill = False,
    since: Since = None,
    dry_run: DryRun = False,
    mongo_uri: MongoUri = None,
    mongo_db: MongoDb = DATABASE,
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    care_every: CareEvery = 20,
    json: Json = False,
) -> None:
    """Take over what is new since the last run, each document exactly once."""
    lake = Lake.from_env(
        warehouse=warehouse, catalog_type=catalog_type, catalog_uri=catalog_uri
    )
    uri = address(mongo_uri)
    from cclake_extract import job

    try:
        with open_database(uri, mongo_db, "extract", REACH_MS, AGAIN) as database:
            work = job.Job(lake, database, full_backfill, since, care_every)
            result = work.preview() if dry_run else work.run()
            show(json, result, sentence(result))
    except OSError as error:
        raise Failure(
            f"the lake in {lake.place} can't be written: {error}",
            "make room or fix the path, then run extract again: it resumes",
        ) from error


@app.command("dead-letters")
def dead_letters(
    mongo_uri: MongoUri = None, mongo_db: MongoDb = DATABASE, json: Json = False
) -> None:
    """List the documents that could not become rows, with the reason."""
    from cclake_extract import dead

    uri = address(mongo_uri)
    with open_database(uri, mongo_db, "extract", REACH_MS, AGAIN) as database:
        found = dead.letters(database)
    lines = [f"{one['doc_id']}  {one['at']}  {one['reason']}" for one in found]
    show(json, found, "\n".join(lines) or "no dead letters")


def main() -> None:
    """Run the tool; without a command it is `run`."""
    gc.set_threshold(100_000)  # imports make many objects and no garbage
    first = sys.argv[1] if len(sys.argv) > 1 else "-"
    if first.startswith("-") and first not in ("-h", "--help"):
        sys.argv.insert(1, "run")
    run("extract", app, at_once=True)
