"""A table whose files are missing or corrupt, for example after a power failure."""

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
)
from cclake_lake.settings import Lake


@contextmanager
def told(lake: Lake) -> Iterator[None]:
    """Name the damage, the catalog or S3 where one is the reason of an error.

    Raises:
        Failure: Something failed, and the table can't be read.
    """
    try:
        with answering(lake):
            yield
    except DAMAGED as error:
        if found := damage(lake):
            raise damaged(lake, found) from error
        raise


def damage(lake: Lake) -> Exception | None:
    """Why the head can't be read; None where it can, or where it is not on this disk.

    Its metadata and its manifests are read, and each data file must be there with all
    its bytes.

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
    """Take a table that can't be read out of the catalog, so that it is recreated.

    Its files stay until they are taken for orphans.
    """
    if found := damage(lake):
        said = visible_lines(f"extract: {damaged(lake, found)}: it is rebuilt")
        print(said, file=sys.stderr)
        open_catalog(lake).drop_table(lake.identifier)
