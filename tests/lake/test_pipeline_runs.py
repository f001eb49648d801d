"""The pipeline with its real stages, over a dbt project of one mart."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import BIN, Mongod
from pipelines import add, details, last_run, pipeline, published
from tiny_dbt import make_project


def test_a_run_of_every_mode_brings_all_into_the_export_and_is_recorded(
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
    for mode in ("full", "backfill", "daily"):
        done = pipeline("run", f"--{mode}")
        assert done.returncode == 0, done.stderr
        assert published(home) == 35
        assert last_run()["mode"] == mode


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


def test_a_run_does_not_start_beside_another(home: Path, mongo_db: str) -> None:
    home.mkdir(parents=True)
    with (home / "pipeline.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = pipeline("run", "--no-wait")
    assert refused.returncode == 75
    assert "another run is active" in refused.stderr


def test_a_run_without_its_mongodb_is_to_be_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=9")
    failed = pipeline("run")
    assert failed.returncode == 75
    assert failed.stderr.splitlines()[-2] == "pipeline: extract failed"


def test_two_modes_at_once_are_wrong_usage(home: Path) -> None:
    assert pipeline("run", "--full", "--daily").returncode == 2


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
