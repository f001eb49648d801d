"""`extract --follow`, interruptions, and a MongoDB that is away."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cclake_extract.state import state_of
from cclake_lake.catalog import find_table
from cclake_lake.settings import Lake
from documents import documents, store
from harness import BIN, PATIENCE, Mongod, connect, free_port, wait_for
from lakes import answer, keys, tool, wanted
from pymongo.database import Database

Db = Database[dict[str, Any]]


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[Mongod]:
    server = Mongod(tmp_path / "rs", "--replSet", "rs0").start()
    with connect(server.uri) as client:
        member = {"_id": 0, "host": f"127.0.0.1:{server.port}"}
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        wait_for(lambda: client.admin.command("hello")["isWritablePrimary"])
    yield server
    server.kill()


def follower(**env: str) -> "subprocess.Popen[str]":
    command = [str(BIN / "extract"), "--follow", "--interval", "0", "--json"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | env
    )


def reached(lake: Lake, seq: int) -> bool:
    table = find_table(lake)
    return table is not None and state_of(table).watermarks.get("a" * 32) == seq


def follows(db: Db, lake: Lake, **env: str) -> None:
    store(db, list(documents(1, 20)))
    process = follower(**env)
    try:
        for last in (20, 25, 40):
            wait_for(lambda last=last: reached(lake, last), f"seq {last}")  # type: ignore[misc]
            if last < 40:
                new = {20: 25, 25: 40}[last]
                store(db, list(documents(last + 1, new)))
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert sum(json.loads(line)["rows"] for line in out.splitlines()) == 40
    assert keys(lake) == wanted(db)


def test_follow_takes_what_comes_from_a_standalone(db: Db, lake: Lake) -> None:
    follows(db, lake)


def test_follow_takes_what_comes_from_a_replica_set(
    replica_set: Mongod, lake: Lake
) -> None:
    with connect(replica_set.uri) as client:
        follows(client["lake"], lake, MONGO_URI=replica_set.uri, MONGO_DB="lake")


def test_follow_outlives_a_mongodb_that_goes_away(tmp_path: Path, lake: Lake) -> None:
    server = Mongod(tmp_path / "own").start()
    with connect(server.uri) as client:
        store(client["lake"], list(documents(1, 20)))
    process = follower(MONGO_URI=server.uri, MONGO_DB="lake")
    try:
        wait_for(lambda: reached(lake, 20), "the first rows")
        server.kill()
        server.start()
        with connect(server.uri) as client:
            store(client["lake"], list(documents(21, 30)))
        wait_for(lambda: reached(lake, 30), "the rows after the fall")
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)
        server.kill()


def test_an_interrupted_run_ends_with_130_and_the_next_one_goes_on(
    db: Db, lake: Lake
) -> None:
    store(db, list(documents(1, 60_000)))
    process = subprocess.Popen([BIN / "extract"], stdout=subprocess.DEVNULL)
    wait_for(lambda: list(Path(lake.warehouse).rglob("*.parquet")), "it writes")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert answer("extract")["run"] >= 1
    assert keys(lake) == wanted(db)


def test_an_absent_mongodb_is_said_in_one_sentence(lake: Lake) -> None:
    uri = f"mongodb://me:secret@127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=300"
    failed = tool("extract", MONGO_URI=uri)
    assert failed.returncode == 75
    assert failed.stderr.startswith("extract: MongoDB at me:***@127.0.0.1")
    assert "secret" not in failed.stderr
    assert "Topology" not in failed.stderr  # nobody can use the driver's state
    assert len(failed.stderr.splitlines()) == 2


def test_a_mongodb_address_that_is_none_is_refused(lake: Lake) -> None:
    failed = tool("extract", MONGO_URI="postgres://x")
    assert failed.returncode == 1
    assert "cannot be used as MONGO_URI" in failed.stderr
