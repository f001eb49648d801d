"""What partitions would cost: the same rows without any, by month and by day."""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from cclake_lake.lake import Lake
from lake_data import PER_SESSION
from lake_place import Place, middle
from pyiceberg.catalog.sql import SqlCatalog

DAYS = 200
ROWS = 50_000  # of a commit, as of `extract`
COLUMNS = {"none": None, "month": 7, "day": 10}


def partitions(
    options: argparse.Namespace, make: Callable[[str], Place]
) -> dict[str, Any]:
    """Commits of rows over 200 days, and the files that a scan opens afterwards.

    The partitions are identities of a text, so that no further library is needed.
    """
    place = make("partitions")
    place.add(options.documents)
    place.time("extract")
    rows = _rows(place.lake)
    costs: dict[str, list[float]] = {name: [] for name in COLUMNS}
    files: dict[str, int] = {}
    for _ in range(options.repeat):
        for name, letters in COLUMNS.items():
            with tempfile.TemporaryDirectory(dir=place.home) as folder:
                begin = time.perf_counter()
                files[name] = _written(Path(folder), rows, letters)
                costs[name].append(time.perf_counter() - begin)
    seconds = {name: middle(cost) for name, cost in costs.items()}
    return {
        "documents": rows.num_rows,
        "days": DAYS,
        "seconds": seconds,
        "times_as_long": {
            name: round(cost / seconds["none"], 2) for name, cost in seconds.items()
        },
        "files": files,
    }


def _rows(lake: Lake) -> pa.Table:
    """All rows, each with the day of its session; sessions lie over `DAYS` days."""
    rows = lake.require().scan().to_arrow().sort_by("seq")
    first = date(2026, 1, 1)
    share = max(1, rows.num_rows // PER_SESSION // DAYS)
    days = [
        (first + timedelta(days=number // PER_SESSION // share)).isoformat()
        for number in range(rows.num_rows)
    ]
    return rows.append_column("day", pa.array(days))


def _written(folder: Path, rows: pa.Table, letters: int | None) -> int:
    """Write the rows, some a commit; gives the number of data files."""
    catalog = SqlCatalog(
        "bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=str(folder)
    )
    catalog.create_namespace("bench")
    if letters:
        part = pc.utf8_slice_codeunits(rows["day"], 0, letters)
        rows = rows.append_column("part_of_time", part)
    table = catalog.create_table("bench.rows", rows.schema)
    if letters:
        with table.update_spec() as spec:
            spec.add_identity("part_of_time")
    for start in range(0, rows.num_rows, ROWS):
        table.append(rows.slice(start, ROWS))
    return len(list(table.scan().plan_files()))
