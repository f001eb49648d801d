"""Read the table's metadata without importing pyiceberg.

That import takes most of the time of a run that finds nothing new. In the default
catalog, a SQLite file, the metadata is a JSON file that can be read directly.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from cclake_common.sqlite import connect_readonly

from cclake_lake.settings import Lake

_LOCATION = """
select metadata_location from iceberg_tables
where catalog_name = ? and table_namespace = ? and table_name = ?
"""
UNREADABLE = (OSError, sqlite3.Error, LookupError, ValueError, TypeError)
"""Errors of `read_metadata` if there is no table in a default catalog."""


def read_metadata(lake: Lake) -> dict[str, Any]:
    """Return the table's current metadata, with the names of Iceberg's specification.

    Raises:
        UNREADABLE: There is no table, or the catalog must be asked.
    """
    path = _metadata_file(lake)
    if not _is_within(path, lake):
        raise LookupError("the table of another folder")
    return dict(orjson.loads(path.read_bytes()))


def origin(lake: Lake) -> Path | None:
    """Return where the table's files are, if not in the folder of its catalog.

    Iceberg writes absolute paths into its files. In a folder that was moved they name
    missing files, and in a copy they name the files of the original.

    Returns:
        The folder of the metadata elsewhere; None if everything is in its place, or if
        that is unknown.
    """
    try:
        path = _metadata_file(lake)
    except UNREADABLE:
        return None
    return None if _is_within(path, lake) else path.parent


def _metadata_file(lake: Lake) -> Path:
    if not lake.is_folder:
        raise LookupError("not the catalog of the default")
    with closing(connect_readonly(lake.catalog_file)) as catalog:
        found = catalog.execute(_LOCATION, (lake.name, lake.namespace, lake.table))
        (location,) = found.fetchone()
    return Path(location.removeprefix("file://"))


def _is_within(path: Path, lake: Lake) -> bool:
    """Return whether a path is in the warehouse, symbolic links resolved."""
    folder = Path(lake.warehouse)
    return path.is_relative_to(folder) or path.resolve().is_relative_to(
        folder.resolve()
    )
