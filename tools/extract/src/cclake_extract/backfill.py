"""Rebuilding the whole table from MongoDB in one commit."""

from collections.abc import Iterator
from datetime import datetime

from cclake_lake.lake import Lake
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction
from pymongo.database import Database

from cclake_extract import mongo
from cclake_extract.bronze import ensure_table
from cclake_extract.commit import assert_unmoved, commit, replace
from cclake_extract.dead import DeadLetters
from cclake_extract.names import LAST_RUN
from cclake_extract.outcome import Outcome
from cclake_extract.reader import Reader
from cclake_extract.run import Advance, Document, finish
from cclake_extract.state import State, last_run

BLOCK = 100


def backfill(
    lake: Lake,
    database: Database[Document],
    since: datetime | None = None,
    advance: Advance = lambda _: None,
) -> Outcome:
    """Write every acknowledged document again and put it in place of the table.

    Readers see the old table until the one commit at the end, and the old
    snapshots stay for time travel until they expire.

    Args:
        lake: The table.
        database: Where the documents are.
        since: Leave out what MongoDB ingested before this moment.
        advance: Called with the number of documents read.
    """
    table = ensure_table(lake, lake.catalog())
    ranges = mongo.behind(mongo.acknowledged(database), {})
    extra = {"ingestedAt": {"$gte": since}} if since else None
    dead, files, outcome, marks = DeadLetters(database), [], Outcome(), dict[str, int]()
    for piece in Reader(database, dead, advance, extra).pieces(
        table, ranges, {}, numbers(table)
    ):
        dead.write()
        marks = piece.watermarks
        outcome.rows += piece.rows
        if piece.file:
            files.append(piece.file)
    outcome.dead = dead.count

    def state() -> State:
        base = last_run(table) + 1
        return State(marks, base, base)

    table.refresh()
    replace(table, lambda: live_files(table), files, state)
    outcome.commits = 1
    return finish(table, database, outcome)


def live_files(table: Table) -> list[DataFile]:
    """The data files of the head."""
    return [task.file for task in table.scan().plan_files()]


def numbers(table: Table) -> Iterator[int]:
    """Rising numbers for the files of a rebuild, that no other run gives to its rows.

    They are taken `BLOCK` at a time: an extraction that commits meanwhile goes on
    above them, and those that are left over are never given.
    """
    while True:
        first = _reserve(table, BLOCK)
        yield from range(first, first + BLOCK)


def _reserve(table: Table, count: int) -> int:
    """Take the next numbers; returns the first."""
    first = 0

    def attempt(transaction: Transaction) -> None:
        nonlocal first
        first = last_run(table) + 1
        transaction.set_properties({LAST_RUN: str(first + count - 1)})
        assert_unmoved(table, transaction)

    table.refresh()
    commit(table, attempt)
    return first
