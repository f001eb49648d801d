"""Publishing: both exports from one view of gold, swapped in when both are whole."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
from cclake_common.failure import Failure
from cclake_common.settings import half_of_memory

from cclake_publish import duckdb_export, runs, sqlite_export
from cclake_publish.atomic import publisher_lock
from cclake_publish.bulk import Error, Progress
from cclake_publish.generations import current, make_spare, next_export, take_base
from cclake_publish.gold import MEMORY, Gold, open_gold
from cclake_publish.indexes import BY_SESSION, layout
from cclake_publish.told import Told
from cclake_publish.update import update_all

SCHEMA_VERSION = 1
_OUT_OF_MEMORY = "Out of Memory"
_DAMAGED = "malformed"


@dataclass(frozen=True)
class Published:
    """What a publication wrote.

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
        """As a JSON object."""
        return asdict(self)


def publish(
    duckdb_path: Path,
    export_dir: Path,
    *,
    record: Path | None = None,
    full: bool = False,
    progress: Progress = lambda _table, _rows: None,
) -> Published:
    """Write both exports and swap them in.

    Args:
        duckdb_path: The database that dbt writes; only read.
        export_dir: Folder of the exports.
        record: The record of pipeline runs; what it says is published too.
        full: Write everything anew instead of bringing the last export up to date.
        progress: Called with a table's name and a number of rows just written.

    Raises:
        Failure: There is no gold, it is half built, a writer has it locked, or the
            exports cannot be written.
    """
    begin = time.monotonic()
    with _clear_failures(export_dir), publisher_lock(export_dir) as scratch:
        memory = MEMORY
        try:
            with open_gold(duckdb_path, scratch, memory) as gold:
                return _publish(gold, export_dir, record, full, progress, begin)
        except Error as error:
            if full or _DAMAGED not in str(error):
                raise
            full = True  # what it was to start from is of no use
        except (OSError, duckdb.Error) as error:
            if _OUT_OF_MEMORY not in str(error):  # Arrow tells it as an OSError
                raise
            memory = half_of_memory()
        with open_gold(duckdb_path, scratch, memory) as gold:
            return _publish(gold, export_dir, record, full, progress, begin)


@contextmanager
def _clear_failures(export_dir: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.IOException, Error) as error:
        if "Corrupt database file" in str(error):
            raise Failure(
                f"a DuckDB file is damaged: {str(error).splitlines()[0]}",
                "The last exports stay. Move analytics.duckdb away and run `just"
                " pipeline`, which makes it anew.",
            ) from error
        raise Failure(
            f"cannot write the exports: {error}",
            f"The last ones stay. Is there room in {export_dir}?",
        ) from error


def _publish(
    gold: Gold,
    export_dir: Path,
    record: Path | None,
    full: bool,
    progress: Progress,
    begin: float,
) -> Published:
    if not gold.is_whole():
        raise Failure(
            "gold is half built: the last run of dbt broke off",
            "Run `pipeline run`, which ends it and publishes.",
        )
    with next_export(export_dir) as new:
        base = not full and take_base(export_dir, new, layout())
        told = Told(info(gold), runs.read(record) if record else [])
        with duckdb_export.attached(gold, new.duck):
            duckdb_export.write_told(gold, told)
            if base:
                rows = update_all(gold, new.lite, progress)
            else:
                with duckdb_export.writing(gold):
                    rows = sqlite_export.write_all(gold, new.lite, progress)
    if not base:
        # Readers have the new export already: this is the time to copy it.
        make_spare(export_dir, layout())
    done = current(export_dir)
    return Published(
        rows=rows,
        tables={table.name: table.rows for table in gold.tables},
        mode="incremental" if base else "full",
        seconds=round(time.monotonic() - begin, 3),
        extract_run=gold.extract_run(),
        sqlite_bytes=done.lite.stat().st_size,
        duckdb_bytes=done.duck.stat().st_size,
    )


def info(gold: Gold) -> dict[str, str]:
    """What `export_info` says about an export of these gold tables."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    run = gold.extract_run()
    return {
        "schema_version": str(SCHEMA_VERSION),
        "layout": layout(),
        "builds": _builds(gold),
        "export_id": uuid.uuid4().hex,
        "published_at": now.replace("+00:00", "Z"),
        "extract_run": "" if run is None else str(run),
        "watermarks": gold.watermarks(),
    } | {f"rows.{table.name}": str(table.rows) for table in gold.tables}


def _builds(gold: Gold) -> str:
    """A name for the builds of the tables by session; empty where one is not known.

    While it stays, a reader knows what has changed by `updated_run` alone.
    """
    builds = [(t.name, t.build) for t in gold.tables if t.name in BY_SESSION]
    if not all(build for _, build in builds):
        return ""
    return blake2b(repr(sorted(builds)).encode(), digest_size=8).hexdigest()
