"""Compare partitions: the same rows without any, by month and by day."""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from cclake_extract.parquet import GROUP_ROWS
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from lake_data import PER_SESSION
from lake_place import Place, middle
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

DAYS = 200
ROWS = 50_000  # of a commit, as of `extract`
COLUMNS = {"none": None, "month": 7, "day": 10}
WORK = ("write", "read", "read_day")


def partitions(
    options: argparse.Namespace, make: Callable[[str], Place]
) -> dict[str, Any]:
    """Commits of rows over 200 days, then a read of everything and of one day.

    The partitions are identities of a text, so that no further library is needed.
    """
    place = make("partitions")
    place.add(options.documents)
    place.time("extract")
    rows = _rows(place.lake)
    costs = {name: {work: list[float]() for work in WORK} for name in COLUMNS}
    files: dict[str, dict[str, int]] = {}
    for _ in range(options.repeat):
        for name, letters in COLUMNS.items():
            with tempfile.TemporaryDirectory(dir=place.home) as folder:
                kept = costs[name]
                with _timed(kept["write"]):
                    table = _written(Path(folder), rows, letters)
                with _timed(kept["read"]):
                    _read(_files(table))
                day = str(rows["day"][rows.num_rows // 2])
                with _timed(kept["read_day"]):
                    _read(_files(table, day), day)
                files[name] = {
                    "all": len(_files(table)),
                    "of_a_day": len(_files(table, day)),
                }
    seconds = {
        name: {work: middle(cost) for work, cost in kept.items()}
        for name, kept in costs.items()
    }
    return {
        "documents": rows.num_rows,
        "days": DAYS,
        "seconds": seconds,
        "times_as_long": {
            name: {work: round(kept[work] / seconds["none"][work], 2) for work in WORK}
            for name, kept in seconds.items()
        },
        "files": files,
    }


@contextmanager
def _timed(kept: list[float]) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    kept.append(time.perf_counter() - begin)


def _files(table: Table, day: str | None = None) -> list[str]:
    """The files that a scan opens: of all rows, or of those of a day."""
    scan = table.scan(row_filter=f"day = '{day}'") if day else table.scan()
    tasks = scan.plan_files()
    return [task.file.file_path.removeprefix("file://") for task in tasks]


def _read(files: list[str], day: str | None = None) -> None:
    """Read the rows with their text in DuckDB."""
    query = "select sum(length(entry)) from read_parquet(?) where ? is null or day = ?"
    duckdb.execute(query, [files, day, day]).fetchone()


def _rows(lake: Lake) -> pa.Table:
    """All rows, each with the day of its session; sessions lie over `DAYS` days."""
    rows = require_table(lake).scan().to_arrow().sort_by("seq")
    first = date(2026, 1, 1)
    share = max(1, rows.num_rows // PER_SESSION // DAYS)
    days = [
        (first + timedelta(days=number // PER_SESSION // share)).isoformat()
        for number in range(rows.num_rows)
    ]
    return rows.append_column("day", pa.array(days))


def _written(folder: Path, rows: pa.Table, letters: int | None) -> Table:
    """Write the rows, some a commit."""
    catalog = SqlCatalog(
        "bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=str(folder)
    )
    catalog.create_namespace("bench")
    if letters:
        part = pc.utf8_slice_codeunits(rows["day"], 0, letters)
        rows = rows.append_column("part_of_time", part)
    table = catalog.create_table(
        "bench.rows",
        rows.schema,
        properties={"write.parquet.row-group-limit": str(GROUP_ROWS)},
    )
    if letters:
        with table.update_spec() as spec:
            spec.add_identity("part_of_time")
    for start in range(0, rows.num_rows, ROWS):
        table.append(rows.slice(start, ROWS))
    return table
