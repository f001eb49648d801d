"""Documents in shares: each is one commit, and each is there once."""

import itertools
import os
import pkgutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import bson
import gridfs
import orjson
import pytest
from bson.raw_bson import RawBSONDocument
from cclake_extract import splits
from cclake_extract.backfill import backfill
from cclake_extract.incremental import extract
from cclake_extract.watermark import state_of
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from documents import acknowledge, document, documents, entry, store
from harness import PATIENCE, Mongod, wait_for
from lakes import keys, rows, wanted
from pymongo.database import Database

Db = Database[dict[str, Any]]
ROWS = 100


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "FILE_ROWS", ROWS)


def data_files(lake: Lake) -> set[str]:
    return {str(path) for path in Path(lake.warehouse).rglob("*.parquet")}


def held(lake: Lake) -> set[str]:
    return {task.file.file_path for task in require_table(lake).scan().plan_files()}


def odd_ones(db: Db) -> None:
    """Buffers with gaps, a broken document, bytes in GridFS, a large line, parts."""
    store(db, list(documents(1, 350)))
    for first in range(1_000, 9_000, 20):  # numbers with gaps
        found = document(orjson.dumps(entry(first)), first, buffer="b" * 32, host="b")
        db["conversations"].insert_one(found)
    acknowledge(db, "b" * 32, 9_500)
    store(db, list(documents(1, 3, buffer="c" * 32, host="c")), acked=800_000)
    good = document(orjson.dumps(entry(351)), 351, host="X" * 8)
    broken = bson.encode(good).replace(b"X" * 8, b"\xff" * 8)
    db["conversations"].insert_one(RawBSONDocument(broken))
    line = orjson.dumps(entry(352) | {"more": "y" * 100_000})
    place = gridfs.GridFSBucket(db, "raw").upload_from_stream("x", line)
    far = document(line, 352, raw_file=place)
    del far["entry"]
    large = document(orjson.dumps(entry(353) | {"more": "z" * 9_000_000}), 353)
    parts = document(b'{"a":', 354, salvaged=[entry(7), entry(8)], error="two records")
    store(db, [far, large, parts], acked=400)


def test_what_is_odd_is_taken_once_or_is_a_dead_letter(db: Db, lake: Lake) -> None:
    odd_ones(db)
    counts: list[int] = []
    outcome = extract(lake, db, counts.append)
    assert (outcome.dead, sum(counts)) == (1, 350 + 400 + 3 + 4)
    found = keys(lake)
    missing = {key: 1 for key in wanted(db) if key not in found}
    dead = {
        (bytes(one["_id"]).hex(), 0): 1 for one in db["extract_dead_letters"].find()
    }
    assert missing == dead
    assert set(found.values()) == {1}
    assert outcome.watermarks == {"a" * 32: 400, "b" * 32: 9_500, "c" * 32: 800_000}
    assert extract(lake, db).commits == 0


def test_every_commit_holds_all_up_to_its_watermark(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 1_050)))
    assert extract(lake, db).commits == 11
    table = require_table(lake)
    for number, snapshot in enumerate(table.metadata.snapshots, 1):
        mark = state_of(table, snapshot).watermarks["a" * 32]
        assert mark == min(number * ROWS, 1_050)
        found = table.scan(selected_fields=("seq",), snapshot_id=snapshot.snapshot_id)
        assert sorted(found.to_arrow()["seq"].to_pylist()) == list(range(1, mark + 1))


def test_a_backfill_has_rising_numbers(db: Db, lake: Lake) -> None:
    odd_ones(db)
    before = extract(lake, db).run
    assert backfill(lake, db).dead == 1
    assert set(keys(lake).values()) == {1}
    found = sorted((r["buffer"], r["seq"], r["extract_run"]) for r in rows(lake))
    runs = [run for _, _, run in found]
    assert runs == sorted(runs) and runs[0] > before
    assert state_of(require_table(lake)).base > runs[-1]
    assert len(held(lake)) == len(set(runs)) == 9
    assert extract(lake, db).commits == 0


def test_a_share_that_cannot_be_written_leaves_no_file(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(db, list(documents(1, 1_000)))
    extract(lake, db)
    before = data_files(lake)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    store(db, list(documents(1_001, 2_000)))
    monkeypatch.setattr("cclake_extract.parquet.ParquetFile.close", fail)
    with pytest.raises(OSError, match="no space left"):
        extract(lake, db)
    assert data_files(lake) == before


@pytest.mark.parametrize(
    "place", ["incremental.defer_sigint", "parquet.pq.ParquetWriter"]
)
def test_an_interruption_at_any_place_leaves_no_file(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    store(db, list(documents(1, 150)))
    calls = itertools.count()

    def interrupt(*arguments: object, **options: object) -> object:
        if next(calls):
            raise KeyboardInterrupt
        return real(*arguments, **options)

    module, _, name = f"cclake_extract.{place}".rpartition(".")
    real = getattr(pkgutil.resolve_name(module), name)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(f"cclake_extract.{place}", interrupt)
        extract(lake, db)
    assert len(data_files(lake)) == 1
    assert data_files(lake) == held(lake)
    extract(lake, db)
    assert keys(lake) == wanted(db)


def test_two_extractors_take_everything_once(
    db: Db, mongod: Mongod, lake: Lake
) -> None:
    store(db, list(documents(1, 1_200)))
    code = "import sys, lake_workers as w; w.once(*sys.argv[1:])"
    support = str(Path(__file__).parents[1] / "support")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, mongod.uri, db.name, lake.warehouse],
            env=os.environ | {"PYTHONPATH": support},
        )
        for _ in range(2)
    ]
    assert [process.wait(PATIENCE) for process in running] == [0, 0]
    assert keys(lake) == wanted(db)
    assert set(keys(lake).values()) == {1}
    assert data_files(lake) == held(lake)


def test_an_interrupted_extraction_leaves_no_file(
    db: Db, mongod: Mongod, lake: Lake
) -> None:
    store(db, list(documents(1, 3_000, size=2_000)))
    code = "import sys, lake_workers as w; w.once(*sys.argv[1:])"
    support = str(Path(__file__).parents[1] / "support")
    process = subprocess.Popen(
        [sys.executable, "-c", code, mongod.uri, db.name, lake.warehouse],
        env=os.environ | {"PYTHONPATH": support},
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(data_files(lake)) > 4, "it writes")
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)
    assert data_files(lake) == held(lake)
    extract(lake, db)
    assert keys(lake) == wanted(db)
