"""Publish gold: change the served export, or write a new one beside it."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
from cclake_common.failure import Failure
from cclake_common.settings import half_of_memory

from cclake_publish import duckdb_export, pipeline_runs, served, sqlite_export, update
from cclake_publish.atomic import publisher_lock
from cclake_publish.export_info import Info
from cclake_publish.gold import IMAGE_DATA, MEMORY, Gold, Table, open_gold
from cclake_publish.indexes import BY_SESSION, VIEWS, layout
from cclake_publish.sqlite_writer import Error, Progress, changing

SCHEMA_VERSION = 2
_OUT_OF_MEMORY = "Out of Memory"
_DAMAGED = "malformed"


@dataclass(frozen=True)
class Published:
    """The outcome of a publication.

    Attributes:
        rows: Rows that were written; fewer than there are, when brought up to date.
        tables: Rows of each table.
        mode: `full` or `incremental`.
        seconds: How long it took.
        extract_run: The newest extraction in it.
        sqlite_bytes: Size of conversations.db.
        duckdb_bytes: Size of analytics.duckdb.
    """

    rows: int
    tables: dict[str, int]
    mode: str
    seconds: float
    extract_run: int | None
    sqlite_bytes: int
    duckdb_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


Opening = Callable[[Path, str], AbstractContextManager[Gold]]
"""Opens gold, with a folder for temporary files and a limit of memory."""


def publish(
    source: Path | Opening,
    export_dir: Path,
    *,
    record: Path | None = None,
    full: bool = False,
    copy: bool = False,
    copy_hours: float | None = None,
    progress: Progress = lambda _table, _rows: None,
) -> Published:
    """Bring the export up to date, or write a new one.

    Args:
        source: The database that dbt writes, which is only read; or what opens gold
            that is elsewhere.
        export_dir: Folder of the exports.
        record: The log of pipeline runs; its newest runs are published, too.
        full: Write a new file instead of updating the last export.
        copy: Also write the copy for DuckDB.
        copy_hours: Also write it if it is older than this, or missing.
        progress: Called with a table's name and a number of rows just written.

    Raises:
        Failure: There is no gold, it is incomplete, a writer has it locked, or the
            exports cannot be written.
    """
    begin = time.monotonic()
    opened = partial(open_gold, source) if isinstance(source, Path) else source
    hours = float("inf") if copy_hours is None else copy_hours
    copy = copy or duckdb_export.age(export_dir) > hours * 3600
    with _clear_failures(export_dir), publisher_lock(export_dir) as scratch:

        def attempt(memory: str, full: bool) -> Published:
            with opened(scratch, memory) as gold:
                return _publish(gold, export_dir, record, full, copy, progress, begin)

        try:
            return attempt(MEMORY, full)
        except Error as error:
            if full or _DAMAGED not in str(error):
                raise
            return attempt(MEMORY, True)  # a damaged export cannot be updated
        except (OSError, duckdb.Error) as error:
            if _OUT_OF_MEMORY not in str(error):  # Arrow raises it as an OSError
                raise
            return attempt(half_of_memory(), full)


@contextmanager
def _clear_failures(export_dir: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.IOException, Error) as error:
        if "Corrupt database file" in str(error):
            raise Failure(
                f"a DuckDB file is damaged: {str(error).splitlines()[0]}",
                "The previous exports are unchanged. Move analytics.duckdb away, and"
                " rebuild it with `just pipeline`.",
            ) from error
        raise Failure(
            f"cannot write the exports: {error}",
            f"The previous exports are unchanged. Check free space in {export_dir}.",
        ) from error


def _publish(
    gold: Gold,
    folder: Path,
    record: Path | None,
    full: bool,
    copy: bool,
    progress: Progress,
    begin: float,
) -> Published:
    gold.require_whole()
    known = {} if full else _known(gold, folder)
    moved = update.find(gold, known, _gone(gold, folder)) if known else None
    info = Info(facts(gold), pipeline_runs.read(record) if record else [])
    with ExitStack() as both:
        # The copy is optional: a full publication only renews an existing one.
        if copy or (moved is None and _size(folder / duckdb_export.NAME)):
            both.enter_context(duckdb_export.copying(gold, folder, info))
        if moved is None:
            new = both.enter_context(served.next_file(folder, info.facts["export_id"]))
            rows = sqlite_export.write_all(gold, new, info, progress)
        else:
            with changing(folder / served.NAME) as file:
                rows = update.update_all(gold, moved, info, file, progress)
    served.remove_former(folder)
    return Published(
        rows=rows,
        tables={table.name: table.rows for table in gold.tables},
        mode="full" if moved is None else "incremental",
        seconds=round(time.monotonic() - begin, 3),
        extract_run=gold.extract_run(),
        sqlite_bytes=(folder / served.NAME).stat().st_size,
        duckdb_bytes=_size(folder / duckdb_export.NAME),
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _known(gold: Gold, folder: Path) -> dict[str, str]:
    """Return `export_info` of an export that can be updated; empty if none can."""
    path = served.file_of(folder)
    known = served.facts(path) if path else {}
    same = known.get("layout") == _layout(gold)
    return known if path and same and not served.is_stuck(path) else {}


def _gone(gold: Gold, folder: Path) -> list[str]:
    """Return the sessions of the export that gold no longer has."""
    if not any(table.name == update.SESSIONS for table in gold.tables):
        return []
    query = f"select session_id from {gold.source(update.SESSIONS)}"
    there = {row[0] for row in gold.connection.execute(query).fetchall()}
    return [one for one in served.sessions(folder / served.NAME) if one not in there]


def facts(gold: Gold) -> dict[str, str]:
    """Return what `export_info` says about an export of these gold tables."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    run = gold.extract_run()
    return {
        "schema_version": str(SCHEMA_VERSION),
        "layout": _layout(gold),
        "export_id": uuid.uuid4().hex,
        "published_at": now.replace("+00:00", "Z"),
        "extract_run": "" if run is None else str(run),
        "watermarks": gold.watermarks(),
        "duckdb": duckdb.__version__,
    } | {name: value for table in gold.tables for name, value in _of(gold, table)}


def _of(gold: Gold, table: Table) -> Iterator[tuple[str, str]]:
    """Yield the facts about a table by which a later run finds its changes."""
    yield f"rows.{table.name}", str(table.rows)
    if table.name in gold.digests:
        yield f"digest.{table.name}", gold.digests[table.name]
    newest = gold.newest_run(table)
    if newest is not None:
        yield f"run.{table.name}", str(newest)


def _layout(gold: Gold) -> str:
    """Return a name for the tables, and for the builds of those by session.

    While it stays the same, an export can be brought up to date: the changes in these
    tables are known by `updated_run` alone.
    """
    tables = [
        (t.name, t.columns, t.build if t.name in BY_SESSION else "")
        for t in gold.tables
    ]
    views = [view for view in (*VIEWS, IMAGE_DATA) if gold.has(view)]
    declared = repr((SCHEMA_VERSION, layout(), tables, views)).encode()
    return blake2b(declared, digest_size=8).hexdigest()
