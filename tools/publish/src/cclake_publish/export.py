"""Publishing: both exports from one view of gold, swapped in when both are whole."""

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cclake_publish import duckdb_export, sqlite_export
from cclake_publish.atomic import publisher_lock, replacing
from cclake_publish.gold import Gold, open_gold
from cclake_publish.sqlite_export import Progress

SQLITE_NAME = "conversations.db"
DUCKDB_NAME = "analytics.duckdb"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Published:
    """What a publication wrote."""

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
    full: bool = False,
    progress: Progress = lambda _table, _rows: None,
) -> Published:
    """Write both exports and swap them in.

    Args:
        duckdb_path: The database that dbt writes; only read.
        export_dir: Folder of the exports.
        full: Write everything anew instead of bringing the last export up to date.
        progress: Called with a table's name and a number of rows just written.

    Raises:
        Failure: There is no gold, or a writer has it locked.
    """
    begin = time.monotonic()
    with publisher_lock(export_dir) as scratch, open_gold(duckdb_path, scratch) as gold:
        lite, duck = export_dir / SQLITE_NAME, export_dir / DUCKDB_NAME
        with replacing(lite) as new_lite, replacing(duck) as new_duck:
            sqlite_export.write_all(gold, new_lite, info(gold), progress)
            duckdb_export.write_all(gold, new_duck)
        return Published(
            rows=sum(table.rows for table in gold.tables),
            tables={table.name: table.rows for table in gold.tables},
            mode="full",
            seconds=round(time.monotonic() - begin, 3),
            extract_run=gold.extract_run(),
            sqlite_bytes=lite.stat().st_size,
            duckdb_bytes=duck.stat().st_size,
        )


def info(gold: Gold) -> dict[str, str]:
    """What `export_info` says about an export of these gold tables."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    run = gold.extract_run()
    return {
        "schema_version": str(SCHEMA_VERSION),
        "published_at": now.replace("+00:00", "Z"),
        "extract_run": "" if run is None else str(run),
    } | {f"rows.{table.name}": str(table.rows) for table in gold.tables}
