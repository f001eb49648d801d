import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cclake_pipeline.child import Child
from harness import wait_for
from tiny_dbt import make_project


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "analytics.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("create schema raw")
        db.execute(
            "create table raw.conversations as"
            " select 'd1' as doc_id, 0 as part, 's1' as session_id, '{}' as entry"
        )
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "dbt")


@pytest.fixture
def worker(tmp_path: Path, database: Path, project: Path) -> Iterator[Child]:
    env = os.environ | {
        "DUCKDB_PATH": str(database),
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    argv = [sys.executable, "-m", "cclake_pipeline.dbt_worker", str(project)]
    child = Child(argv, env)
    yield child
    child.close()


def build(worker: Child, project: Path) -> tuple[dict[str, Any], list[str]]:
    folder = str(project)
    steps: list[str] = []
    result: dict[str, Any] = {}

    def on_line(line: str) -> bool:
        reply = json.loads(line)
        if "ok" in reply:
            result.update(reply)
            return True
        steps.append(reply["what"])
        return False

    places = ["--project-dir", folder, "--profiles-dir", folder]
    worker.send(json.dumps({"run": ["build", "--quiet", *places]}))
    assert worker.follow(on_line), worker.tail()
    return result, steps


def test_the_database_is_free_after_each_run_of_one_worker(
    worker: Child, project: Path, database: Path
) -> None:
    for rows in (1, 2):
        result, steps = build(worker, project)
        assert result == {"ok": True, "counts": {"model": 1, "test": 1}, "failed": []}
        assert len(steps) == 2
        with duckdb.connect(str(database)) as db:
            gold = db.execute("select count(*) from marts.fct_messages").fetchone()
            assert gold == (rows,)
            db.execute("insert into raw.conversations values ('d2', 0, 's1', '{}')")


def test_an_edited_model_is_parsed_again(
    worker: Child, project: Path, database: Path
) -> None:
    build(worker, project)
    model = project / "models" / "fct_messages.sql"
    model.write_text("select 'edited' as doc_id")
    os.utime(model, ns=(2**62, 2**62))
    assert build(worker, project)[0]["ok"]
    with duckdb.connect(str(database)) as db:
        assert db.execute("select * from marts.fct_messages").fetchall() == [
            ("edited",)
        ]


def test_a_worker_that_gets_ready_leaves_the_database_free(
    worker: Child, project: Path, database: Path
) -> None:
    with duckdb.connect(str(database)):
        places = ["--project-dir", str(project), "--profiles-dir", str(project)]
        worker.send(json.dumps({"parse": ["build", "--quiet", *places]}))
        wait_for((project.parent / "target" / "partial_parse.msgpack").exists, 60)
    assert build(worker, project)[0]["ok"]


def test_a_failing_test_names_itself(worker: Child, project: Path) -> None:
    (project / "models" / "fct_messages.sql").write_text("select null as doc_id")
    result, _steps = build(worker, project)
    assert result["ok"] is False
    assert "not_null_fct_messages_doc_id" in result["failed"][0]


def test_a_project_that_cannot_be_parsed_says_why(worker: Child, project: Path) -> None:
    (project / "models" / "broken.sql").write_text("{{ ref('nowhere') }}")
    result, _steps = build(worker, project)
    assert result["ok"] is False
    assert "nowhere" in result["failed"][0]
