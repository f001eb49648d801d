"""The pipeline with its real stages, over a dbt project of one mart."""

import fcntl
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from documents import documents, store
from harness import BIN, PATIENCE, Mongod, connect, free_port, wait_for
from prometheus_client.parser import text_string_to_metric_families
from tiny_dbt import make_project


@pytest.fixture
def home(tmp_path: Path, mongo_db: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCLAKE_DBT_DIR", str(make_project(tmp_path / "dbt")))
    return tmp_path / "cclake"


def add(mongod: Mongod, database: str, first: int, last: int) -> None:
    with connect(mongod.uri) as client:
        store(client[database], list(documents(first, last)))


def pipeline(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "pipeline", *arguments], capture_output=True, text=True, timeout=PATIENCE
    )


def published(home: Path) -> int:
    path = home / "exports" / "conversations.db"
    if not path.exists():
        return -1
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as export:
        return int(export.execute("select count(*) from fct_messages").fetchone()[0])


def last_run() -> dict[str, Any]:
    done = pipeline("runs", "--json", "--limit", "1")
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)
    run: dict[str, Any] = runs[0] if runs else {}
    return run


def test_a_run_brings_documents_into_the_export_and_is_recorded(
    home: Path, mongod: Mongod, mongo_db: str
) -> None:
    add(mongod, mongo_db, 1, 30)
    done = pipeline("run")
    assert done.returncode == 0, done.stderr
    assert published(home) == 30
    add(mongod, mongo_db, 31, 35)
    done = pipeline("run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "done"
    assert published(home) == 35
    run = last_run()
    rows = {stage["stage"]: stage["rows"] for stage in run["stages"]}
    assert rows == {"extract": 5, "load": 5, "dbt": None, "publish": 5}
    assert (run["watermark"], run["mode"], run["outcome"]) == (
        35,
        "incremental",
        "done",
    )


def test_every_mode_ends_with_the_same_gold(
    home: Path, mongod: Mongod, mongo_db: str
) -> None:
    add(mongod, mongo_db, 1, 20)
    assert pipeline("run").returncode == 0
    for mode in ("full", "backfill", "daily"):
        done = pipeline("run", f"--{mode}")
        assert done.returncode == 0, done.stderr
        assert published(home) == 20
        assert last_run()["mode"] == mode


def details() -> dict[str, str]:
    return {stage["stage"]: stage["detail"] for stage in last_run()["stages"]}


def test_where_nothing_is_new_neither_dbt_nor_publish_runs(
    home: Path, mongod: Mongod, mongo_db: str
) -> None:
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    before = export_files(home)
    assert pipeline("run").returncode == 0
    assert (details()["dbt"], details()["publish"]) == ("nothing new", "nothing new")
    assert export_files(home) == before
    add(mongod, mongo_db, 11, 12)
    assert pipeline("run").returncode == 0
    assert details()["dbt"] == "1 models"
    assert published(home) == 12
    # Rows that were loaded by hand are new as well.
    add(mongod, mongo_db, 13, 16)
    for tool in ("extract", "load"):
        subprocess.run([BIN / tool], check=True, capture_output=True)
    assert pipeline("run").returncode == 0
    assert published(home) == 16


def export_files(home: Path) -> list[tuple[str, int, int]]:
    """Everything in the folder of the exports, so that a rewritten file shows."""
    return sorted(
        (path.name, path.stat().st_ino, path.stat().st_mtime_ns)
        for path in (home / "exports").iterdir()
    )


def test_what_is_missing_is_made_though_nothing_is_new(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "dbt", "select * from {{ ref('stg') }}")
    view = "{{ config(materialized='view', schema='staging') }}"
    (project / "models" / "stg.sql").write_text(f"{view} from raw.conversations")
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    (home / "exports" / "conversations.db").unlink()
    assert pipeline("run").returncode == 0
    assert details()["dbt"] == "1 models"
    assert published(home) == 10
    (home / "analytics.duckdb").unlink()
    subprocess.run([BIN / "load"], check=True, capture_output=True)
    done = pipeline("run")
    assert done.returncode == 0, done.stdout
    assert details()["dbt"] == "2 models"
    assert published(home) == 10


def test_a_failed_stage_leaves_the_last_good_export(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    make_project(tmp_path / "dbt", "select nothing from raw.conversations")
    add(mongod, mongo_db, 11, 20)
    failed = pipeline("run")
    assert failed.returncode == 1
    assert "pipeline: dbt failed" in failed.stderr
    assert "nothing" in failed.stdout
    assert "Traceback" not in failed.stderr
    assert published(home) == 10
    stages = last_run()["stages"]
    assert [stage["outcome"] for stage in stages] == ["done", "done", "failed"]
    make_project(tmp_path / "dbt")
    assert pipeline("run").returncode == 0
    assert published(home) == 20


def test_a_changed_model_makes_gold_anew(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    incremental = "{{ config(materialized='incremental', on_schema_change='fail') }}"
    rows = "select doc_id, part{} from raw.conversations {{% if is_incremental() %}}"
    rows += " where extract_run > (select max(extract_run) from {{{{ this }}}})"
    rows += "{{% endif %}}"
    add(mongod, mongo_db, 1, 10)
    make_project(tmp_path / "dbt", incremental + rows.format(", extract_run"))
    assert pipeline("run").returncode == 0
    assert pipeline("run").returncode == 0
    assert last_run()["mode"] == "incremental"
    more = ", extract_run, session_id"
    make_project(tmp_path / "dbt", incremental + rows.format(more))
    done = pipeline("run")
    assert done.returncode == 0, done.stdout
    assert last_run()["mode"] == "rebuild"
    assert published(home) == 10
    assert pipeline("run").returncode == 0
    assert last_run()["mode"] == "incremental"


def test_rows_that_the_lake_took_back_are_taken_out_of_gold(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    model = "{{ config(materialized='incremental') }}"
    model += "select doc_id, part, extract_run from raw.conversations"
    model += " {% if is_incremental() %} where extract_run >"
    model += " (select max(extract_run) from {{ this }}) {% endif %}"
    make_project(tmp_path / "dbt", model)
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    snapshots: list[str | Path] = [BIN / "extract", "table", "snapshots", "--json"]
    printed = subprocess.run(snapshots, capture_output=True, check=True)
    first = json.loads(printed.stdout)[-1]["snapshot_id"]
    add(mongod, mongo_db, 11, 15)
    assert pipeline("run").returncode == 0
    back: list[str | Path] = [BIN / "extract", "table", "rollback", str(first)]
    subprocess.run(back, check=True, capture_output=True)
    done = pipeline("run")
    assert done.returncode == 0, done.stdout
    assert published(home) == 15


MADE_BY = (
    "{{ config(materialized='incremental') }} select doc_id, part, extract_run,"
    " '%s' as made_by from raw.conversations {%% if is_incremental() %%}"
    " where extract_run > (select max(extract_run) from {{ this }}) {%% endif %%}"
)


def test_rows_that_a_load_outside_of_a_run_took_back_are_taken_out_of_gold(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    make_project(tmp_path / "dbt", MADE_BY % "A")
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    with connect(mongod.uri) as client:
        client[mongo_db]["conversations"].delete_one({"seq": 3})
    # As a run does that is killed behind its load, which nobody hears of then.
    for command in ("extract --full-backfill", "load"):
        name, *options = command.split()
        subprocess.run([BIN / name, *options], check=True, capture_output=True)
    assert pipeline("run").returncode == 0
    assert published(home) == 9
    add(mongod, mongo_db, 11, 12)
    assert pipeline("run").returncode == 0
    assert published(home) == 11


def test_a_return_to_the_models_before_a_failed_change_makes_gold_anew(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    make_project(tmp_path / "dbt", MADE_BY % "A")
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    make_project(tmp_path / "dbt", MADE_BY % "B")
    broken = tmp_path / "dbt" / "models" / "zz.sql"
    broken.write_text("select nothing from {{ ref('fct_messages') }}")
    assert pipeline("run").returncode == 1
    broken.unlink()
    make_project(tmp_path / "dbt", MADE_BY % "A")
    add(mongod, mongo_db, 11, 12)
    assert pipeline("run").returncode == 0
    path = home / "exports" / "conversations.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as export:
        query = "select made_by, count(*) from fct_messages group by 1"
        assert export.execute(query).fetchall() == [("A", 12)]


def test_a_dbt_that_runs_out_of_memory_gets_more(
    home: Path,
    mongod: Mongod,
    mongo_db: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = "with l as (select list(i) as many from range(4000000) as r (i))"
    wide += " select doc_id, part, len(many) as n from raw.conversations, l"
    project = make_project(tmp_path / "dbt", wide)
    profiles = project / "profiles.yml"
    limit = (
        "settings: {memory_limit: \"{{ env_var('CCLAKE_DUCKDB_MEMORY', '30MB') }}\"}"
    )
    text = profiles.read_text().replace("threads: 1", f"threads: 1, {limit}")
    assert limit in text
    profiles.write_text(text)
    add(mongod, mongo_db, 1, 10)
    monkeypatch.setenv("CCLAKE_DUCKDB_MEMORY", "30MB")
    chosen = pipeline("run")
    assert chosen.returncode == 1
    assert "Out of Memory" in chosen.stdout
    monkeypatch.delenv("CCLAKE_DUCKDB_MEMORY")
    done = pipeline("run")
    assert done.returncode == 0, done.stdout
    assert published(home) == 10


def test_a_run_does_not_start_beside_another(home: Path, mongo_db: str) -> None:
    home.mkdir(parents=True)
    with (home / "pipeline.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = pipeline("run", "--no-wait")
    assert refused.returncode == 75
    assert "another run is going on" in refused.stderr


def test_two_modes_at_once_are_wrong_usage(home: Path) -> None:
    assert pipeline("run", "--full", "--daily").returncode == 2


@contextmanager
def watching(log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [BIN / "pipeline", "watch", "--quiet", "0.3", "--port", "0", *options],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)


def test_watch_publishes_what_comes_and_ends_when_asked(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    add(mongod, mongo_db, 1, 5)
    log = tmp_path / "watch.log"
    with watching(log) as process:
        wait_for(lambda: published(home) == 5, "the first run")
        add(mongod, mongo_db, 6, 9)
        wait_for(lambda: published(home) == 9, "the second run")
        wait_for(lambda: last_run()["outcome"] == "done", "its record")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    lines = log.read_text().splitlines()
    assert [line.split()[1:4] for line in lines[:2]] == [
        ["run", "1", "done"],
        ["run", "2", "done"],
    ]
    assert lines[-1].endswith("stopped")


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_the_runs_of_watch_are_told_to_prometheus(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    add(mongod, mongo_db, 1, 5)
    port = free_port()
    with watching(tmp_path / "watch.log", "--port", str(port)):
        wait_for(lambda: last_run().get("outcome") == "done", "the first run")
        _, text = get(port, "/metrics")
        code, health = get(port, "/health")
        assert get(port, "/nothing")[0] == 404
        make_project(tmp_path / "dbt", "select nothing from raw.conversations")
        add(mongod, mongo_db, 6, 9)
        wait_for(lambda: last_run()["outcome"] == "failed", "a failed run")
        assert get(port, "/health")[0] == 503
        _, after = get(port, "/metrics")
    assert code == 200
    assert json.loads(health)["stages"]["load"]["rows"] == 5
    found = samples(text)
    assert found["cclake_pipeline_stage_rows", "extract"] == 5
    assert found["cclake_pipeline_watermark", ""] == 5
    assert found["cclake_pipeline_last_run_outcome", "done"] == 1
    assert found["cclake_pipeline_runs_total", ""] == 1
    later = samples(after)
    assert later["cclake_pipeline_last_run_outcome", "failed"] == 1
    assert later["cclake_pipeline_stage_done", "dbt"] == 0
    assert later["cclake_pipeline_watermark", ""] == 5
    at = "cclake_pipeline_last_done_seconds", ""
    assert later[at] == found[at] <= time.time()


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.fault
def test_a_run_killed_in_any_stage_loses_nothing(
    home: Path, mongod: Mongod, mongo_db: str
) -> None:
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    before = 10
    for stage in ("extract", "load", "dbt", "publish"):
        add(mongod, mongo_db, before + 1, before + 15)
        process = subprocess.Popen(
            [BIN / "pipeline", "run"],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(partial(running, home, stage), f"{stage} runs")
        finally:
            process.kill()
            process.wait(PATIENCE)
        assert published(home) in (before, before + 15)
        assert pipeline("run").returncode == 0
        before += 15
        assert published(home) == before
        runs = json.loads(pipeline("runs", "--json", "--limit", "2").stdout)
        assert [run["outcome"] for run in runs] == ["done", "interrupted"]


def running(home: Path, stage: str) -> bool:
    return running_stage(home) == stage


def running_stage(home: Path) -> str:
    path = home / "pipeline.db"
    if not path.exists():
        return ""
    with closing(sqlite3.connect(path)) as record:
        try:
            row = record.execute(
                "select stage from stages where outcome = 'running'"
            ).fetchone()
        except sqlite3.OperationalError:  # its tables are just being made
            return ""
    return str(row[0]) if row else ""


def test_ctrl_c_ends_the_stage_and_says_so(
    home: Path, mongod: Mongod, mongo_db: str
) -> None:
    add(mongod, mongo_db, 1, 5)
    process = subprocess.Popen(
        [BIN / "pipeline", "run"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        wait_for(lambda: running_stage(home) == "dbt", "dbt runs")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert b"interrupted" in out
    assert last_run()["outcome"] == "interrupted"


def test_on_a_terminal_the_stages_draw_on_it(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    add(mongod, mongo_db, 1, 5)
    shown = tmp_path / "terminal"
    code = f"""
import os, pty, sys
with open({str(shown)!r}, "wb") as log:
    def read(fd):
        data = os.read(fd, 65536)
        log.write(data)
        return data
    sys.exit(os.waitstatus_to_exitcode(pty.spawn([{str(BIN / "pipeline")!r}, "run"], read)))
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    text = shown.read_text()
    assert "dbt 1/1" in text
    assert "run 1 done" in text


def test_a_copied_data_directory_leaves_the_first_one_alone(
    home: Path, mongod: Mongod, mongo_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(mongod, mongo_db, 1, 5)
    assert pipeline("run").returncode == 0
    other, link = home.with_name("copy"), home.with_name("link")
    link.symlink_to(home)
    shutil.copytree(home, other)
    before = sorted((home / "iceberg").rglob("*"))
    monkeypatch.setenv("CCLAKE_HOME", str(other))
    add(mongod, mongo_db, 6, 9)
    refused = pipeline("run")
    assert refused.returncode == 1
    assert f"{other / 'iceberg'} was moved or copied" in refused.stdout
    assert str(home / "iceberg") in refused.stdout
    assert sorted((home / "iceberg").rglob("*")) == before
    shutil.rmtree(other / "iceberg")
    assert pipeline("run", "--backfill").returncode == 0
    assert (published(other), published(home)) == (9, 5)
    # Another name of the same folder is no other place.
    monkeypatch.setenv("CCLAKE_HOME", str(link))
    done = pipeline("run")
    assert done.returncode == 0, pipeline("runs").stdout + done.stderr
    assert published(home) == 9
