"""Kill the flusher and MongoDB at every point: 0 lost, 0 duplicated."""

import os
import signal
import sqlite3
import time
from contextlib import closing

import psutil
import pytest
from harness import PATIENCE, Mongod, wait_for
from live import PAIR, Live, lines

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("name", ["after_insert", "after_watermark", "before_delete"])
def test_a_flusher_that_dies_at_this_point_repeats_nothing(
    live: Live, name: str
) -> None:
    live.start_pair()
    dying = live.start_flusher(CCLAKE_FAULT=name)
    live.ledger.append("p/a.jsonl", *lines(0, 50))
    assert dying.wait(PATIENCE) == 137
    assert live.queued() == 50, "nothing leaves the buffer before it is settled"
    live.start_flusher()
    live.assert_exact()
    assert live.counters()["duplicates"] == 50, "they were sent again, and refused"


@pytest.mark.parametrize("name", ["before_commit", "after_commit"])
def test_a_buffer_that_dies_at_this_point_loses_and_repeats_nothing(
    live: Live, name: str
) -> None:
    live.start_flusher()
    live.ledger.append("p/a.jsonl", *lines(0, 50))
    dying = live.start_pair(CCLAKE_FAULT=name)
    assert dying.wait(PATIENCE) == 137
    live.start_pair()
    live.assert_exact()
    assert live.counters()["duplicates"] == 0


def test_a_killed_tailer_loses_and_repeats_nothing(live: Live) -> None:
    live.start()
    for round_ in range(3):
        live.ledger.append("p/a.jsonl", *lines(round_ * 100, 100))
        live.kill_tailer()
        live.start_pair()
    live.assert_exact()


def test_killing_everything_at_once_loses_and_repeats_nothing(
    live: Live, server: Mongod
) -> None:
    live.start()
    for round_ in range(3):
        for file in range(4):
            live.ledger.append(f"p/{file}.jsonl", *lines(round_ * 300, 300))
        wait_for(lambda: live.counters()["lines_read"] > 0, "some came")
        live.kill_pair()
        live.kill_flusher()
        server.kill()
        live.ledger.append("p/0.jsonl", *lines(round_ * 300, 20))
        server.start()
        live.start()
    live.assert_exact()


def test_acknowledged_documents_survive_a_kill_of_mongod(
    live: Live, server: Mongod
) -> None:
    live.start()
    for round_ in range(4):
        live.ledger.append("p/a.jsonl", *lines(round_ * 500, 500))
        live.wait_delivered()
        server.kill()
        server.start()
    live.assert_exact()


def test_mongod_may_be_absent_at_the_start_and_for_a_while(
    live: Live, server: Mongod
) -> None:
    server.kill()
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 100))
    wait_for(lambda: live.queued() == 100, "the buffer takes them")
    wait_for(lambda: live.health().get("status") == "failing", "health says so")
    assert live.health()["mongoConnected"] is False
    assert live.flusher is not None
    assert live.flusher.poll() is None, "an absent MongoDB is no reason to exit"
    server.start()
    live.assert_exact()
    wait_for(lambda: live.health()["status"] == "ok", "health recovers")


def test_a_mongod_that_hangs_is_waited_for(live: Live, server: Mongod) -> None:
    live.environ["MONGO_URI"] = f"{server.uri}/?socketTimeoutMS=1000"
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    live.wait_delivered()
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)
    live.ledger.append("p/a.jsonl", *lines(10, 10))
    try:
        wait_for(lambda: live.health("stats").get("retries"), "it times out")
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    live.assert_exact()


def test_sigterm_delivers_what_is_queued(live: Live) -> None:
    live.start_pair()
    live.ledger.append("p/a.jsonl", *lines(0, 3000))
    wait_for(lambda: live.queued() == 3000, "queued")
    flusher = live.start_flusher(BATCH_SIZE="100")
    wait_for(lambda: live.counters()["delivered"] > 0, "it has begun")
    flusher.terminate()
    assert flusher.wait(PATIENCE) == 0
    assert live.queued() == 0
    live.ledger.assert_exact(live.database)


def test_sigterm_ends_the_flusher_although_mongod_is_away(
    live: Live, server: Mongod
) -> None:
    server.kill()
    live.start_pair()
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    wait_for(lambda: live.queued() == 10, "they wait in the buffer")
    flusher = live.start_flusher(CCLAKE_DRAIN_SECONDS="1")
    wait_for(lambda: live.health().get("status") == "failing", "it tries")
    flusher.terminate()
    assert flusher.wait(PATIENCE) == 0
    assert live.queued() == 10


def test_a_second_flusher_waits_and_takes_over(live: Live) -> None:
    first = live.start_flusher()
    wait_for(lambda: live.health(), "the first one answers")
    second = live.start_flusher()
    live.start_pair()
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    live.wait_delivered()
    assert second.poll() is None
    first.kill()
    first.wait()
    live.assert_exact()
    assert second.poll() is None


def test_a_program_that_locks_the_buffer_for_long_is_waited_for(live: Live) -> None:
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    live.wait_delivered()
    with closing(sqlite3.connect(live.buffer, isolation_level=None)) as other:
        other.execute("begin immediate")
        live.ledger.append("p/a.jsonl", *lines(10, 10))
        time.sleep(3)
        assert live.ledger.missing(live.database) == 10
        other.execute("rollback")
    live.assert_exact()


def test_nothing_outlives_a_supervisor_that_is_killed(live: Live) -> None:
    supervisor = live.launch(["bash", "-c", f"({PAIR}) & (exec flusher run) & wait"])
    live.pair = supervisor
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    live.wait_delivered()
    all_of = psutil.Process(supervisor.pid).children(recursive=True)
    children = [each for each in all_of if each.status() != psutil.STATUS_ZOMBIE]
    assert {each.name() for each in children} == {"tailer", "buffer", "flusher"}
    supervisor.kill()
    supervisor.wait()
    _gone, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert alive == []
    live.start()
    live.assert_exact()
