"""Interrupted extractions, and a MongoDB that is away."""

import signal
import subprocess
from pathlib import Path
from typing import Any

from cclake_lake.settings import Lake
from documents import documents, store
from harness import BIN, PATIENCE, free_port, wait_for
from lakes import answer, keys, tool, wanted
from pymongo.database import Database

Db = Database[dict[str, Any]]


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
    assert failed.stderr.startswith("extract: MongoDB at mongodb://me:***@127.0.0.1")
    assert "secret" not in failed.stderr
    assert "Topology" not in failed.stderr  # nobody can use the driver's state
    assert len(failed.stderr.splitlines()) == 2


def test_a_mongodb_address_that_is_none_is_refused(lake: Lake) -> None:
    failed = tool("extract", MONGO_URI="postgres://x")
    assert failed.returncode == 1
    assert "cannot be used as MONGO_URI" in failed.stderr
