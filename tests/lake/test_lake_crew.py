"""Several processes read, and the table is the same as by one."""

import contextlib
import os
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
from cclake_common.failure import Failure
from cclake_extract import crew as crews
from cclake_extract import shares, source
from cclake_extract.backfill import backfill
from cclake_extract.crew import Crew
from cclake_extract.process import Process
from cclake_extract.run import extract
from cclake_extract.state import state_of
from cclake_lake.catalog import find_table, require_table
from cclake_lake.settings import Lake
from documents import acknowledge, document, documents, entry, store
from harness import PATIENCE, Mongod, wait_for
from lakes import keys, rows, wanted
from pymongo.database import Database

Db = Database[dict[str, Any]]
ROWS = 100


@pytest.fixture
def crew(mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> Crew:
    """Two processes, shares of a hundred documents, and both from 200 on."""
    monkeypatch.setattr(shares, "FILE_ROWS", ROWS)
    monkeypatch.setattr(source, "ABOVE", 2 * ROWS)
    return Crew(mongod.uri, 2)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """The processes that were started."""
    found: list[Process] = []

    def start(*arguments: Any) -> Process:
        found.append(Process(*arguments))
        return found[-1]

    monkeypatch.setattr(crews, "Process", start)
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


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


def without(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Rows in order, but for the number of their run."""
    return sorted(
        tuple(str(value) for name, value in row.items() if name != "extract_run")
        for row in found
    )


def test_two_processes_make_the_rows_that_one_makes(
    db: Db, lake: Lake, tmp_path: Path, crew: Crew, started: list[Process]
) -> None:
    odd_ones(db)
    counts: list[int] = []
    outcome = extract(lake, db, counts.append, crew)
    assert len(started) == 1 and not alive(started[0].pid)
    assert (outcome.dead, sum(counts)) == (1, 350 + 400 + 3 + 4)
    missing = {key: 1 for key in wanted(db) if key not in keys(lake)}
    dead = {
        (bytes(one["_id"]).hex(), 0): 1 for one in db["extract_dead_letters"].find()
    }
    assert missing == dead
    assert set(keys(lake).values()) == {1}
    assert outcome.watermarks == {"a" * 32: 400, "b" * 32: 9_500, "c" * 32: 800_000}

    other = Lake(warehouse=str(tmp_path / "other"))
    alone = extract(other, db)
    assert len(started) == 1
    assert (alone.rows, alone.commits) == (outcome.rows, outcome.commits)
    assert without(rows(lake)) == without(rows(other))
    table = require_table(lake)
    for snapshot, twin in zip(
        table.metadata.snapshots, require_table(other).metadata.snapshots, strict=True
    ):
        assert state_of(table, snapshot) == state_of(require_table(other), twin)
    assert extract(lake, db, crew=crew).commits == 0


def test_every_commit_of_two_processes_holds_all_up_to_its_watermark(
    db: Db, lake: Lake, crew: Crew
) -> None:
    store(db, list(documents(1, 1_050)))
    assert extract(lake, db, crew=crew).commits == 11
    table = require_table(lake)
    for number, snapshot in enumerate(table.metadata.snapshots, 1):
        mark = state_of(table, snapshot).watermarks["a" * 32]
        assert mark == min(number * ROWS, 1_050)
        found = table.scan(selected_fields=("seq",), snapshot_id=snapshot.snapshot_id)
        assert sorted(found.to_arrow()["seq"].to_pylist()) == list(range(1, mark + 1))


def test_a_backfill_by_two_processes_has_rising_numbers(
    db: Db, lake: Lake, crew: Crew, started: list[Process]
) -> None:
    odd_ones(db)
    before = extract(lake, db).run
    assert backfill(lake, db, crew=crew).dead == 1
    assert len(started) == 1
    assert set(keys(lake).values()) == {1}
    found = sorted((r["buffer"], r["seq"], r["extract_run"]) for r in rows(lake))
    runs = [run for _, _, run in found]
    assert runs == sorted(runs) and runs[0] > before
    assert state_of(require_table(lake)).base > runs[-1]
    assert len(held(lake)) == len(set(runs)) == 9
    assert extract(lake, db, crew=crew).commits == 0


def test_little_that_is_new_starts_no_process(
    db: Db, lake: Lake, crew: Crew, started: list[Process]
) -> None:
    store(db, list(documents(1, 199)))
    acknowledge(db, "a" * 32, 50_000)  # a long range with few documents
    assert extract(lake, db, crew=crew).rows == 199
    assert extract(lake, db, crew=crew).rows == 0
    assert not started
    store(db, list(documents(60_001, 60_200)))
    assert extract(lake, db, crew=crew).rows == 200
    assert len(started) == 1


def test_a_process_that_is_killed_is_said_and_nothing_is_lost(
    db: Db, lake: Lake, crew: Crew, started: list[Process]
) -> None:
    store(db, list(documents(1, 2_000)))

    def kill(_count: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it is dead already
            os.kill(started[0].pid, signal.SIGKILL)

    with pytest.raises(Failure, match="killed by signal 9") as failed:
        extract(lake, db, kill, crew)
    assert failed.value.code == 75
    table = find_table(lake)
    assert table is not None
    assert sum(keys(lake).values()) < 2_000
    extract(lake, db, crew=crew)
    assert keys(lake) == wanted(db)
    assert len(started) == 2


def test_what_goes_wrong_over_there_is_told_here_and_leaves_no_file(
    db: Db, lake: Lake, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(db, list(documents(1, 1_000)))
    extract(lake, db)
    before = data_files(lake)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    store(db, list(documents(1_001, 2_000)))
    monkeypatch.setattr("cclake_extract.reader.Reader.read", fail)
    with pytest.raises(OSError, match="no space left"):
        extract(lake, db, crew=crew)
    assert data_files(lake) == before


def test_two_extractors_with_two_processes_each_take_everything_once(
    db: Db, mongod: Mongod, lake: Lake
) -> None:
    store(db, list(documents(1, 3_000)))
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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_extraction(
    db: Db, mongod: Mongod, lake: Lake, number: signal.Signals
) -> None:
    store(db, list(documents(1, 6_000, size=2_000)))
    code = "import sys, lake_workers as w; w.once(*sys.argv[1:])"
    support = str(Path(__file__).parents[1] / "support")
    parent = subprocess.Popen(
        [sys.executable, "-c", code, mongod.uri, db.name, lake.warehouse],
        env=os.environ | {"PYTHONPATH": support},
        stderr=subprocess.DEVNULL,
    )
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    wait_for(lambda: children.read_text().split(), "a second process")
    child = int(children.read_text().split()[0])
    wait_for(lambda: len(data_files(lake)) > 4, "both write")
    parent.send_signal(number)
    parent.wait(PATIENCE)
    if number == signal.SIGINT:
        assert not alive(child)
        assert data_files(lake) == held(lake)
    wait_for(lambda: not alive(child), "it ends")
    extract(lake, db)
    assert keys(lake) == wanted(db)
