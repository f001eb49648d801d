import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cclake_pipeline.stage_process import StageProcess
from harness import wait_for
from tiny_dbt import make_project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt-worker")


@pytest.fixture
def database(folder: Path) -> Path:
    path = folder / "analytics.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as db:
        db.execute("create schema raw")
        db.execute(
            "create table raw.conversations as"
            " select 'd1' as doc_id, 0 as part, 's1' as session_id, '{}' as entry"
        )
    return path


@pytest.fixture
def project(folder: Path, database: Path) -> Path:
    shutil.rmtree(folder / "dbt", ignore_errors=True)
    return make_project(folder / "dbt")


def start(folder: Path, target: str = "target") -> StageProcess:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DUCKDB_PATH": str(folder / "analytics.duckdb"),
        "DBT_TARGET_PATH": str(folder / target),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DO_NOT_TRACK": "1",
    }
    argv = [sys.executable, "-m", "cclake_pipeline.dbt_worker", str(folder / "dbt")]
    return StageProcess(argv, env)


@pytest.fixture(scope="module")
def worker(folder: Path) -> Iterator[StageProcess]:
    """One worker for all tests, which change the project and the database under it."""
    child = start(folder)
    yield child
    child.close()


def build(
    worker: StageProcess, project: Path, *more: str, part_rows: int | None = None
) -> tuple[dict[str, Any], list[str]]:
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

    paths = ["--project-dir", folder, "--profiles-dir", folder]
    asked = {"run": ["build", "--quiet", *paths, *more], "part_rows": part_rows}
    worker.send(json.dumps(asked))
    assert worker.follow(on_line), worker.tail()
    return result, steps


def test_the_database_is_free_after_each_run_of_one_worker(
    worker: StageProcess, project: Path, database: Path
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
    worker: StageProcess, project: Path, database: Path
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


def test_another_data_directory_uses_the_project_as_it_is_parsed(
    worker: StageProcess, project: Path, database: Path
) -> None:
    build(worker, project)
    (kept,) = (project / "target").glob("parsed-*.msgpack")
    other = start(database.parent, "other")
    parsed = database.parent / "other" / "partial_parse.msgpack"
    result, _steps = build(other, project)
    assert result == {"ok": True, "counts": {"model": 1, "test": 1}, "failed": []}
    assert not parsed.exists()
    # A damaged file is like none.
    kept.write_bytes(kept.read_bytes()[:100])
    os.utime(project / "dbt_project.yml", ns=(2**62, 2**62))
    assert build(other, project)[0]["ok"]
    assert parsed.read_bytes() == kept.read_bytes()
    other.close()


def test_a_worker_that_gets_ready_leaves_the_database_free(
    worker: StageProcess, project: Path, database: Path
) -> None:
    parsed = project.parent / "target" / "partial_parse.msgpack"
    parsed.unlink(missing_ok=True)
    with duckdb.connect(str(database)):
        paths = ["--project-dir", str(project), "--profiles-dir", str(project)]
        worker.send(json.dumps({"parse": ["build", "--quiet", *paths]}))
        wait_for(parsed.exists)
    assert build(worker, project)[0]["ok"]


def test_a_failing_test_names_itself(worker: StageProcess, project: Path) -> None:
    (project / "models" / "fct_messages.sql").write_text("select null as doc_id")
    result, _steps = build(worker, project)
    assert result["ok"] is False
    assert "not_null_fct_messages_doc_id" in result["failed"][0]


def test_a_project_that_cannot_be_parsed_says_why(
    worker: StageProcess, project: Path
) -> None:
    (project / "models" / "broken.sql").write_text("{{ ref('nowhere') }}")
    result, _steps = build(worker, project)
    assert result["ok"] is False
    assert "nowhere" in result["failed"][0]


PARTS = """
select doc_id, part, extract_run, '{{ var('up_to_run', none) }}' as built_up_to
from raw.conversations
where extract_run <= {{ var('up_to_run', 99) }}
{% if is_incremental() %} and extract_run > (select max(extract_run) from {{ this }})
{% endif %}
"""


@pytest.fixture
def long_history(database: Path, project: Path) -> Path:
    model = "{{ config(materialized='incremental') }}" + PARTS
    (project / "models" / "fct_messages.sql").write_text(model)
    with duckdb.connect(str(database)) as db:
        db.execute(
            "create or replace table raw.conversations as select 'd' || n as doc_id,"
            " 0 as part, n // 10 as extract_run from range(10, 60) as numbers (n)"
        )
    return database


def built(database: Path) -> list[tuple[str, int]]:
    with duckdb.connect(str(database)) as db:
        return db.execute(
            "select built_up_to, count(*) from marts.fct_messages"
            " group by all order by all"
        ).fetchall()


def test_a_large_build_is_made_in_parts_and_tested_at_its_end(
    worker: StageProcess, project: Path, long_history: Path
) -> None:
    reply, steps = build(worker, project, "--full-refresh", part_rows=20)
    assert reply == {"ok": True, "counts": {"model": 1, "test": 1}, "failed": []}
    assert built(long_history) == [("2", 20), ("4", 20), ("None", 10)]
    assert [step.split(":")[0] for step in steps[:2]] == ["batch 1/3", "batch 2/3"]
    assert len(steps) == 4


def test_a_small_build_is_made_at_once(
    worker: StageProcess, project: Path, long_history: Path
) -> None:
    assert build(worker, project, part_rows=50)[0]["ok"]
    assert built(long_history) == [("None", 50)]


def test_a_build_in_parts_ends_with_the_first_part_that_fails(
    worker: StageProcess, project: Path, long_history: Path
) -> None:
    failing = "select error('broken') as doc_id from raw.conversations"
    (project / "models" / "fct_messages.sql").write_text(failing)
    reply, steps = build(worker, project, part_rows=20)
    assert reply["ok"] is False
    assert "broken" in reply["failed"][0]
    assert len(steps) == 1
