"""The wall clock jumps while lines arrive; order and position do not depend on it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clock import Clock, faketime
from harness import Mongod, wait_for
from live import Live, lines

DAY = 86_400
LIBRARY = faketime()
pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed"),
]


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    assert LIBRARY is not None
    return Clock(tmp_path, LIBRARY)


@pytest.fixture
def live(tmp_path: Path, server: Mongod, clock: Clock) -> Iterator[Live]:
    with Live(tmp_path, server.uri, CCLAKE_REST_SECONDS="1", **clock.environ) as live:
        yield live


def in_order(live: Live) -> list[int]:
    """Return the numbers of the lines in the order of ingestion."""
    found = live.database["conversations"].find({"entry.n": {"$exists": True}})
    return [each["entry"]["n"] for each in found.sort("seq", 1)]


def test_the_clock_of_the_processes_really_jumps(clock: Clock) -> None:
    clock.jump(3 * DAY)
    shown = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"],
        env=clock.environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert float(shown[0]) - time.time() == pytest.approx(3 * DAY, abs=60)
    assert float(shown[1]) == pytest.approx(time.monotonic(), abs=60)


@pytest.mark.slow
def test_clock_jumps_lose_and_reorder_nothing(
    live: Live, server: Mongod, clock: Clock
) -> None:
    live.start()
    written = 0
    for jump in (0, DAY, -2 * DAY, 400 * DAY, -30, 0):
        clock.jump(jump)
        live.ledger.append("p/a.jsonl", *lines(written, 100))
        written += 100
        live.wait_delivered()
    # It jumps while MongoDB is unavailable, and the flusher waits to try again.
    for jump in (DAY, -DAY):
        server.kill()
        live.ledger.append("p/a.jsonl", *lines(written, 100))
        written += 100
        wait_for(lambda: not live.health().get("mongoConnected"), "it is away")
        clock.jump(jump)
        server.start()
        live.wait_delivered()
    # Processes are killed under one time, and started under another one.
    for jump in (-7 * DAY, 7 * DAY):
        live.kill_pair()
        live.kill_flusher()
        clock.jump(jump)
        live.ledger.append("p/a.jsonl", *lines(written, 100))
        written += 100
        live.start()
        live.wait_delivered()
    assert in_order(live) == list(range(written))
    marks = live.database["watermarks"].find_one()
    assert marks is not None
    assert marks["acked_seq"] == written
    live.assert_exact()
    report = live.health("stats")
    assert (report["status"], report["reasons"]) == ("ok", [])
    assert report["uptime"] >= 0 and report["e2e_latency_ms"]["p50"] >= 0
    live.run("verify", "--full")


def test_a_last_line_is_read_even_if_the_clock_was_set_back(
    live: Live, clock: Clock
) -> None:
    clock.jump(-DAY)
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 5))
    live.wait_delivered()
    end = b'{"type":"last"}'
    path = live.root / "p" / "a.jsonl"
    live.ledger.note("p/a.jsonl", path.stat().st_size, end)
    with path.open("ab") as file:
        file.write(end)
    live.assert_exact()
