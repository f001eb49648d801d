"""The answer to "anything new?" without loading the lake's libraries.

Importing pyiceberg is most of what a run costs that finds nothing. Where the
catalog is the SQLite file of the default, the watermarks can be read plainly.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from cclake_extract.lake import Lake
from cclake_extract.mongo import behind
from cclake_extract.names import RUN, WATERMARKS
from cclake_extract.outcome import Outcome

HEAD = """
select metadata_location from iceberg_tables
where catalog_name = ? and table_namespace = ? and table_name = ?
"""


def nothing_new(lake: Lake, acked: dict[str, int]) -> dict[str, Any] | None:
    """The outcome of a run that would find nothing; None when it must look itself.

    Args:
        lake: The table.
        acked: How far each buffer is acknowledged.
    """
    try:
        head = _head(lake)
        summary = head["summary"]
        marks: dict[str, int] = orjson.loads(summary[WATERMARKS])
        run = int(summary[RUN])
    except (OSError, sqlite3.Error, LookupError, ValueError, TypeError):
        return None
    if behind(acked, marks):
        return None
    outcome = Outcome(run=run, snapshot_id=head["snapshot-id"], watermarks=marks)
    outcome.ahead = sorted(b for b, seq in marks.items() if seq > acked.get(b, 0))
    return outcome.as_dict() | {"care": None}


def _head(lake: Lake) -> dict[str, Any]:
    if lake.catalog_type != "sql" or lake.catalog_uri or "://" in lake.warehouse:
        raise LookupError("not the catalog of the default")
    file = Path(lake.warehouse) / "catalog.db"
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as catalog:
        found = catalog.execute(HEAD, (lake.name, lake.namespace, lake.table))
        (location,) = found.fetchone()
    metadata = orjson.loads(Path(location).read_bytes())
    (head,) = (
        snapshot
        for snapshot in metadata["snapshots"]
        if snapshot["snapshot-id"] == metadata["current-snapshot-id"]
    )
    return dict(head)
