"""MongoDB to report in one run: the pipeline with the project's own dbt models."""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from bson import Int64
from harness import BIN, PATIENCE, Mongod, connect
from shipping import ship

FIXTURE = Path(__file__).parents[1] / "fixtures" / "pricing"
EXPECTED = json.loads((FIXTURE / "expected.json").read_text())


@pytest.fixture
def home() -> Path:
    return Path(os.environ["CCLAKE_HOME"])


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


def dbt_detail(result: dict[str, Any]) -> str:
    (detail,) = [s["detail"] for s in result["stages"] if s["stage"] == "dbt"]
    return str(detail)


def rows(result: dict[str, Any]) -> dict[str, int | None]:
    return {stage["stage"]: stage["rows"] for stage in result["stages"]}


def test_lines_that_come_in_two_runs_cost_what_they_cost(
    mongod: Mongod, mongo_db: str
) -> None:
    ship(FIXTURE / "projects")
    with connect(mongod.uri) as client:
        watermarks = client[mongo_db].watermarks
        (found,) = watermarks.find()
        whole, half = found["acked_seq"], found["acked_seq"] // 2
        watermarks.update_one({}, {"$set": {"acked_seq": Int64(half)}})
        first = run("pipeline", "run")
        assert rows(first)["extract"] == half
        watermarks.update_one({}, {"$set": {"acked_seq": Int64(whole)}})
    second = run("pipeline", "run")
    assert rows(second)["extract"] == whole - half
    assert dbt_detail(second).endswith("by saved statements")
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


def test_what_saved_statements_cannot_do_is_done_by_dbt(
    mongod: Mongod, mongo_db: str, home: Path
) -> None:
    ship(FIXTURE / "projects")
    with connect(mongod.uri) as client:
        watermarks = client[mongo_db].watermarks
        (found,) = watermarks.find()
        whole = found["acked_seq"]
        watermarks.update_one({}, {"$set": {"acked_seq": Int64(whole - 2)}})
        run("pipeline", "run")
        with duckdb.connect(str(home / "analytics.duckdb")) as gold:
            gold.execute("drop table marts.fct_messages")
            before = gold.execute("from intermediate.build_state").fetchall()
        watermarks.update_one({}, {"$set": {"acked_seq": Int64(whole - 1)}})
        second = run("pipeline", "run")
        assert dbt_detail(second).endswith("models")
        (home / "dbt-target" / "statements.json").write_text("{")
        watermarks.update_one({}, {"$set": {"acked_seq": Int64(whole)}})
        third = run("pipeline", "run")
        assert dbt_detail(third).endswith("models")
    with duckdb.connect(str(home / "analytics.duckdb")) as gold:
        after = gold.execute("from intermediate.build_state").fetchall()
    assert [state[:2] for state in (*before, *after)] == [(True, True)] * 2
    totals = run("report", "daily")["totals"]
    assert totals["cost_usd"] == Decimal(EXPECTED["cost_usd"])
