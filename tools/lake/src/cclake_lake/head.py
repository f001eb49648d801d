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
    path = _metadata_file(lake)
    if not _is_within(path, lake):
        raise LookupError("the table of another folder")
    return dict(orjson.loads(path.read_bytes()))


def origin(lake: Lake) -> Path | None:
    """Where the table's files are, if that is not in the folder of its catalog.

    Iceberg writes whole paths into its files: a folder that was moved leads to files
    that are gone, and one that was copied to those of the first one.

    Returns:
        The folder of the metadata elsewhere; None where all is in its place, or where
        that can't be told.
    """
    try:
        path = _metadata_file(lake)
    except UNREADABLE:
        return None
    return None if _is_within(path, lake) else path.parent


def _metadata_file(lake: Lake) -> Path:
    if not lake.is_folder:
        raise LookupError("not the catalog of the default")
    uri = f"{lake.catalog_file.as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as catalog:
        found = catalog.execute(_LOCATION, (lake.name, lake.namespace, lake.table))
        (location,) = found.fetchone()
    return Path(location.removeprefix("file://"))


def _is_within(path: Path, lake: Lake) -> bool:
    """Whether a path is in the warehouse, under whatever name of its folders."""
    folder = Path(lake.warehouse)
    return path.is_relative_to(folder) or path.resolve().is_relative_to(
        folder.resolve()
    )
