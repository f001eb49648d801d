"""The table's metadata without the lake's libraries.

Importing pyiceberg is most of what a run costs that finds nothing. Where the catalog is
the SQLite file of the default, the metadata can be read plainly.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from cclake_lake.lake import Lake

_LOCATION = """
select metadata_location from iceberg_tables
where catalog_name = ? and table_namespace = ? and table_name = ?
"""
UNREADABLE = (OSError, sqlite3.Error, LookupError, ValueError, TypeError)
"""What `metadata` raises where the table is not there, or not of the default kind."""


def metadata(lake: Lake) -> dict[str, Any]:
    """The table's metadata as it is now, in the words of Iceberg's specification.

    Raises:
        UNREADABLE: Ask the catalog instead.
    """
    if not lake.is_local or "://" in lake.warehouse:
        raise LookupError("not the catalog of the default")
    uri = f"{lake.catalog_file.as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as catalog:
        found = catalog.execute(_LOCATION, (lake.name, lake.namespace, lake.table))
        (location,) = found.fetchone()
    return dict(orjson.loads(Path(location.removeprefix("file://")).read_bytes()))
