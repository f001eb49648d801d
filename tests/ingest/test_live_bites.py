"""Check that the fault tests notice a broken promise."""

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from harness import PATIENCE, Mongod, wait_for
from live import Live, lines

pytestmark = pytest.mark.fault

UNSAFE = Path(__file__).parents[1] / "support" / "unsafe.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mongod]:
    """A mongod to kill. Unasked, its journal reaches the disk every 500 ms."""
    server = Mongod(tmp_path / "mongod").start()
    yield server
    server.kill()


def lost_when_mongod_is_killed(live: Live, server: Mongod, rounds: int) -> int:
    """Kill mongod while lines stream in; return how many acknowledged ones are lost."""
    for round_ in range(rounds):
        before = live.counters()["lines_read"]
        live.ledger.append(f"p/{round_}.jsonl", *lines(round_ * 4000, 4000))
        wait_closely(live, before + 2000)
        server.kill()
        server.start()
        wait_closely(live, before + 4000)
        if lost := live.ledger.missing(live.database):
            return lost
    return 0


def wait_closely(live: Live, count: int) -> None:
    """Return within a millisecond of an acknowledgement."""
    wait_for(live.buffer.exists, "there is a buffer")
    sql = "select sum(value) from counters where name in ('delivered', 'duplicates')"
    deadline = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(live.buffer)) as connection:
        while connection.execute(sql).fetchone()[0] < count:
            assert time.monotonic() < deadline, "not acknowledged"
            time.sleep(0.001)


def acknowledged(live: Live) -> int:
    counters = live.counters()
    return counters["delivered"] + counters["duplicates"]


def test_without_the_journal_acknowledged_lines_are_lost(
    live: Live, server: Mongod
) -> None:
    live.start_pair()
    live.flusher = live.launch(
        [sys.executable, str(UNSAFE), "flusher", "run"], BATCH_SIZE="50"
    )
    assert lost_when_mongod_is_killed(live, server, 8) > 0


def test_with_the_journal_no_acknowledged_line_is_lost(
    live: Live, server: Mongod
) -> None:
    live.start_pair()
    live.start_flusher(BATCH_SIZE="50")
    assert lost_when_mongod_is_killed(live, server, 3) == 0


def test_a_checkpoint_that_is_committed_before_its_lines_loses_them(
    live: Live,
) -> None:
    live.ledger.append("p/a.jsonl", *lines(0, 50))
    careless = f"exec {sys.executable} {UNSAFE} buffer append"
    pair = f"{careless} < <(exec tailer --follow --resume <(exec buffer checkpoints))"
    live.pair = live.launch(["bash", "-c", pair], CCLAKE_FAULT="before_commit")
    assert live.pair.wait(PATIENCE) == 137
    live.start()
    live.ledger.append("p/b.jsonl", *lines(50, 50))
    wait_for(lambda: acknowledged(live) == 50, "the second file arrives")
    assert live.ledger.missing(live.database) == 50, "the first one never will"
