"""The `extract table` commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any

import typer
from cclake_common.cli import CatalogType, CatalogUri, Json, Warehouse, make_app
from cclake_common.failure import Failure

from cclake_extract.output import show

app = make_app("Inspect and maintain the Iceberg table.")

MAX_HOURS = 87_600  # ten years
Hours = Annotated[
    float,
    typer.Option(
        "--older-than",
        min=1,
        max=MAX_HOURS,
        help="Minimum age in hours; a running extraction's files are younger.",
    ),
]

ByDay = Annotated[
    bool,
    typer.Option("--by-day", help="Partition by the day of ingestion."),
]
Buckets = Annotated[
    int,
    typer.Option(
        "--buckets",
        min=0,
        max=1_000,
        help="Number of buckets of the session to partition by; 0: none.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Drop it; without this, refuse.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="List the files; delete nothing.")]


def _lake(warehouse: str | None, kind: str | None, uri: str | None) -> Any:
    from cclake_lake.settings import Lake

    return Lake.from_env(warehouse=warehouse, catalog_type=kind, catalog_uri=uri)


@contextmanager
def _table(warehouse: str | None, kind: str | None, uri: str | None) -> Iterator[Any]:
    """Provide the existing table; name its damage as the cause of a failure."""
    from cclake_lake.catalog import require_table

    from cclake_extract.damage import explained

    lake = _lake(warehouse, kind, uri)
    with explained(lake):
        yield require_table(lake)


def _rows(found: list[dict[str, Any]]) -> str:
    """Return rows as aligned columns under their names."""
    if not found:
        return "none"
    names = list(found[0])
    cells = [names] + [["" if v is None else str(v) for v in r.values()] for r in found]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


@app.command()
def info(
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """Show the place, the size and the watermarks of the table."""
    from cclake_extract import inspect

    with _table(warehouse, catalog_type, catalog_uri) as table:
        found = inspect.info(table)
    hidden = ("columns", "properties")
    lines = [f"{k:<15} {v}" for k, v in found.items() if k not in hidden]
    show(json, found, "\n".join(lines))


@app.command()
def snapshots(
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """List the snapshots that you can go back to."""
    from cclake_extract import inspect

    with _table(warehouse, catalog_type, catalog_uri) as table:
        found = inspect.snapshots(table)
    show(json, found, _rows(found))


@app.command()
def files(
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """List the data files of the newest snapshot."""
    from cclake_extract import inspect

    with _table(warehouse, catalog_type, catalog_uri) as table:
        found = inspect.files(table)
    show(json, found, _rows(found))


@app.command()
def history(
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """List the snapshots that became the newest, with the time; with rollbacks."""
    from cclake_extract import inspect

    with _table(warehouse, catalog_type, catalog_uri) as table:
        found = inspect.history(table)
    show(json, found, _rows(found))


@app.command()
def rollback(
    snapshot: Annotated[str, typer.Argument(help="Snapshot id, or a time (UTC).")],
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """Go back to a snapshot; the next extraction reads later lines again."""
    from cclake_extract import inspect
    from cclake_extract.commit import rollback as make_head

    with _table(warehouse, catalog_type, catalog_uri) as table:
        found = inspect.find(table, snapshot)
        make_head(table, found)
        now = inspect.info(table)
    show(json, now, f"the head is snapshot {found.snapshot_id} again")


@app.command()
def compact(
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """Merge small files; no row changes."""
    from dataclasses import asdict

    from cclake_extract.maintenance.compact import compact as merge

    with _table(warehouse, catalog_type, catalog_uri) as table:
        done = merge(table)
    text = f"{done.files} files with {done.rows:,} rows merged into {done.into}"
    show(json, asdict(done), text if done.files else "nothing to merge")


@app.command()
def expire(
    keep: Annotated[int, typer.Option(min=1, help="Number of snapshots to keep.")] = 15,
    grace: Annotated[
        float,
        typer.Option(
            min=0,
            max=MAX_HOURS,
            help="Hours until the files of an expired snapshot are deleted.",
        ),
    ] = 1.0,
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """Expire old snapshots, except one an hour for a day and one a day for a month."""
    from dataclasses import asdict

    from cclake_extract.maintenance.expire import expire as expire_snapshots

    with _table(warehouse, catalog_type, catalog_uri) as table:
        done = expire_snapshots(table, keep, timedelta(hours=grace))
    show(
        json,
        asdict(done),
        f"{done.snapshots} snapshots expired;"
        f" {done.deleted} files of expired snapshots deleted",
    )


@app.command()
def orphans(
    older_than: Hours = 24.0,
    dry_run: Dry = False,
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """Delete files that killed processes left behind."""
    from cclake_extract.maintenance.orphans import orphans as find_orphans
    from cclake_extract.maintenance.orphans import sweep_orphans

    work = find_orphans if dry_run else sweep_orphans
    with _table(warehouse, catalog_type, catalog_uri) as table:
        found = work(table, timedelta(hours=older_than))
    listed = [{"path": f.path, "bytes": f.bytes, "modified": f.modified} for f in found]
    show(json, listed, _rows(listed))


@app.command()
def create(
    by_day: ByDay = False,
    buckets: Buckets = 0,
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """Create an empty table; `extract` creates one without partitions by itself."""
    from cclake_lake.catalog import open_catalog

    from cclake_extract import inspect
    from cclake_extract.damage import explained
    from cclake_extract.partitions import spec_of
    from cclake_extract.schema import SCHEMA, ensure_table

    lake = _lake(warehouse, catalog_type, catalog_uri)
    spec = spec_of(SCHEMA, by_day, buckets) if by_day or buckets else None
    with explained(lake):
        table = ensure_table(lake, open_catalog(lake), spec)
    show(json, inspect.info(table), f"{lake.identifier} is at {table.location()}")


@app.command()
def drop(
    yes: Yes = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete the files, too.")
    ] = False,
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    json: Json = False,
) -> None:
    """Remove the table from the catalog; `extract` rebuilds it from MongoDB."""
    from cclake_lake.catalog import answering, open_catalog, require_table

    lake = _lake(warehouse, catalog_type, catalog_uri)
    require_table(lake)
    if not yes:
        raise Failure(
            f"{lake.identifier} would be dropped", "Give --yes to drop it.", 2
        )
    catalog = open_catalog(lake)
    with answering(lake):
        (catalog.purge_table if purge else catalog.drop_table)(lake.identifier)
    show(json, {"dropped": lake.identifier}, f"{lake.identifier} is dropped")
