"""The flusher on bad networks and replica sets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import PATIENCE, Mongod, connect, wait_for
from live import Live, lines
from proxy import Proxy
from pymongo.errors import PyMongoError

pytestmark = pytest.mark.fault


@pytest.fixture
def proxy(server: Mongod) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def through(live: Live, proxy: Proxy) -> None:
    """Connect the flusher to MongoDB through the proxy only."""
    live.environ["MONGO_URI"] = (
        f"mongodb://127.0.0.1:{proxy.port}/?socketTimeoutMS=1500&directConnection=true"
    )


def test_a_reply_that_is_lost_after_the_insert_duplicates_nothing(
    live: Live, proxy: Proxy
) -> None:
    through(live, proxy)
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    live.wait_delivered()
    proxy.cut_replies = 2
    live.ledger.append("p/a.jsonl", *lines(10, 10))
    live.assert_exact()
    assert proxy.cuts == 2
    assert live.counters()["duplicates"] >= 10, "the insert had happened"


def test_a_connection_that_swallows_everything_is_given_up(
    live: Live, proxy: Proxy
) -> None:
    through(live, proxy)
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    live.wait_delivered()
    proxy.black_hole.set()
    live.ledger.append("p/a.jsonl", *lines(10, 10))
    wait_for(lambda: live.health().get("status") == "failing", "health says so")
    proxy.black_hole.clear()
    live.assert_exact()


def test_a_connection_of_one_byte_a_second_is_given_up_and_retried(
    live: Live, proxy: Proxy
) -> None:
    through(live, proxy)
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 10))
    live.wait_delivered()
    proxy.trickle.set()
    live.ledger.append("p/a.jsonl", *lines(10, 300))
    wait_for(
        lambda: live.health("stats").get("retries", {}).get("mongo", 0) >= 3,
        "it gives up again and again",
    )
    assert live.health()["status"] == "failing"
    assert live.ledger.missing(live.database) == 300
    assert proxy.trickled > 3, "bytes went through"
    proxy.trickle.clear()
    live.assert_exact()
    assert live.health()["status"] == "ok"


@pytest.fixture
def members(tmp_path: Path) -> Iterator[list[Mongod]]:
    """A replica set of three real mongods."""
    three = [
        Mongod(tmp_path / f"member{n}", "--replSet", "three").start() for n in range(3)
    ]
    config = {
        "_id": "three",
        "settings": {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500},
        "members": [
            {"_id": n, "host": f"127.0.0.1:{each.port}"} for n, each in enumerate(three)
        ],
    }
    with connect(three[0].uri) as client:
        client.admin.command("replSetInitiate", config)
    wait_for(lambda: primary(three) is not None, "a primary is elected")
    yield three
    for each in three:
        each.kill()


def primary(members: list[Mongod]) -> Mongod | None:
    for each in members:
        try:
            with connect(each.uri, serverSelectionTimeoutMS=500) as client:
                if client.admin.command("hello")["isWritablePrimary"]:
                    return each
        except PyMongoError:
            continue
    return None


@pytest.mark.slow
def test_a_step_down_and_the_death_of_a_primary_lose_and_repeat_nothing(
    tmp_path: Path, members: list[Mongod]
) -> None:
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in members)
    uri = f"mongodb://{hosts}/?replicaSet=three&socketTimeoutMS=5000"
    with Live(tmp_path, uri) as live:
        live.start()
        live.ledger.append("p/a.jsonl", *lines(0, 300))
        live.wait_delivered()
        first = primary(members)
        assert first is not None
        live.ledger.append("p/a.jsonl", *lines(300, 300))
        with connect(first.uri) as client:
            client.admin.command("replSetStepDown", 10, force=True)
        live.ledger.append("p/a.jsonl", *lines(600, 300))
        live.wait_delivered()
        wait_for(lambda: primary(members) is not None, "a new primary")
        second = primary(members)
        assert second is not None
        live.ledger.append("p/a.jsonl", *lines(900, 300))
        second.kill()
        live.ledger.append("p/a.jsonl", *lines(1200, 300))
        live.assert_exact()
        second.start()


def test_a_password_in_the_uri_is_never_printed(live: Live, server: Mongod) -> None:
    secret = "tOpSeCrEt"
    address = server.uri.removeprefix("mongodb://")
    live.environ["MONGO_URI"] = f"mongodb://me:{secret}@{address}/"
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 3))
    wait_for(lambda: live.health().get("status") == "failing", "it is refused")
    shown = live.log.read_text() + str(live.health("stats"))
    assert "failed" in shown
    assert secret not in shown
    live.environ["MONGO_URI"] = f"mongodb://me:{secret}@[broken"
    live.kill_flusher()
    flusher = live.start_flusher()
    assert flusher.wait(PATIENCE) == 1
    assert "cannot be used as MONGO_URI" in live.log.read_text()
    assert secret not in live.log.read_text()
