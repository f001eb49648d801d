"""The answer to "anything new?" without loading the lake's libraries.

Importing pyiceberg is most of what a load costs that finds nothing. Where the
catalog is the SQLite file of the default, the head can be read plainly.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import orjson

from cclake_load import raw
from cclake_load.lake import Lake
from cclake_load.names import BASE, RUN
from cclake_load.outcome import NOTHING, Outcome

HEAD = """
select metadata_location from iceberg_tables
where catalog_name = ? and table_namespace = ? and table_name = ?
"""


def nothing_new(lake: Lake, path: Path) -> dict[str, Any] | None:
    """The outcome of a load that would find nothing; None when it must look itself.

    Args:
        lake: The table.
        path: The DuckDB file.
    """
    try:
        table = _metadata(lake)
        if not path.exists():
            return None
        with duckdb.connect(str(path), read_only=True) as db:
            at, rows = raw.position(db), raw.count(db)
            if not raw.is_complete(db) or not _stands_at(table, at):
                return None
    except (OSError, sqlite3.Error, duckdb.Error, LookupError, ValueError, TypeError):
        return None
    return Outcome(
        NOTHING, 0, 0, rows, at.run, at.snapshot_id, at.load_id, at.born
    ).as_dict()


def _stands_at(table: dict[str, Any], at: raw.Position) -> bool:
    """Whether the head has no rows that a load to this position lacks."""
    line = list(_lineage(table))
    newest: dict[str, str] = next(
        (s["summary"] for s in line if RUN in s["summary"]), {}
    )
    return (
        at.table_uuid == table["table-uuid"]
        and any(snapshot["snapshot-id"] == at.snapshot_id for snapshot in line)
        and int(newest[RUN]) <= at.run
        and int(newest.get(BASE, 0)) <= at.run
    )


def _lineage(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kept = {snapshot["snapshot-id"]: snapshot for snapshot in table["snapshots"]}
    snapshot = kept.get(table["current-snapshot-id"])
    while snapshot:
        yield snapshot
        snapshot = kept.get(snapshot.get("parent-snapshot-id"))


def _metadata(lake: Lake) -> dict[str, Any]:
    if lake.catalog_type != "sql" or lake.catalog_uri or "://" in lake.warehouse:
        raise LookupError("not the catalog of the default")
    file = Path(lake.warehouse) / "catalog.db"
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as catalog:
        found = catalog.execute(HEAD, (lake.name, lake.namespace, lake.table))
        (location,) = found.fetchone()
    return dict(orjson.loads(Path(location.removeprefix("file://")).read_bytes()))
