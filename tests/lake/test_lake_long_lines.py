"""A line that is too long for the engines costs them nothing, and loses nothing."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from cclake_extract.incremental import extract
from cclake_extract.maintenance.compact import compact
from cclake_lake.catalog import require_table
from cclake_lake.long_lines import LONG_BYTES, SHORT_BYTES, shorten
from cclake_lake.settings import Lake
from cclake_load.load import Load
from documents import document, documents, entry, store
from gridfs import GridFSBucket
from lakes import duck, rows
from pymongo.database import Database

Db = Database[dict[str, Any]]


@pytest.fixture
def long_line(db: Db) -> bytes:
    """A line of 60 MB between ordinary ones, as the flusher stores it."""
    found = orjson.dumps(
        entry(5) | {"toolUseResult": {"stdout": "says so\n" * 7_500_000}}
    )
    assert len(found) > LONG_BYTES
    place = GridFSBucket(db, "raw").upload_from_stream("line", found)
    stored = document(found, 5, raw_file=place)
    del stored["entry"]
    store(db, [*documents(1, 4), stored, *documents(6, 9)])
    return found


def test_the_lake_keeps_its_bytes_and_a_short_record(
    db: Db, lake: Lake, long_line: bytes
) -> None:
    extract(lake, db)
    (row,) = [row for row in rows(lake) if row["seq"] == 5]
    assert row["raw"] == long_line
    assert row["entry"].encode() == shorten(long_line)
    assert len(row["entry"]) < SHORT_BYTES
    assert (row["type"], row["model"]) == ("assistant", "claude-sonnet-4-5-20250929")


def test_it_has_a_row_group_of_its_own_before_and_after_a_compaction(
    db: Db, lake: Lake, long_line: bytes
) -> None:
    extract(lake, db)
    store(db, list(documents(10, 12)))
    extract(lake, db)
    assert alone(lake)
    assert compact(require_table(lake)).files == 2
    assert alone(lake)
    (row,) = [row for row in rows(lake) if row["seq"] == 5]
    assert row["raw"] == long_line


def test_duckdb_loads_it_in_less_memory_than_it_has(
    db: Db, lake: Lake, long_line: bytes, tmp_path: Path
) -> None:
    extract(lake, db)
    path = tmp_path / "gold.duckdb"
    assert Load(lake, path, "50MB").run(False, None)["rows"] == 9
    query = "select entry, raw from raw.conversations where seq = 5"
    assert duck(path, query) == [(shorten(long_line).decode(), None)]


@pytest.mark.parametrize("broken", [b"\xff", b"\\x"])
def test_one_that_is_not_json_is_kept_as_bytes(
    db: Db, lake: Lake, broken: bytes
) -> None:
    line = b'{"a":"' + b"x" * LONG_BYTES + broken + b'","b":' + broken + b"}"
    store(db, [document(line, 1, raw=None, raw_file=upload(db, line))])
    extract(lake, db)
    (row,) = rows(lake)
    assert (row["entry"], row["raw"]) == (None, line)


def upload(db: Db, line: bytes) -> Any:
    return GridFSBucket(db, "raw").upload_from_stream("line", line)


def alone(lake: Lake) -> bool:
    """Return whether one row group has the long line, and nothing else."""
    found = []
    for task in require_table(lake).scan().plan_files():
        file = pq.ParquetFile(task.file.file_path.removeprefix("file://"))
        for number in range(file.num_row_groups):
            sizes = file.read_row_group(number, columns=["len"])["len"].to_pylist()
            if max(sizes) > LONG_BYTES:
                found.append(sizes)
    return [len(sizes) for sizes in found] == [1]
