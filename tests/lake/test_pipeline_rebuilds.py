"""When the pipeline rebuilds gold, over a dbt project of one mart."""

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from harness import BIN, Mongod, connect
from pipelines import add, last_run, pipeline, published
from tiny_dbt import make_project


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


def test_a_failed_stage_leaves_the_last_good_export_and_what_it_changed_is_rebuilt(
    home: Path, mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    make_project(tmp_path / "dbt", MADE_BY % "A")
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    make_project(tmp_path / "dbt", MADE_BY % "B")
    broken = tmp_path / "dbt" / "models" / "zz.sql"
    broken.write_text("select nothing from {{ ref('fct_messages') }}")
    add(mongod, mongo_db, 11, 12)
    failed = pipeline("run")
    assert failed.returncode == 1
    assert "pipeline: dbt failed" in failed.stderr
    assert "nothing" in failed.stdout
    assert "Traceback" not in failed.stderr
    assert published(home) == 10
    stages = last_run()["stages"]
    assert [stage["outcome"] for stage in stages] == ["done", "done", "failed"]
    broken.unlink()
    make_project(tmp_path / "dbt", MADE_BY % "A")
    add(mongod, mongo_db, 13, 14)
    assert pipeline("run").returncode == 0
    path = home / "exports" / "conversations.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as export:
        query = "select made_by, count(*) from fct_messages group by 1"
        assert export.execute(query).fetchall() == [("A", 14)]


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
