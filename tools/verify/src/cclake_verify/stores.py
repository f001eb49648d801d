"""Compare each store with the one before: MongoDB, Iceberg, DuckDB, gold, exports."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
from adbc_driver_manager import dbapi as adbc
from cclake_archive.client import Document
from cclake_common.failure import TRY_LATER, Failure
from cclake_lake.catalog import DAMAGED
from cclake_lake.settings import Lake
from pymongo.database import Database

from cclake_verify.checksums import Checksum, checksum_of
from cclake_verify.content import (
    SEQ_RANGE,
    Content,
    Group,
    Groups,
    differing,
    read_bronze,
    read_documents,
    read_raw,
)
from cclake_verify.exports import DuckExport, Export, attached, opened
from cclake_verify.gold import (
    Copy,
    Table,
    entries,
    inconsistencies,
    is_whole,
    measure,
    open_duckdb,
    tables_of,
)
from cclake_verify.lake import Bronze, open_bronze
from cclake_verify.proof_cache import ProofCache
from cclake_verify.recount import recount

SAME, ABSENT, OLDER, DIFFERENT = "same", "absent", "older", "different"
NOTHING = Checksum()
MONGODB, ICEBERG, DUCKDB, GOLD = "mongodb", "iceberg", "duckdb", "gold"
SQLITE_EXPORT, DUCKDB_EXPORT = "export (SQLite)", "export (DuckDB)"
AFTER_LAKE = (DUCKDB, GOLD, SQLITE_EXPORT, DUCKDB_EXPORT)
UNREADABLE = (
    Failure, *DAMAGED, OSError, sqlite3.Error, duckdb.Error, adbc.Error,
    pa.ArrowException,
)  # fmt: skip
SQLITE_NAME, DUCKDB_NAME = "conversations.db", "analytics.duckdb"
# Called with the name of what is read and the number of rows just read.
Advance = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class StoreFinding:
    """The result for one store, compared with the one before it.

    Attributes:
        status: `same`, `absent` (nothing was written yet), `older` (the next run brings
            it up to date) or `different`.
        held: The checksum of this store.
        expected: The checksum of the store before it, up to the same point.
        note: The point that it has reached, or what is wrong.
    """

    store: str
    status: str
    held: Checksum = NOTHING
    expected: Checksum = NOTHING
    note: str = ""


class Stores:
    """The chain of stores, beginning with MongoDB.

    Args:
        db: The database of the archive.
        cache: Earlier proofs.
        full: Compare the content of every store, and do not use the cache.
        advance: Called with the name of a store and the number of rows just read.
    """

    def __init__(
        self,
        db: Database[Document],
        cache: ProofCache,
        full: bool,
        advance: Advance = lambda _store, _rows: None,
    ) -> None:
        self.db, self.cache, self.full, self.advance = db, cache, full, advance
        self._ranges: Groups = defaultdict(Group)
        self._unknown_files: set[str] = set()

    def compare(
        self, lake: Lake, warehouse: Path, exports: Path, broken: int = 0
    ) -> list[StoreFinding]:
        """Compare each store with the one that it was built from.

        Args:
            lake: Where the Iceberg table is.
            warehouse: The DuckDB file.
            exports: The folder of the exports.
            broken: Number of files whose documents do not prove them.
        """
        lines, runs = self._lines(lake)
        return [
            self._documents(broken),
            lines,
            *self._warehouse(lines, runs, warehouse, exports),
        ]

    def _documents(self, broken: int) -> StoreFinding:
        """Check the number of documents, which may never fall."""
        count = self.db.conversations.count_documents({}, hint="_id_")
        before = self.cache.sum(MONGODB, "")
        self.cache.store_sum(MONGODB, "", Checksum(entries=count))
        fewer = count < before.entries
        faults = []
        if fewer:
            faults.append(f"{before.entries - count} documents were deleted")
        if stray := self.db.conversations.count_documents({"buffer": None}):
            faults.append(f"{stray:,} documents name no buffer")
        known = {str(one["_id"]) for one in self.db.files.find({}, {"_id": 1})}
        if unknown := self._unknown_files - known:
            faults.append(f"it has documents of {len(unknown):,} unknown files")
        if broken:
            faults.append(f"its documents do not prove {broken:,} files")
        return StoreFinding(
            MONGODB,
            DIFFERENT if faults else SAME,
            Checksum(entries=count),
            before if fewer else Checksum(entries=count),
            "; ".join(faults),
        )

    def _lines(self, lake: Lake) -> tuple[StoreFinding, "_Runs | None"]:
        """Check the Iceberg table; also return the runs that DuckDB must have."""
        try:
            bronze = open_bronze(lake)
            if bronze is None:
                return StoreFinding(ICEBERG, ABSENT), None
            damage = bronze.find_damage()
        except UNREADABLE as error:
            return _unreadable(ICEBERG, error), None
        try:
            runs = self._runs(bronze)
        except UNREADABLE as error:
            found = _unreadable(ICEBERG, error)
            return replace(found, note="; ".join((*damage, found.note))), None
        return self._iceberg(bronze, runs, damage), runs

    def _runs(self, bronze: Bronze) -> "_Runs":
        """Return the cached checksum and one of each newer run, or read everything."""
        source = f"iceberg {bronze.id}"
        if self.full:
            content = read_bronze(
                bronze.batches(), lambda rows: self.advance("Iceberg", rows)
            )
            sums = [content.sums[run] for run in sorted(content.sums)]
            runs = _Runs(bronze, [Checksum(), *sums], content)
        else:
            known = self.cache.sum(ICEBERG, source)
            if known.reached > bronze.run:
                known = Checksum()  # the table was rolled back
            runs = _Runs(bronze, [known, *bronze.sums(known.reached)])
        self.cache.store_sum(ICEBERG, source, total(runs.sums))
        return runs

    def _iceberg(
        self, bronze: Bronze, runs: "_Runs", damage: list[str]
    ) -> StoreFinding:
        held = total(runs.sums)
        expected = self._mongo_up_to(bronze)
        faults = list(damage)
        rows = held.entries + held.parts
        if bronze.records is not None and bronze.records != rows:
            faults.append(f"its snapshot counts {bronze.records} rows, not {rows}")
        if (listed := sum(task.file.record_count for task in bronze.files)) != rows:
            faults.append(f"its manifests count {listed} rows, not {rows}")
        if runs.content:
            faults += self._content_faults(runs.content)
        same = held.same_entries(expected) and not faults
        note = "; ".join((f"run {bronze.run}", *faults))
        return StoreFinding(ICEBERG, SAME if same else DIFFERENT, held, expected, note)

    def _content_faults(self, content: Content) -> Iterator[str]:
        if content.wrong:
            yield (
                f"{content.wrong:,} rows contradict their doc_id or entry:"
                f" {', '.join(content.examples)}"
            )
        if odd := differing(self._ranges, content.ranges):
            buffer, number = odd[0]
            first = number * SEQ_RANGE + 1
            yield (
                f"rows differ from the documents in {len(odd):,} groups; the first"
                f" is {buffer[:8]} {first:,}-{first + SEQ_RANGE - 1:,}"
            )

    def _mongo_up_to(self, bronze: Bronze) -> Checksum:
        """Return the checksum of MongoDB up to the watermarks of the snapshot."""
        known = {str(one["_id"]) for one in self.db.files.find({}, {"_id": 1})}
        sums = []
        for buffer, watermark in sorted(bronze.watermarks.items()):
            if self.full:
                sums.append(self._read_buffer(bronze.id, buffer, watermark, known))
            else:
                sums.append(self._buffer_up_to(bronze.id, buffer, watermark))
        return replace(total(sums), reached=bronze.run)

    def _read_buffer(
        self, lake: str, buffer: str, watermark: int, known: set[str]
    ) -> Checksum:
        condition = {"buffer": buffer, "seq": {"$lte": watermark}}
        found, unknown = read_documents(
            self.db,
            condition,
            known,
            self._ranges,
            lambda rows: self.advance("MongoDB", rows),
        )
        self._unknown_files |= unknown
        found = replace(found, reached=watermark)
        self.cache.store_sum(MONGODB, f"{lake} {buffer}", found)
        return found

    def _buffer_up_to(self, lake: str, buffer: str, watermark: int) -> Checksum:
        source = f"{lake} {buffer}"
        known = self.cache.sum(MONGODB, source)
        count = self.db.conversations.count_documents(
            {"buffer": buffer, "seq": {"$lte": watermark}}
        )
        span = {"$gt": known.reached, "$lte": watermark}
        new = checksum_of(self._identities({"buffer": buffer, "seq": span}), watermark)
        if known.reached > watermark or known.entries + new.entries != count:
            whole = {"buffer": buffer, "seq": {"$lte": watermark}}
            known, new = Checksum(), checksum_of(self._identities(whole), watermark)
        found = known + new
        self.cache.store_sum(MONGODB, source, found)
        return found

    def _identities(self, condition: Document) -> Iterator[tuple[str, int]]:
        salvaged = {"$size": {"$ifNull": ["$salvaged", []]}}
        found = self.db.conversations.aggregate(
            [{"$match": condition}, {"$project": {"n": salvaged}}], batchSize=50_000
        )
        with found:
            for document in found:
                yield bytes(document["_id"]).hex(), document["n"]

    def _warehouse(
        self,
        lines: StoreFinding,
        runs: "_Runs | None",
        warehouse: Path,
        exports: Path,
    ) -> Iterator[StoreFinding]:
        if lines.status == ABSENT or not warehouse.exists():
            yield from (StoreFinding(name, ABSENT) for name in AFTER_LAKE)
            return
        try:
            with closing(open_duckdb(warehouse)) as connection:
                held = entries(connection)
                loaded = self._loaded(connection, held, runs) if held else None
        except UNREADABLE as error:
            yield _unreadable(DUCKDB, error)
            yield from _uncompared(AFTER_LAKE[1:], DUCKDB)
            return
        if held is None or loaded is None:
            yield from (StoreFinding(name, ABSENT) for name in AFTER_LAKE)
            return
        yield loaded
        try:
            with closing(open_duckdb(warehouse)) as connection:
                found = self._gold(connection, held.reached, exports)
        except UNREADABLE as error:
            yield _unreadable(GOLD, error)
            yield from _uncompared(AFTER_LAKE[2:], GOLD)
            return
        yield from found

    def _loaded(
        self,
        connection: duckdb.DuckDBPyConnection,
        held: Checksum,
        runs: "_Runs | None",
    ) -> StoreFinding:
        """Compare DuckDB with the lake, up to the last run that was loaded."""
        if runs is None:
            (found,) = _uncompared([DUCKDB], ICEBERG)
            return found
        if held.reached < runs.sums[0].reached:
            try:
                runs = replace(runs, sums=runs.bronze.sums(0))
            except UNREADABLE:
                (found,) = _uncompared([DUCKDB], ICEBERG)
                return found
        expected = total(run for run in runs.sums if run.reached <= held.reached)
        newest = total(runs.sums).reached
        faults = []
        if runs.content:
            loaded = {
                run: group
                for run, group in runs.content.runs.items()
                if run <= held.reached
            }
            if odd := differing(loaded, read_raw(connection)):
                faults.append(f"content differs in {_listed('run', odd)}")
        same = held.same_entries(expected) and not faults
        note = f"run {held.reached}"
        if same and held.reached < newest:
            note += f" of {newest}"
            return StoreFinding(DUCKDB, OLDER, held, expected, note)
        note = "; ".join((note, *faults))
        return StoreFinding(DUCKDB, SAME if same else DIFFERENT, held, expected, note)

    def _gold(
        self, connection: duckdb.DuckDBPyConnection, run: int, exports: Path
    ) -> list[StoreFinding]:
        """Compare gold with itself and the raw entries, and the exports with gold."""
        tables = tables_of(connection)
        if not tables:
            return [StoreFinding(name, ABSENT) for name in AFTER_LAKE[1:]]
        if not is_whole(connection):
            note = "incomplete; the next run completes it"
            return [StoreFinding(name, OLDER, note=note) for name in AFTER_LAKE[1:]]
        gold = measure(connection, tables, "marts")
        gold.run = run
        faults = inconsistencies(connection)
        if self.full and any(table.name == "fct_api_responses" for table in tables):
            faults += recount(connection, lambda rows: self.advance("raw", rows))
        with ExitStack() as stack:
            copies = _ExportComparison(
                connection, tables, gold, self.full, self.advance
            )
            lite, duck = exports / SQLITE_NAME, exports / DUCKDB_NAME
            copies.read(SQLITE_EXPORT, lite, lambda: stack.enter_context(opened(lite)))
            copies.read(
                DUCKDB_EXPORT,
                duck,
                lambda: stack.enter_context(attached(connection, duck)),
            )
            copies.compare()
            faults += copies.gold_faults
            found = copies.findings
        note = "; ".join((f"run {run}", *faults))
        status = DIFFERENT if faults else SAME
        own = StoreFinding(GOLD, status, gold.messages, gold.messages, note)
        return [own, found[SQLITE_EXPORT], found[DUCKDB_EXPORT]]


@dataclass(frozen=True)
class _Runs:
    """The extraction runs of the table; only the full proof sets `content`."""

    bronze: Bronze
    sums: list[Checksum]
    content: Content | None = None


class _ExportComparison:
    """Compare the exports with gold, table by table.

    If both exports agree with each other but not with gold, gold has changed since it
    was published.

    Attributes:
        gold_faults: Sentences on such changes of gold.
        findings: The finding on each export.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: list[Table],
        gold: Copy,
        full: bool,
        advance: Advance,
    ) -> None:
        self._marts = DuckExport(connection, "marts")
        self._tables = {table.name: table for table in tables}
        self._gold, self._full, self._advance = gold, full, advance
        self._exports: dict[str, tuple[Export, Copy]] = {}
        self._faults: dict[str, list[str]] = {}
        self.gold_faults: list[str] = []
        self.findings: dict[str, StoreFinding] = {}

    def read(self, name: str, path: Path, export: Callable[[], Export]) -> None:
        """Measure an export, if it exists and is from the same run as gold."""
        if not path.exists():
            self.findings[name] = StoreFinding(name, ABSENT)
            return
        try:
            opened = export()
            found = opened.measures(self._tables.values())
            faults = opened.find_damage() if self._full else []
        except UNREADABLE as error:
            self.findings[name] = _unreadable(name, error)
            return
        if found.run != self._gold.run or not self._is_one_with_others(found):
            # Of another publication: it is whole where it is what it says of itself.
            note = f"run {found.run} of {self._gold.run}"
            self.findings[name] = StoreFinding(
                name, DIFFERENT if faults else OLDER, found.messages,
                self._gold.messages, "; ".join((note, *faults)),
            )  # fmt: skip
            return
        self._exports[name] = opened, found
        self._faults[name] = faults

    def _is_one_with_others(self, found: Copy) -> bool:
        """Return whether an export is of the same publication as those read before."""
        mine = found.info.get("export_id")
        others = [other.info.get("export_id") for _, other in self._exports.values()]
        return all(other == mine for other in others)

    def compare(self) -> None:
        """Compare the exports that were read with gold, and with each other."""
        uneven: dict[str, list[str]] = defaultdict(list)
        names = {
            table
            for _export, found in self._exports.values()
            for table in found.tables.keys() | self._gold.tables.keys()
        }
        for table in sorted(names):
            self._advance(f"table {table}", 1)
            odd = [name for name in self._exports if not self._is_same(name, table)]
            if len(odd) > 1 and self._agree(odd, table):
                self.gold_faults.append(
                    f"{table} differs from both exports, which agree"
                )
                odd = []
            for name in odd:
                uneven[name].append(table)
        for name, (_export, found) in self._exports.items():
            faults = self._faults[name]
            if uneven[name]:
                faults.append(f"differs from gold in {', '.join(uneven[name])}")
            same = not faults and found.messages.same_entries(self._gold.messages)
            self.findings.setdefault(
                name,
                StoreFinding(
                    name,
                    SAME if same or (self.gold_faults and not faults) else DIFFERENT,
                    found.messages,
                    self._gold.messages,
                    "; ".join((f"run {found.run}", *faults)),
                ),
            )

    def _is_same(self, name: str, table: str) -> bool:
        export, found = self._exports[name]
        mine, theirs = self._gold.tables.get(table), found.tables.get(table)
        if mine is None or not mine.is_like(theirs):
            return False
        if not self._full or name in self.findings:
            return True
        shape = self._tables[table]
        exact = name == DUCKDB_EXPORT
        try:
            digest = export.digest(shape, exact)
        except UNREADABLE as error:
            self.findings[name] = _unreadable(name, error)
            return True
        return self._marts.digest(shape, exact) == digest

    def _agree(self, names: list[str], table: str) -> bool:
        """Return whether two exports have equal tables."""
        (first, one), (second, other) = (self._exports[name] for name in names)
        mine, theirs = one.tables.get(table), other.tables.get(table)
        if mine is None or not mine.is_like(theirs):
            return False
        shape = self._tables.get(table)
        if not self._full or shape is None:
            return True
        try:
            return first.digest(shape, False) == second.digest(shape, False)
        except UNREADABLE:
            return False


def buffer_finding(queued: int, faults: list[str]) -> StoreFinding:
    """Return the finding on the buffer, which comes before all stores."""
    held = Checksum(entries=queued)
    return StoreFinding(
        "buffer", DIFFERENT if faults else SAME, held, held, "; ".join(faults)
    )


def total(sums: Iterable[Checksum]) -> Checksum:
    """Add up checksums."""
    return sum(sums, Checksum())


def _unreadable(store: str, error: Exception) -> StoreFinding:
    """Return the finding on a store that can't be read.

    Raises:
        Failure: The store is only locked or unavailable now.
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


def _listed(what: str, keys: list[int]) -> str:
    shown = ", ".join(map(str, keys[:5]))
    return f"{what} {shown}" + (f" and {len(keys) - 5:,} more" if keys[5:] else "")
