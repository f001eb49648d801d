"""Do MongoDB, Iceberg, DuckDB and the exports hold the same entries?"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from cclake_common.failure import TRY_LATER, Failure
from cclake_lake.catalog import DAMAGED
from cclake_lake.lake import Lake
from pymongo.database import Database

from cclake_verify.documents import Document
from cclake_verify.gold import (
    Gold,
    read_duckdb_export,
    read_sqlite_export,
    read_warehouse,
)
from cclake_verify.lake import Bronze, open_bronze
from cclake_verify.memory import Memory, Sum
from cclake_verify.sums import sum_of

SAME, ABSENT, OLDER, DIFFERENT = "same", "absent", "older", "different"
NOTHING = Sum()
ICEBERG, BEHIND = "iceberg", ("duckdb", "export (SQLite)", "export (DuckDB)")
UNREADABLE = (Failure, *DAMAGED, OSError, sqlite3.Error, duckdb.Error)
SQLITE_NAME, DUCKDB_NAME = "conversations.db", "analytics.duckdb"


@dataclass(frozen=True, slots=True)
class StoreFinding:
    """What verify says of one store, compared with the one before it.

    Attributes:
        status: `same`, `absent` (nothing was written yet), `older` (a later run has to
            bring it up to date first) or `different`.
        held: What it holds.
        expected: What the store before it holds up to the same point.
        note: The point that it has reached, or what is wrong.
    """

    store: str
    status: str
    held: Sum = NOTHING
    expected: Sum = NOTHING
    note: str = ""


class Stores:
    """The chain of stores behind MongoDB."""

    def __init__(self, db: Database[Document], memory: Memory, full: bool) -> None:
        self.db, self.memory, self.full = db, memory, full

    def compare(self, lake: Lake, warehouse: Path, exports: Path) -> list[StoreFinding]:
        """Compare each store with the one that it was made from."""
        try:
            bronze = open_bronze(lake)
            if bronze is None:
                return [StoreFinding(name, ABSENT) for name in (ICEBERG, *BEHIND)]
            runs = self._runs(bronze)
        except UNREADABLE as error:
            return [_unreadable(ICEBERG, error), *_uncompared(BEHIND, ICEBERG)]
        return [
            self._iceberg(bronze, total(runs)),
            *_duckdb(bronze, runs, warehouse, exports),
        ]

    def documents(self) -> StoreFinding:
        """All documents: they are for ever, so their number never falls."""
        count = self.db.conversations.count_documents({}, hint="_id_")
        before = self.memory.sum("mongodb", "")
        self.memory.remember_sum("mongodb", "", Sum(entries=count))
        fewer = count < before.entries
        return StoreFinding(
            "mongodb",
            DIFFERENT if fewer else SAME,
            Sum(entries=count),
            before if fewer else Sum(entries=count),
            f"{before.entries - count} documents have vanished" if fewer else "",
        )

    def _runs(self, bronze: Bronze) -> list[Sum]:
        """Sums up to what is remembered, then of each newer run."""
        source = f"iceberg {bronze.id}"
        known = Sum() if self.full else self.memory.sum("iceberg", source)
        if known.reached > bronze.run:
            known = Sum()  # the table was rolled back
        runs = [known, *bronze.sums(known.reached)]
        self.memory.remember_sum("iceberg", source, total(runs))
        return runs

    def _iceberg(self, bronze: Bronze, held: Sum) -> StoreFinding:
        expected = self._mongo_up_to(bronze)
        note = f"run {bronze.run}"
        status = SAME if held.same_entries(expected) else DIFFERENT
        rows = held.entries + held.parts
        if bronze.records is not None and bronze.records != rows:
            status = DIFFERENT
            note += f"; its snapshot counts {bronze.records} rows, not {rows}"
        return StoreFinding("iceberg", status, held, expected, note)

    def _mongo_up_to(self, bronze: Bronze) -> Sum:
        """What MongoDB holds up to the watermarks of the snapshot."""
        sums = [
            self._buffer_up_to(bronze.id, buffer, watermark)
            for buffer, watermark in sorted(bronze.watermarks.items())
        ]
        return replace(total(sums), reached=bronze.run)

    def _buffer_up_to(self, lake: str, buffer: str, watermark: int) -> Sum:
        source = f"{lake} {buffer}"
        known = Sum() if self.full else self.memory.sum("mongodb", source)
        count = self.db.conversations.count_documents(
            {"buffer": buffer, "seq": {"$lte": watermark}}
        )
        span = {"$gt": known.reached, "$lte": watermark}
        new = sum_of(self._identities({"buffer": buffer, "seq": span}), watermark)
        if known.reached > watermark or known.entries + new.entries != count:
            whole = {"buffer": buffer, "seq": {"$lte": watermark}}
            known, new = Sum(), sum_of(self._identities(whole), watermark)
        found = known + new
        self.memory.remember_sum("mongodb", source, found)
        return found

    def _identities(self, condition: Document) -> Iterator[tuple[str, int]]:
        salvaged = {"$size": {"$ifNull": ["$salvaged", []]}}
        found = self.db.conversations.aggregate(
            [{"$match": condition}, {"$project": {"n": salvaged}}], batchSize=50_000
        )
        with found:
            for document in found:
                yield bytes(document["_id"]).hex(), document["n"]


def total(sums: Iterable[Sum]) -> Sum:
    """All sums together."""
    return sum(sums, Sum())


def _duckdb(
    bronze: Bronze, runs: list[Sum], warehouse: Path, exports: Path
) -> Iterator[StoreFinding]:
    try:
        found = read_warehouse(warehouse)
        if found is None:
            yield from (StoreFinding(name, ABSENT) for name in BEHIND)
            return
        if found.entries.reached < runs[0].reached:
            runs = bronze.sums(0)
    except UNREADABLE as error:
        yield _unreadable(BEHIND[0], error)
        yield from _uncompared(BEHIND[1:], BEHIND[0])
        return
    yield _against(runs, found.entries)
    for name, read, file in (
        (BEHIND[1], read_sqlite_export, SQLITE_NAME),
        (BEHIND[2], read_duckdb_export, DUCKDB_NAME),
    ):
        try:
            yield _export(name, read(exports / file), found.gold)
        except UNREADABLE as error:
            yield _unreadable(name, error)


def _unreadable(store: str, error: Exception) -> StoreFinding:
    """A damaged store is what a proof is there to find.

    Raises:
        Failure: It only has to be asked later.
    """
    if isinstance(error, Failure) and error.code == TRY_LATER:
        raise error
    said = str(error).strip() or type(error).__name__
    return StoreFinding(
        store, DIFFERENT, note=f"cannot be read: {said.splitlines()[0]}"
    )


def _uncompared(stores: Iterable[str], with_what: str) -> list[StoreFinding]:
    note = f"not compared: {with_what} cannot be read"
    return [StoreFinding(store, DIFFERENT, note=note) for store in stores]


def _against(runs: list[Sum], held: Sum) -> StoreFinding:
    """DuckDB against the lake's entries up to the run that DuckDB has loaded."""
    note = f"run {held.reached}"
    expected = total(run for run in runs if run.reached <= held.reached)
    newest = total(runs).reached
    status = SAME if held.same_entries(expected) else DIFFERENT
    if status == SAME and held.reached < newest:
        status, note = OLDER, f"{note} of {newest}"
    return StoreFinding("duckdb", status, held, expected, note)


def _export(name: str, export: Gold | None, gold: Gold) -> StoreFinding:
    """An export against the gold tables that it was made from."""
    if export is None:
        return StoreFinding(name, ABSENT)
    note = f"run {export.run}"
    if export.run != gold.run:
        return StoreFinding(
            name, OLDER, export.messages, gold.messages, f"{note} of {gold.run}"
        )
    uneven = sorted(
        table
        for table in gold.rows.keys() | export.rows.keys()
        if gold.rows.get(table) != export.rows.get(table)
    )
    same = not uneven and export.messages.same_entries(gold.messages)
    if uneven:
        note = f"rows differ in {', '.join(uneven)}"
    return StoreFinding(
        name, SAME if same else DIFFERENT, export.messages, gold.messages, note
    )
