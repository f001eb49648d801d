"""MongoDB to report in one run: the pipeline with the project's own dbt models."""

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

from documents import Document, acknowledge, document
from harness import BIN, PATIENCE, Mongod, connect

FIXTURE = Path(__file__).parents[1] / "fixtures" / "pricing"
EXPECTED = json.loads((FIXTURE / "expected.json").read_text())


def fixture_documents() -> list[Document]:
    """A document for each whole line of the fixture, as the flusher stores them."""
    found: list[Document] = []
    for path in sorted((FIXTURE / "projects").rglob("*.jsonl")):
        name = path.relative_to(FIXTURE / "projects").as_posix()
        off = 0
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                seq = len(found) + 1
                found.append(document(line[:-1], seq, off=off, path=name))
            off += len(line)
    return found


def run(*command: str | Path) -> dict[str, Any]:
    done = subprocess.run(
        [BIN / command[0], *command[1:], "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout, parse_float=Decimal)
    return found


def rows(result: dict[str, Any]) -> dict[str, int | None]:
    return {stage["stage"]: stage["rows"] for stage in result["stages"]}


def test_documents_that_come_in_two_runs_cost_what_they_cost(
    mongod: Mongod, mongo_db: str
) -> None:
    found = fixture_documents()
    half = len(found) // 2
    with connect(mongod.uri) as client:
        database = client[mongo_db]
        database.conversations.create_index([("buffer", 1), ("seq", 1)])
        database.conversations.insert_many(found)
        acknowledge(database, found[0]["buffer"], half)
        first = run("pipeline", "run")
        assert rows(first)["extract"] == half
        acknowledge(database, found[0]["buffer"], len(found))
    second = run("pipeline", "run")
    assert rows(second)["extract"] == len(found) - half
    totals = run("report", "daily")["totals"]
    assert totals["cost_usd"] == Decimal(EXPECTED["cost_usd"])
    assert totals["input_tokens"] == EXPECTED["input_tokens"]
    assert totals["output_tokens"] == EXPECTED["output_tokens"]
    run("publish")  # the spare export catches up
    third = run("pipeline", "run", "--daily")
    assert rows(third)["extract"] == 0
    assert run("report", "daily")["totals"] == totals
    fourth = run("pipeline", "run")
    assert rows(fourth) == {"extract": 0, "load": 0, "dbt": None, "publish": 0}
