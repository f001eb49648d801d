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
from cclake_common.settings import mongo_uri as default_uri
from cclake_lake.settings import Lake

from cclake_extract.mongo import HINT, REACH_MS
from cclake_extract.outcome import sentence
from cclake_extract.output import show
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
        help="Skip what MongoDB stored before this time (UTC); for an empty table,"
        " or with --full-backfill.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Count the new documents; extract nothing."),
]
MaintainEvery = Annotated[
    int,
    typer.Option(
        min=0,
        envvar="CCLAKE_MAINTAIN_EVERY",
        help="Number of small commits after which to compact and expire; 0: never.",
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
    maintain_every: MaintainEvery = 20,
    json: Json = False,
) -> None:
    """Extract what is new since the last run, each document exactly once."""
    lake = Lake.from_env(
        warehouse=warehouse, catalog_type=catalog_type, catalog_uri=catalog_uri
    )
    uri = mongo_uri or default_uri()
    from cclake_extract.run import Run

    try:
        with open_database(uri, mongo_db, "extract", REACH_MS, HINT) as database:
            work = Run(lake, database, full_backfill, since, maintain_every)
            result = work.preview() if dry_run else work.execute()
            show(json, result, sentence(result))
    except OSError as error:
        raise Failure(
            f"the lake in {lake.place} can't be written: {error}",
            "Free some space or fix the path, then run extract again: it resumes.",
        ) from error


@app.command("dead-letters")
def dead_letters(
    mongo_uri: MongoUri = None, mongo_db: MongoDb = DATABASE, json: Json = False
) -> None:
    """List the documents that can't be extracted, with the reason."""
    from cclake_extract.dead_letters import list_letters

    uri = mongo_uri or default_uri()
    with open_database(uri, mongo_db, "extract", REACH_MS, HINT) as database:
        found = list_letters(database)
    lines = [f"{one['doc_id']}  {one['at']}  {one['reason']}" for one in found]
    show(json, found, "\n".join(lines) or "no dead letters")


def main() -> None:
    """Run the tool; without a command, `run`."""
    gc.set_threshold(100_000)  # imports create many objects and no garbage
    first = sys.argv[1] if len(sys.argv) > 1 else "-"
    if first.startswith("-") and first not in ("-h", "--help", "--version"):
        sys.argv.insert(1, "run")
    run("extract", app, at_once=True)
