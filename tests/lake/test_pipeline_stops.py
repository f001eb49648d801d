"""Runs that are killed, stopped, watched and drawn, over a dbt project of one mart."""

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from harness import BIN, PATIENCE, Mongod, free_port, wait_for
from pipelines import add, last_run, pipeline, published
from prometheus_client.parser import text_string_to_metric_families
from tiny_dbt import make_project


@pytest.mark.fault
def test_a_run_killed_in_any_stage_loses_nothing(
    home: Path, mongod: Mongod, mongo_db: str
) -> None:
    add(mongod, mongo_db, 1, 10)
    assert pipeline("run").returncode == 0
    stages = ("extract", "load", "dbt", "publish")
    for number, stage in enumerate(stages, 1):
        add(mongod, mongo_db, 15 * number - 4, 15 * number + 10)
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
        # The last one may have published already what all of them brought.
        assert published(home) in (10, 15 * number + 10)
    assert pipeline("run").returncode == 0
    assert published(home) == 70
    runs = json.loads(pipeline("runs", "--json", "--limit", "5").stdout)
    assert [run["outcome"] for run in runs] == ["done"] + ["interrupted"] * 4


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
    home.mkdir(exist_ok=True)
    (home / "budgets.toml").write_text("budget = 1")
    port, log = free_port(), tmp_path / "watch.log"
    with watching(log, "--port", str(port)):
        wait_for(lambda: last_run().get("outcome") == "done", "the first run")
        wait_for(lambda: " budgets: " in log.read_text(), "what is wrong with the file")
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
    assert found["cclake_budgets_readable", ""] == 0
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
