"""Find out whether files of the table are missing or corrupt.

A power failure can leave a table like that.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cclake_common.failure import Failure
from cclake_common.visible import visible_lines
from cclake_lake.catalog import (
    DAMAGED,
    answering,
    damaged,
    find_table,
    open_catalog,
    require_table,
)
from cclake_lake.settings import Lake
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec

from cclake_extract.schema import create_table


@contextmanager
def explained(lake: Lake) -> Iterator[None]:
    """Raise a failure that names the damage, the catalog or S3 as the cause.

    Raises:
        Failure: The work failed, and the table can't be read.
    """
    try:
        with answering(lake):
            yield
    except DAMAGED as error:
        if found := damage(lake):
            raise damaged(lake, found) from error
        raise


def damage(lake: Lake) -> Exception | None:
    """Return why the head can't be read, or None if it can or is not on this disk.

    Its metadata and manifests are read, and each data file must exist with its full
    size.

    Raises:
        Failure: The catalog does not answer, or the folder was moved.
    """
    if not lake.is_folder:
        return None
    try:
        table = find_table(lake)
    except Failure as failure:
        if isinstance(failure.__cause__, DAMAGED):
            return failure.__cause__
        raise
    if table is None:
        return None
    try:
        for task in table.scan().plan_files():
            size = len(table.io.new_input(task.file.file_path))
            if size != task.file.file_size_in_bytes:
                return EOFError(f"{task.file.file_path} has {size:,} bytes")
    except DAMAGED as error:
        return error
    return None


def forget_damaged(lake: Lake) -> None:
    """Replace an unreadable table by an empty one.

    It keeps its partitions, unless its metadata is what can't be read. The files of the
    old one stay until they are deleted as orphans.
    """
    if found := damage(lake):
        said = visible_lines(f"extract: {damaged(lake, found)}: it is rebuilt")
        print(said, file=sys.stderr)
        spec = _partitions(lake)
        catalog = open_catalog(lake)
        catalog.drop_table(lake.identifier)
        create_table(lake, catalog, spec)


def _partitions(lake: Lake) -> PartitionSpec:
    try:
        return require_table(lake).spec()
    except Failure:
        return UNPARTITIONED_PARTITION_SPEC
