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
from cclake_common.stop import Stop
from cclake_pipeline.backlog import follow
from cclake_pipeline.paths import Paths
from cclake_pipeline.run import execute
from cclake_pipeline.run_log import RunLog
from cclake_pipeline.stages import Stages
from cclake_pipeline.watermarks import Watermarks
from harness import BIN, PATIENCE, Mongod, connect
from pipelines import add, published
from shipping import ship
from tiny_dbt import make_project

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


class LastLook(Watermarks):
    """Watermarks; with the second look something comes from `end`."""

    def __init__(self, uri: str, database: str) -> None:
        super().__init__(uri, database)
        self.end, self._end = os.pipe()
        self._looks = 0

    def close(self) -> None:
        for end in (self.end, self._end):
            os.close(end)

    def total(self) -> int:
        self._looks += 1
        if self._looks == 2:
            os.write(self._end, b"\n")
        return super().total()


def test_what_is_loaded_before_the_run_is_counted_by_it(
    mongod: Mongod, mongo_db: str, home: Path, tmp_path: Path
) -> None:
    add(mongod, mongo_db, 1, 20)
    project = make_project(tmp_path / "dbt")
    stages = Stages(Paths(home, project, "dev", mongod.uri, mongo_db), print)
    record, stop = RunLog(home / "pipeline.db"), Stop()
    with LastLook(mongod.uri, mongo_db) as watermarks:
        assert follow(stages, watermarks, 0, watermarks.end, stop, many=1, full=1)
        whole = watermarks.total()
    ended = execute(
        stages, record, "incremental", watermark=whole, stop=stop, pass_on_stop=True
    )
    watermarks.close()
    found = {stage.stage: stage.rows for stage in ended.stages}
    assert (ended.outcome, found["extract"], found["load"]) == ("done", whole, whole)
    assert published(home) == whole == 20


def test_lines_that_come_in_several_runs_cost_what_they_cost(
    mongod: Mongod, mongo_db: str, home: Path
) -> None:
    """By saved statements, and by dbt where those can't do it."""
    ship(FIXTURE / "projects")
    with connect(mongod.uri) as client:
        watermarks = client[mongo_db].watermarks
        (found,) = watermarks.find()
        whole, half = found["acked_seq"], found["acked_seq"] // 2

        def deliver(up_to: int) -> dict[str, Any]:
            watermarks.update_one({}, {"$set": {"acked_seq": Int64(up_to)}})
            return run("pipeline", "run")

        first = deliver(half)
        assert rows(first)["extract"] == half
        served = (home / "exports" / "conversations.db").resolve()
        one = deliver(half + 1)
        assert rows(one)["extract"] == 1
        assert dbt_detail(one).endswith("by saved statements")
        # Only what differs is written, and into the same file.
        assert (rows(one)["publish"] or 0) <= (rows(first)["publish"] or 0) / 2
        assert (home / "exports" / "conversations.db").resolve() == served
        second = deliver(whole - 2)
        assert rows(second)["extract"] == whole - 2 - (half + 1)
        assert dbt_detail(second).endswith("by saved statements")
        with duckdb.connect(str(home / "analytics.duckdb")) as gold:
            gold.execute("drop table marts.fct_messages")
            before = gold.execute("from intermediate.build_state").fetchall()
        assert dbt_detail(deliver(whole - 1)).endswith("models")
        assert dbt_detail(deliver(whole)).endswith("by saved statements")
    with duckdb.connect(str(home / "analytics.duckdb")) as gold:
        after = gold.execute("from intermediate.build_state").fetchall()
    assert [state[:2] for state in (*before, *after)] == [(True, True)] * 2
    totals = run("report", "daily")["totals"]
    assert totals["cost_usd"] == Decimal(EXPECTED["cost_usd"])
    assert totals["input_tokens"] == EXPECTED["input_tokens"]
    assert totals["output_tokens"] == EXPECTED["output_tokens"]
