"""Rebuild the whole table from MongoDB in one commit."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime

from cclake_archive.client import Document
from cclake_archive.watermarks import acknowledged
from cclake_lake.catalog import open_catalog
from cclake_lake.properties import LAST_RUN
from cclake_lake.settings import Lake
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction
from pymongo.database import Database

from cclake_extract import mongo
from cclake_extract.commit import (
    assert_files_exist,
    commit,
    refresh,
    remove,
    replace,
    require_same_head,
)
from cclake_extract.data_files import data_file
from cclake_extract.incremental import finish
from cclake_extract.outcome import Outcome
from cclake_extract.reader import Advance, Source
from cclake_extract.schema import ensure_table
from cclake_extract.signals import defer_sigint
from cclake_extract.splits import max_splits
from cclake_extract.watermark import State, last_run


def backfill(
    lake: Lake,
    database: Database[Document],
    since: datetime | None = None,
    advance: Advance = lambda _: None,
) -> Outcome:
    """Read every acknowledged document again and replace the content of the table.

    Readers see the old table until the one commit at the end, and the old
    snapshots stay for time travel until they expire.

    Args:
        lake: The table.
        database: Where the documents are.
        since: Leave out what MongoDB ingested before this moment.
        advance: Called with the number of documents read.
    """
    table = ensure_table(lake, open_catalog(lake))
    ranges = mongo.missing_ranges(acknowledged(database), {})
    extra = {"ingestedAt": {"$gte": since}} if since else None
    source = Source(database, advance, extra)
    outcome, files = Outcome(commits=1), list[DataFile]()
    runs = _reserve(table, max_splits(ranges))
    with (
        _removed_on_failure(table, files),
        closing(source.read(table, ranges, iter(runs))) as found,
    ):
        for _, piece in found:
            outcome.rows += piece.rows
            outcome.dead += piece.dead
            with defer_sigint():
                piece.taken = True
                files += [data_file(table, file) for file in piece.files]

    def state() -> State:
        base = last_run(table) + 1
        return State({buffer: seq for buffer, _, seq in ranges}, base, base)

    refresh(table)
    assert_files_exist(table, files)
    replace(table, lambda: live_files(table), files, state)
    return finish(table, database, outcome)


@contextmanager
def _removed_on_failure(table: Table, files: list[DataFile]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        remove(table, (file.file_path for file in files))
        raise


def live_files(table: Table) -> list[DataFile]:
    """Return the data files of the head."""
    return [task.file for task in table.scan().plan_files()]


def _reserve(table: Table, count: int) -> range:
    """Reserve the next run numbers, so that no other run uses them."""
    first = 0

    def attempt(transaction: Transaction) -> None:
        nonlocal first
        first = last_run(table) + 1
        transaction.set_properties({LAST_RUN: str(first + count - 1)})
        require_same_head(table, transaction)

    refresh(table)
    commit(table, attempt)
    return range(first, first + count)
