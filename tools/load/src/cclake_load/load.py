"""Run one load by the options of `load`."""

from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from cclake_common.failure import TRY_LATER, Failure
from cclake_common.settings import half_of_memory
from cclake_lake.metadata import UNREADABLE
from cclake_lake.settings import Lake

from cclake_load import head, raw
from cclake_load.outcome import NOTHING
from cclake_load.target import Target, Unknown
from cclake_load.warehouse import open_database

LOADS = """
select
    load_id, mode, extract_run, snapshot_id, rows, removed,
    strftime(loaded_at at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ') as loaded_at
from raw.loads
order by load_id desc
limit 10
"""
MEMORY = "500MB"


@dataclass
class Load:
    """One load with its options.

    Attributes:
        lake: The lake that has the table.
        path: The DuckDB file.
        memory: DuckDB's memory limit, such as `1GB`. None: 500 MB, or half of the
            machine's memory if that is too little.
        wait: Maximum seconds to wait for a locked file.
    """

    lake: Lake
    path: Path
    memory: str | None = None
    wait: float = 30.0

    def run(self, full: bool, as_of: str | None) -> dict[str, Any]:
        """Bring DuckDB to the head, or to `as_of`; return the outcome.

        Raises:
            Failure: The file is locked, or the snapshot is missing or unreadable.
        """
        if not (full or as_of):
            found = head.check(self.lake, self.path)
            if isinstance(found, dict):
                return found
            if found:  # an error is repeated, and reported, below
                with suppress(Unknown, duckdb.Error, *UNREADABLE):
                    return self._load(found, full, self.memory or MEMORY)
        # Importing these takes most of the start of a load.
        from cclake_lake.catalog import DAMAGED, answering, find_table

        from cclake_load.snapshot import target_of

        table = find_table(self.lake)
        if table is None and as_of:
            raise Failure("there is no table yet", "Run `extract` first.")
        try:
            with answering(self.lake):
                target = target_of(table, as_of) if table else None
        except (*DAMAGED, OSError) as error:
            raise _unreadable(error) from error
        # DuckDB writes 2,048 lines at once, whatever their length.
        limits = [self.memory] if self.memory else [MEMORY, half_of_memory()]
        for memory in limits:
            try:
                guard = answering(self.lake)
                return self._load(target, full, memory, (*DAMAGED, OSError), guard)
            except duckdb.Error as error:
                if "Corrupt database file" in str(error):
                    raise self._damaged(error) from error
                if not _is_memory(error):
                    raise _unreadable(error) from error
        raise Failure(
            f"{limits[-1]} of memory is too little for this load",
            "Set a higher --memory-limit or CCLAKE_LOAD_MEMORY.",
        )

    def _load(
        self,
        target: Target | None,
        full: bool,
        memory: str,
        damaged: tuple[type[Exception], ...] = (),
        guard: AbstractContextManager[None] | None = None,
    ) -> dict[str, Any]:
        from cclake_load import loader

        with open_database(self.path, memory, self.wait) as db:
            try:
                with guard or nullcontext():
                    return loader.load(db, target, full).as_dict()
            except damaged as error:
                raise _unreadable(error) from error

    def _damaged(self, error: duckdb.Error) -> Failure:
        return Failure(
            f"{self.path} is damaged: {str(error).splitlines()[0]}",
            "Move it away and run `just pipeline`, which rebuilds it from the lake.",
        )

    def stats(self) -> dict[str, Any]:
        """Return what is loaded now; change nothing.

        Raises:
            Failure: The file is locked, or is not a DuckDB file.
        """
        nothing = {"total": 0, "extract_run": 0, "snapshot_id": None, "bytes": 0}
        if not self.path.exists():
            return {**nothing, "loads": []}
        memory = self.memory or MEMORY
        with open_database(self.path, memory, self.wait, read=True) as db:
            try:
                at = raw.position(db)
            except duckdb.CatalogException:  # a file that was never loaded into
                return {**nothing, "loads": []}
            result = db.execute(LOADS)
            names = [column[0] for column in result.description]
            loads = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
            return {
                "total": raw.count(db),
                "extract_run": at.run,
                "snapshot_id": at.snapshot_id,
                "bytes": self.path.stat().st_size,
                "loads": loads,
            }


def _is_memory(error: duckdb.Error) -> bool:
    """Return whether memory was too little; a commit says so only in its message."""
    said = ("Out of Memory", "failed to pin block", "could not allocate block")
    return isinstance(error, duckdb.OutOfMemoryException) or any(
        words in str(error) for words in said
    )


def _unreadable(error: Exception) -> Failure:
    if "No space left" in str(error):
        return Failure(
            f"the disk is full: {str(error).splitlines()[0]}",
            "Free some space and run load again; nothing has changed.",
            TRY_LATER,
        )
    said = str(error).strip() or type(error).__name__
    return Failure(
        f"a file of the lake can't be read: {said.splitlines()[0]}",
        "Run load again; if that fails, `extract --full-backfill` rebuilds the lake"
        " from MongoDB.",
    )


def text(result: dict[str, Any]) -> str:
    """Return the outcome for a person."""
    if result.get("loads") == []:
        return "nothing is loaded"
    if "loads" in result:
        lines = [f"{result['total']:,} rows up to run {result['extract_run']}"]
        for one in result["loads"]:
            at = one["loaded_at"].replace("T", " ")[:19]
            lines.append(
                f"{at}Z  {one['mode']:<11}"
                f" run {one['extract_run']}: {one['rows']:,} rows added,"
                f" {one['removed']:,} deleted"
            )
        return "\n".join(lines)
    if result["mode"] == NOTHING:
        return f"nothing new; {result['total']:,} rows"
    removed = f", {result['removed']:,} deleted" if result["removed"] else ""
    return (
        f"{result['rows']:,} rows added{removed} ({result['mode']});"
        f" {result['total']:,} rows up to run {result['extract_run']}"
    )
