"""Whatever is killed, and whenever: the table is MongoDB's acknowledged rows."""

import contextlib
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
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
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from documents import documents, store
from harness import PATIENCE, Mongod, wait_for
from lakes import keys, loaded, wanted
from pymongo.database import Database

KILLS = 48
COMMITS = 20
BUFFERS = ("a" * 32, "b" * 32, "c" * 32)

# Compaction takes longer than an extraction of a few rows: it is killed less often.
ORDER = (0, 1, 0, 1, 0, 1, 2)

# One commit takes 200,000 calls or more, and so does one act of maintenance.
STEPS = 250_000

Work = Callable[[str, str, str], None]


def has_expired(lake: Lake) -> bool:
    table = require_table(lake)
    return len(table.metadata.snapshots) < state_of(table).run


class Writer:
    """Acknowledges documents of three buffers, so that there is always work."""

    AHEAD = 200

    def __init__(self, db: Database[dict[str, Any]], lake: Lake) -> None:
        self.db = db
        self.lake = lake
        self.dice = random.Random(3)
        self.last = dict.fromkeys(BUFFERS, 0)

    def write(self) -> None:
        """Acknowledge more than the table has."""
        marks = state_of(require_table(self.lake)).watermarks
        there = sum(marks.get(buffer, 0) for buffer in BUFFERS)
        while sum(self.last.values()) < there + self.AHEAD:
            self._batch()

    def _batch(self) -> None:
        buffer = self.dice.choice(BUFFERS)
        count = self.dice.randint(1, 60)
        first = self.last[buffer] + 1
        self.last[buffer] += count
        last = self.last[buffer]
        found = list(documents(first, last, buffer=buffer, host=buffer[:1]))
        # A batch that is half acknowledged, and then wholly.
        store(self.db, found, acked=last - count // 2)
        self.db["watermarks"].update_one({"_id": buffer}, {"$set": {"acked_seq": last}})


class Victim:
    """A process that works, says when it has done a part, and may be killed."""

    def __init__(self, work: Work, where: tuple[str, str, str]) -> None:
        self.work, self.where = work, where
        self.dice = random.Random(work.__name__)
        self._start()

    def _start(self) -> None:
        # Starts in milliseconds, so that a kill meets work and not imports.
        processes = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload(["lake_workers"])
        self.steps, theirs = processes.Pipe(duplex=False)
        seed = self.dice.randrange(1 << 30)
        self.process: BaseProcess = processes.Process(
            target=lake_workers.announced,
            args=(self.work, theirs, STEPS, seed, self.where),
        )
        self.process.start()
        theirs.close()

    def works(self) -> None:
        """Wait until it has done a further part of its work."""
        with contextlib.suppress(EOFError):
            while self.steps.poll():
                self.steps.recv_bytes()
            assert self.steps.poll(PATIENCE), f"{self.work.__name__}: does not work"
            self.steps.recv_bytes()
            return
        raise AssertionError(f"{self.work.__name__}: ended by itself")

    def children(self) -> list[int]:
        pid = self.process.pid
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in found.split()]

    def kill(self) -> None:
        self.process.kill()
        self.process.join(PATIENCE)
        self.steps.close()

    def replace(self) -> None:
        """Kill it and start the next one."""
        self.kill()
        self._start()


@pytest.fixture(autouse=True)
def fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fork server find the loops."""
    folder = str(Path(lake_workers.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", folder, prepend=os.pathsep)


@contextlib.contextmanager
def working(*victims: Victim) -> Iterator[tuple[Victim, ...]]:
    try:
        yield victims
    finally:
        for victim in victims:
            victim.kill()


def operations(lake: Lake) -> set[str]:
    snapshots = require_table(lake).metadata.snapshots
    return {s.summary.operation.value for s in snapshots if s.summary}


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("extractor", [lake_workers.extractor, lake_workers.pair])
def test_no_row_is_lost_or_doubled_by_kills_of_extraction_compaction_and_expiry(
    db: Database[dict[str, Any]],
    mongod: Mongod,
    lake: Lake,
    tmp_path: Path,
    extractor: Work,
) -> None:
    store(db, list(documents(1, 20, buffer="z" * 32, host="z")))
    extract(lake, db)
    where = (mongod.uri, db.name, lake.warehouse)
    writer = Writer(db, lake)
    writer.write()
    duckdb = tmp_path / "analytics.duckdb"
    pairs = 0
    loops = [Victim(w, where) for w in (extractor, extractor, lake_workers.keeper)]
    with working(*loops):
        for number in range(KILLS):
            victim = loops[ORDER[number % len(ORDER)]]
            victim.works()
            writer.write()
            others = victim.children()
            pairs += bool(others)
            # Every third time it is the second process that dies, where there is one.
            if others and number % 3 == 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(others[0], signal.SIGKILL)
                continue
            victim.replace()
            if number % 12 == 0:
                loaded(lake, duckdb)
        # The survivors continue, and there are more commits than expiry keeps.
        enough = max(COMMITS, state_of(require_table(lake)).run + 5)
        while state_of(require_table(lake)).run < enough:
            loops[0].works()
            writer.write()
        # Nothing more to extract: now nobody overtakes the keeper.
        wait_for(lambda: "overwrite" in operations(lake), what="the keeper compacts")
        wait_for(lambda: has_expired(lake), what="the keeper expires")
    extract(lake, db)
    assert keys(lake) == wanted(db)
    assert set(keys(lake).values()) == {1}
    loaded(lake, duckdb)
    assert loaded(lake, duckdb, full=True)["total"] == sum(wanted(db).values())

    table = require_table(lake)
    assert bool(pairs) == (extractor is lake_workers.pair)
    for snapshot in table.metadata.snapshots:
        assert table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows > 0
    # What the killed left behind goes, and nothing else.
    expire(table, keep=5, grace=timedelta(0))
    assert sweep_orphans(table, timedelta(0))
    assert {file.path for file in present(table)} <= needed(table)
    assert keys(lake) == wanted(db)


def test_a_killed_backfill_leaves_the_table_as_it_was(
    db: Database[dict[str, Any]], mongod: Mongod, lake: Lake
) -> None:
    store(db, list(documents(1, 500)))
    extract(lake, db)
    before = keys(lake)
    where = (mongod.uri, db.name, lake.warehouse)
    with working(Victim(lake_workers.rebuilder, where)) as (victim,):
        for _ in range(7):
            victim.works()
            victim.replace()
            assert keys(lake) == before
    assert extract(lake, db).rows == 0
