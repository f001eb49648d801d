"""Which files a table needs, and which lie in its folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pyarrow.fs import FileSelector, FileSystem, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot


@dataclass(frozen=True)
class Found:
    """A file in the folder of the table."""

    path: str
    bytes: int
    modified: datetime


def reachable(table: Table, snapshots: Iterable[Snapshot]) -> set[str]:
    """The data files, manifests and manifest lists that snapshots need."""
    paths: set[str] = set()
    for snapshot in snapshots:
        paths.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in paths:
                continue
            paths.add(manifest.manifest_path)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                paths.add(entry.data_file.file_path)
    return paths


def needed(table: Table) -> set[str]:
    """Everything that the table needs as it is now, its metadata files included."""
    metadata = table.metadata
    paths = reachable(table, metadata.snapshots)
    paths.add(table.metadata_location)
    paths.update(entry.metadata_file for entry in metadata.metadata_log)
    paths.update(one.statistics_path for one in metadata.statistics)
    return paths


def present(table: Table, folder: str = "") -> list[Found]:
    """All files in the table's folder; paths in the form that the table uses."""
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
