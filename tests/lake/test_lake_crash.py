"""Whatever is killed, and whenever: the table is MongoDB's acknowledged rows."""

import contextlib
import itertools
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import lake_workers
import pytest
from cclake_extract.care.expire import expire
from cclake_extract.care.orphans import sweep_orphans
from cclake_extract.care.reach import needed, present
from cclake_extract.run import extract
from cclake_extract.state import state_of
from cclake_lake.lake import Lake
from documents import documents, store
from harness import Mongod, wait_for
from lakes import keys, loaded, wanted
from pymongo.database import Database

KILLS = 48
BUFFERS = ("a" * 32, "b" * 32, "c" * 32)

# Compaction takes longer than an extraction of a few rows: it is killed less often.
ORDER = (0, 1, 0, 1, 0, 1, 2)


def has_expired(lake: Lake) -> bool:
    table = lake.require()
    return len(table.metadata.snapshots) < state_of(table).run


class Writer(threading.Thread):
    """Acknowledges more and more documents of three buffers until it is stopped."""

    def __init__(self, db: Database[dict[str, Any]]) -> None:
        super().__init__()
        self.db = db
        self.done = threading.Event()

    def run(self) -> None:
        dice = random.Random(3)
        last = dict.fromkeys(BUFFERS, 0)
        while not self.done.wait(0.01):
            buffer = dice.choice(BUFFERS)
            count = dice.randint(1, 60)
            first = last[buffer] + 1
            last[buffer] += count
            found = list(documents(first, last[buffer], buffer=buffer, host=buffer[:1]))
            # A batch that is half acknowledged, and then wholly.
            store(self.db, found, acked=last[buffer] - count // 2)
            self.db["watermarks"].update_one(
                {"_id": buffer}, {"$set": {"acked_seq": last[buffer]}}
            )


def fork_server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts processes in milliseconds, so that a kill meets work and not imports."""
    folder = str(Path(lake_workers.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["lake_workers"])
    return processes


def children(process: BaseProcess) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in found.split()]


def operations(lake: Lake) -> set[str]:
    snapshots = lake.require().metadata.snapshots
    return {s.summary.operation.value for s in snapshots if s.summary}


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize(
    ("extractor", "most"), [(lake_workers.extractor, 0.5), (lake_workers.pair, 1.0)]
)
def test_no_row_is_lost_or_doubled_by_kills_of_extraction_compaction_and_expiry(
    db: Database[dict[str, Any]],
    mongod: Mongod,
    lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    extractor: Callable[[str, str, str], None],
    most: float,
) -> None:
    processes = fork_server(monkeypatch)
    store(db, list(documents(1, 20, buffer="z" * 32, host="z")))
    extract(lake, db)
    where = (mongod.uri, db.name, lake.warehouse)
    writer = Writer(db)
    writer.start()
    dice = random.Random(11)

    def begin(work: Any) -> BaseProcess:
        process: BaseProcess = processes.Process(target=work, args=where)
        process.start()
        return process

    loops = [extractor, extractor, lake_workers.keeper]
    running = [begin(work) for work in loops]
    duckdb = tmp_path / "analytics.duckdb"
    seen: set[str] = set()
    pairs = 0
    try:
        for number in range(KILLS):
            time.sleep(dice.uniform(0.02, most))
            seen |= operations(lake)
            place = ORDER[number % len(ORDER)]
            assert running[place].exitcode is None, "it ended by itself"
            others = children(running[place])
            pairs += bool(others)
            # Every third time it is the second process that dies, where there is one.
            if others and number % 3 == 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(others[0], signal.SIGKILL)
                continue
            running[place].kill()
            running[place].join(30)
            running[place] = begin(loops[place])
            if number % 12 == 0:
                loaded(lake, duckdb)
        before = state_of(lake.require()).run
        wait_for(lambda: state_of(lake.require()).run > before + 5, 60, "it goes on")
        # On a busy machine a keeper may have been killed, or overtaken, before each of
        # its commits: with nothing new to extract it comes to them.
        writer.done.set()
        wait_for(
            lambda: "overwrite" in seen | operations(lake), 120, "the keeper compacts"
        )
        seen |= operations(lake)
        wait_for(lambda: has_expired(lake), 60, "the keeper expires")
    finally:
        writer.done.set()
        writer.join(30)
        for process in running:
            process.kill()
            process.join(30)
    extract(lake, db)
    assert sum(wanted(db).values()) > 1000
    assert keys(lake) == wanted(db)
    assert set(keys(lake).values()) == {1}
    loaded(lake, duckdb)
    assert loaded(lake, duckdb, full=True)["total"] == sum(wanted(db).values())

    table = lake.require()
    assert bool(pairs) == (extractor is lake_workers.pair)
    assert seen == {"append", "overwrite"}, "the loops did not all work"
    assert len(table.metadata.snapshots) < state_of(table).run, "nothing expired"
    for snapshot in table.metadata.snapshots:
        assert table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows > 0
    # What the killed left behind goes, and nothing else.
    expire(table, keep=5, grace=timedelta(0))
    assert sweep_orphans(table, timedelta(0))
    assert {file.path for file in present(table)} <= needed(table)
    assert keys(lake) == wanted(db)


def test_a_killed_backfill_leaves_the_table_as_it_was(
    db: Database[dict[str, Any]],
    mongod: Mongod,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(db, list(documents(1, 500)))
    extract(lake, db)
    before = keys(lake)
    processes = fork_server(monkeypatch)
    for delay in itertools.islice(itertools.count(1), 8):
        process = processes.Process(
            target=lake_workers.rebuilder, args=(mongod.uri, db.name, lake.warehouse)
        )
        process.start()
        time.sleep(0.03 * delay)
        process.kill()
        process.join(30)
        assert keys(lake) == before
    assert extract(lake, db).rows == 0
