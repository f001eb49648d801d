"""The reports of /health, /stats and /metrics while ingestion runs."""

import json
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.request

import pytest
from harness import PATIENCE, wait_for
from live import Live, lines
from prometheus_client.parser import text_string_to_metric_families


def metrics(live: Live) -> dict[str, float]:
    """Return the metrics without labels, as a Prometheus client reads them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{live.port}/metrics") as answer:
        text = answer.read().decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


def test_health_has_the_old_keys_and_counts_every_line(live: Live) -> None:
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 100))
    live.assert_exact()
    wait_for(
        lambda: (
            (live.health("stats").get("tailer") or {}).get("files_live") == 2
            and live.health()["behind_bytes"] == 0
        ),
        "the tailer's numbers",
    )
    health = live.health()
    assert health["status"] == "ok", health["reasons"]
    assert health["reasons"] == []
    assert (health["pending"], health["synced"]) == (0, 101)
    assert health["lastSyncAt"].endswith("Z")
    assert health["mongoConnected"] is True
    assert health["uptime"] > 0
    assert (health["queue_bytes"], health["dead_letters"]) == (0, 0)
    assert health["oldest_pending_s"] is None
    assert health["conservation_error"] == 0
    assert 0 < health["e2e_latency_ms"]["p50"] <= health["e2e_latency_ms"]["p99"]
    stats = live.health("stats")
    assert stats["delivered"] == 101
    assert stats["tailer"]["files_live"] == 2
    assert stats["counters"]["lines_read"] == 101


def test_metrics_are_read_by_a_prometheus_client(live: Live) -> None:
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 100))
    live.wait_delivered()
    name = "cclake_tailer_files_live"
    wait_for(lambda: metrics(live).get(name) == 1, "the tailer's numbers")
    found = metrics(live)
    assert found["cclake_delivered_total"] == 100
    assert found["cclake_duplicates_total"] == 0
    assert found["cclake_lines_read_total"] == 100
    assert found["cclake_queue_rows"] == 0
    assert found["cclake_mongo_up"] == 1
    assert found["cclake_conservation_error"] == 0
    assert found["cclake_tailer_files_live"] == 1


def test_the_exit_status_of_the_health_command_follows_the_status(live: Live) -> None:
    absent = subprocess.run(
        ["flusher", "health"], env=live.environ, capture_output=True, text=True
    )
    assert absent.returncode == 1
    assert "no flusher answers" in absent.stderr
    live.start()
    wait_for(lambda: live.health(), "it answers")
    live.ledger.append("p/a.jsonl", *lines(0, 1))
    live.wait_delivered()
    assert json.loads(live.run("flusher", "health", "--json"))["status"] == "ok"


def test_failing_health_is_503_and_the_command_exits_1(live: Live) -> None:
    live.environ["MONGO_URI"] = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300"
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 1))
    wait_for(lambda: live.health().get("status") == "failing", "it fails")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{live.port}/health")
    with caught.value as error:
        assert error.code == 503
    asked = subprocess.run(["flusher", "health"], env=live.environ, capture_output=True)
    assert asked.returncode == 1


def test_a_port_in_use_is_reported_and_fatal(live: Live) -> None:
    with socket.create_server(("127.0.0.1", live.port)):
        flusher = live.start_flusher()
        assert flusher.wait(PATIENCE) == 1
    assert f"cannot listen on port {live.port} for health" in live.log.read_text()


def test_health_listens_on_the_loopback_interface_only(live: Live) -> None:
    live.start_flusher()
    wait_for(lambda: live.health(), "it answers")
    other = socket.gethostbyname(socket.gethostname())
    if other.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError):
        socket.create_connection((other, live.port), timeout=PATIENCE).close()


def test_dead_letters_and_a_paused_buffer_are_degraded_health(live: Live) -> None:
    live.database.create_collection(
        "conversations", validator={"entry.n": {"$ne": 1}, "raw": {"$exists": False}}
    )
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 3))
    live_is = lambda: live.health().get("dead_letters") == 1  # noqa: E731
    wait_for(live_is, "the dead letter shows")
    assert live.health()["status"] == "degraded"
    assert "1 dead letters" in live.health()["reasons"][0]
    live.ledger.assert_exact(live.database, live.buffer)


def test_a_pinned_reader_is_named_when_the_wal_does_not_shrink(live: Live) -> None:
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    live.wait_delivered()
    pin = sqlite3.connect(live.buffer, isolation_level=None)
    pin.execute("begin")
    pin.execute("select count(*) from files").fetchone()
    for part in range(8):
        live.ledger.append("p/a.jsonl", *lines(part * 100, 100, width=100_000))
    live.wait_delivered()
    health = live.health()
    assert health["status"] == "degraded"
    assert "the WAL does not shrink" in health["reasons"][0]
    pin.close()
    live.ledger.append("p/a.jsonl", *lines(9000, 200, width=50_000))
    live.wait_delivered()
    wait_for(lambda: live.health()["status"] == "ok", "it shrinks again")
    live.ledger.assert_exact(live.database)
