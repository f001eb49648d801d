"""The fault tests notice when a promise is broken: they bite."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from harness import Mongod, wait_for
from live import Live, lines

pytestmark = pytest.mark.fault

UNSAFE = Path(__file__).parents[1] / "support" / "unsafe.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mongod]:
    """A mongod whose journal reaches the disk late, as on a busy machine."""
    server = Mongod(tmp_path / "mongod", "--journalCommitInterval", "500").start()
    yield server
    server.kill()


@pytest.fixture
def live(tmp_path: Path, server: Mongod) -> Iterator[Live]:
    with Live(tmp_path, server.uri) as live:
        yield live


def lost_when_mongod_is_killed(live: Live, server: Mongod) -> int:
    """Kill mongod as soon as lines are acknowledged; how many of them are gone."""
    for round_ in range(8):
        before = live.counters()
        live.ledger.append(f"p/{round_}.jsonl", *lines(round_ * 50, 50))
        wait_for(partial(has_acknowledged, live, before["lines_read"] + 50), 30)
        server.kill()
        server.start()
        if lost := live.ledger.missing(live.database):
            return lost
    return 0


def has_acknowledged(live: Live, count: int) -> bool:
    return acknowledged(live) >= count


def acknowledged(live: Live) -> int:
    counters = live.counters()
    return counters["delivered"] + counters["duplicates"]


def test_without_the_journal_acknowledged_lines_are_lost(
    live: Live, server: Mongod
) -> None:
    live.start_pair()
    live.flusher = live.launch([sys.executable, str(UNSAFE), "flusher", "run"])
    assert lost_when_mongod_is_killed(live, server) > 0


def test_with_the_journal_none_is(live: Live, server: Mongod) -> None:
    live.start()
    assert lost_when_mongod_is_killed(live, server) == 0


def test_a_checkpoint_that_is_committed_before_its_lines_loses_them(
    live: Live,
) -> None:
    live.ledger.append("p/a.jsonl", *lines(0, 50))
    careless = f"exec {sys.executable} {UNSAFE} buffer append"
    pair = f"{careless} < <(exec tailer --follow --resume <(exec buffer checkpoints))"
    live.pair = live.launch(["bash", "-c", pair], CCLAKE_FAULT="before_commit")
    assert live.pair.wait(30) == 137
    live.start()
    live.ledger.append("p/b.jsonl", *lines(50, 50))
    wait_for(lambda: acknowledged(live) == 50, 30, "the second file arrives")
    assert live.ledger.missing(live.database) == 50, "the first one never will"
