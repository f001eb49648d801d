"""List the files that a table needs, and those in its folder."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pyarrow.fs import FileSelector, FileSystem, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import read_manifest_list
from pyiceberg.table import Table

from cclake_lake.catalog import DAMAGED


@dataclass(frozen=True)
class Found:
    """A file in the folder of the table."""

    path: str
    bytes: int
    modified: datetime


def reachable(table: Table, lists: Iterable[str]) -> set[str]:
    """Return manifest lists, and the manifests and data files that they name."""
    paths: set[str] = set()
    for path in lists:
        _follow(table, path, paths)
    return paths


def readable_from(table: Table, lists: Iterable[str]) -> set[str]:
    """Return what `reachable` does, without what can't be read.

    Use it for expired snapshots, whose files are deleted one by one.
    """
    paths: set[str] = set()
    for path in lists:
        _follow(table, path, paths, (OSError, *DAMAGED))
    return paths


def _follow(
    table: Table, path: str, paths: set[str], skip: tuple[type[Exception], ...] = ()
) -> None:
    """Add a manifest list and all files that it names; ignore errors in `skip`."""
    paths.add(path)
    with contextlib.suppress(*skip):
        for manifest in read_manifest_list(table.io.new_input(path)):
            if manifest.manifest_path in paths:
                continue
            paths.add(manifest.manifest_path)
            with contextlib.suppress(*skip):
                for entry in manifest.fetch_manifest_entry(table.io):
                    paths.add(entry.data_file.file_path)


def needed(table: Table) -> set[str]:
    """Return every file that the table needs now, its metadata files included."""
    metadata = table.metadata
    paths = reachable(table, (one.manifest_list for one in metadata.snapshots))
    paths.add(table.metadata_location)
    paths.update(entry.metadata_file for entry in metadata.metadata_log)
    paths.update(one.statistics_path for one in metadata.statistics)
    return paths


def present(table: Table, folder: str = "") -> list[Found]:
    """Return all files in the table's folder, with paths as the table writes them."""
    location = table.location().rstrip("/") + (f"/{folder}" if folder else "")
    system, root = _system(table, location)
    listed = system.get_file_info(
        FileSelector(root, recursive=True, allow_not_found=True)
    )
    return [
        Found(
            path=location + info.path[len(root) :],
            bytes=info.size or 0,
            modified=info.mtime or datetime.now(UTC),
        )
        for info in listed
        if info.type == FileType.File
    ]


def _system(table: Table, location: str) -> tuple[FileSystem, str]:
    scheme, netloc, path = PyArrowFileIO.parse_location(location)
    io = table.io
    if not isinstance(io, PyArrowFileIO):
        io = PyArrowFileIO(io.properties)
    return io.fs_by_scheme(scheme, netloc), path
