import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cclake_common.dbt_project import dbt_project
from cclake_common.failure import INTERRUPTED, TRY_LATER, Failure
from cclake_common.stop import Stop
from cclake_pipeline import run_log
from cclake_pipeline.backlog import follow
from cclake_pipeline.paths import Paths, script
from cclake_pipeline.project import fingerprint
from cclake_pipeline.run import execute, run_lock
from cclake_pipeline.run_log import RunLog
from cclake_pipeline.stages import STAGES, Mode, StageResult, Stages, arguments
from cclake_pipeline.watermarks import Watermarks
from harness import BIN
from tiny_dbt import make_project


@pytest.fixture
def record(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "pipeline.db")


def test_a_record_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "pipeline.db").write_text("no database at all" * 100)
    with pytest.raises(Failure, match="cannot be used: file is not a database"):
        RunLog(tmp_path / "pipeline.db")


def test_the_runs_are_shown_to_whoever_may_only_read(
    record: RunLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pipeline.db"
    record.begin("daily", 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute("drop table meta")  # a writer recreates it
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path))
    command = [str(BIN / "pipeline"), "runs", "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [run["mode"] for run in json.loads(shown.stdout)] == ["daily"]
    with closing(sqlite3.connect(path)) as db:
        assert not db.execute(
            "select 1 from sqlite_schema where name='meta'"
        ).fetchall()


def test_a_folder_that_may_not_be_written_can_be_read(
    record: RunLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.begin("daily", 1)
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def in_such_a_folder(address: str, **options: Any) -> sqlite3.Connection:
        if "immutable" not in address:  # what SQLite says there
            address = f"file:{tmp_path}/nowhere.db?mode=ro"
        return connect(address, **options)

    monkeypatch.setattr(sqlite3, "connect", in_such_a_folder)
    assert len(run_log.read(tmp_path / "pipeline.db", 5)) == 1


def test_a_record_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    assert run_log.read(tmp_path / "pipeline.db", 5) == []
    (tmp_path / "pipeline.db").write_text("no database at all" * 100)
    with pytest.raises(Failure, match="cannot be read: file is not a database"):
        run_log.read(tmp_path / "pipeline.db", 5)


def test_a_run_is_remembered_with_its_stages(record: RunLog) -> None:
    run_id = record.begin("incremental", 41)
    record.begin_stage(run_id, "extract")
    assert record.recent(1)[0]["stages"][0]["outcome"] == "running"
    record.end_stage(run_id, StageResult("extract", "done", 0.5, 12, ""))
    record.end(run_id, "done")
    (run,) = record.recent(10)
    assert (run["mode"], run["watermark"], run["outcome"]) == (
        "incremental",
        41,
        "done",
    )
    assert run["started_at"] <= run["ended_at"]
    (stage,) = run["stages"]
    assert (stage["stage"], stage["rows"], stage["seconds"]) == ("extract", 12, 0.5)


def test_a_run_that_was_killed_is_marked_by_the_next_one(record: RunLog) -> None:
    killed = record.begin("incremental", None)
    record.begin_stage(killed, "load")
    record.begin("full", None)
    after, before = record.recent(2)
    assert after["outcome"] == "running"
    assert before["outcome"] == "interrupted"
    assert before["stages"][0]["outcome"] == "interrupted"


class Extracted(Stages):
    """Stages that do nothing; what `extract` says is given."""

    watermark: int | None = None

    def run(self, stage: str, _mode: Mode, _stop: Stop | None = None) -> StageResult:
        mark = self.watermark if stage == "extract" else None
        return StageResult(stage, "done", 0.0, 1, "", watermark=mark)

    def warm_up(self, _mode: Mode) -> None:
        pass


@pytest.mark.parametrize(("extracted", "reached"), [(9, 9), (3, 5), (None, 5)])
def test_a_run_has_reached_what_extract_took_after_its_beginning(
    record: RunLog, tmp_path: Path, extracted: int | None, reached: int
) -> None:
    stages = Extracted(Paths(tmp_path, dbt_project(), "dev", "", ""), print)
    stages.watermark = extracted
    ended = execute(
        stages, record, "incremental", watermark=5, stop=Stop(), pass_on_stop=False
    )
    assert ended.watermark == record.recent(1)[0]["watermark"] == reached


def test_a_backlog_whose_archiving_has_broken_off_is_not_built(tmp_path: Path) -> None:
    stages = Extracted(Paths(tmp_path, dbt_project(), "dev", "", ""), print)
    for said in (b"", b"\n"):
        end, writer = os.pipe()
        os.write(writer, said)
        os.close(writer)
        archived = follow(stages, Watermarks("", ""), 0, end, Stop())
        assert archived == bool(said)
        os.close(end)


def test_runs_are_shown_newest_first(tmp_path: Path) -> None:
    record = RunLog(tmp_path / "cclake" / "pipeline.db")
    for rows in (1_234, 7):
        run_id = record.begin("incremental", rows)
        record.begin_stage(run_id, "extract")
        record.end_stage(run_id, StageResult("extract", "done", 0.5, rows, ""))
        record.begin_stage(run_id, "load")
        record.end_stage(run_id, StageResult("load", "failed", 0.1, None, "disk full"))
        record.end(run_id, "failed")
    shown = subprocess.run(
        [BIN / "pipeline", "runs"], capture_output=True, text=True, check=True
    ).stdout
    assert shown.index("extract 7 ") < shown.index("extract 1,234 ")
    assert "disk full" in shown
    as_json = subprocess.run(
        [BIN / "pipeline", "runs", "--json", "--limit", "1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [run["run_id"] for run in json.loads(as_json)] == [2]


def test_asking_for_runs_before_the_first_makes_nothing(tmp_path: Path) -> None:
    shown = subprocess.run(
        [BIN / "pipeline", "runs"], capture_output=True, text=True, check=True
    ).stdout
    assert shown == "no runs yet\n"
    assert not (tmp_path / "cclake").exists()


def test_a_second_run_does_not_start_beside_the_first(tmp_path: Path) -> None:
    stop = Stop()
    with (
        run_lock(tmp_path, stop),
        pytest.raises(Failure, match="another run") as refused,
        run_lock(tmp_path, stop, wait=False),
    ):
        pass
    assert refused.value.code == TRY_LATER
    with run_lock(tmp_path, stop, wait=False):
        pass


def test_waiting_for_a_run_can_be_stopped(tmp_path: Path) -> None:
    stop, waited = Stop(), []

    def on_wait(_who: str) -> None:
        waited.append(True)
        os.kill(os.getpid(), signal.SIGTERM)

    with (tmp_path / "pipeline.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(Failure) as stopped,
            run_lock(tmp_path, stop, on_wait=on_wait),
        ):
            pass
    assert waited == [True]
    assert stopped.value.code == INTERRUPTED


def test_a_record_that_cannot_be_written_any_more_is_one_sentence(
    record: RunLog,
) -> None:
    run = record.begin("daily", 1)
    record._path.write_bytes(b"no database at all, and longer than its header is" * 9)
    with pytest.raises(Failure, match="cannot be used"):
        record.end(run, "done")


def at(record: RunLog, run_id: int, hours: float) -> None:
    with sqlite3.connect(record._path) as db:
        db.execute(
            "update runs set started_at ="
            " strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?) where run_id = ?",
            (f"{-hours} hours", run_id),
        )
    db.close()


def test_a_daily_run_is_due_a_day_after_the_last(record: RunLog) -> None:
    assert not record.is_daily_due()
    at(record, record.begin("incremental", 1), hours=23)
    assert not record.is_daily_due()
    at(record, record.begin("incremental", 1), hours=25)
    assert record.is_daily_due()
    at(record, record.begin("daily", 1), hours=25)
    assert record.is_daily_due()
    record.end(record.begin("daily", 1), "failed")
    assert not record.is_daily_due()


def test_each_mode_knows_the_arguments_of_each_stage() -> None:
    assert STAGES == ("extract", "load", "dbt", "publish")
    assert arguments("extract", "backfill") == ["run", "--full-backfill"]
    assert arguments("extract", "full") == ["run"]
    assert arguments("load", "backfill") == ["--full-refresh"]
    assert "--full-refresh" in arguments("dbt", "backfill")
    assert arguments("publish", "daily") == ["--full"]
    assert arguments("load", "daily") == []
    assert arguments("load", "rebuild") == []
    assert "--full-refresh" in arguments("dbt", "rebuild")
    assert arguments("publish", "rebuild") == ["--full"]
    assert "test" in arguments("dbt", "incremental")
    assert "test" not in arguments("dbt", "daily")


def test_the_dbt_project_of_the_checkout_is_found() -> None:
    assert (dbt_project() / "models").is_dir()


def test_a_missing_dbt_project_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no dbt project") as refused:
        dbt_project(tmp_path)
    assert "CCLAKE_DBT_DIR" in refused.value.hint


def test_a_tool_that_is_not_installed_is_named() -> None:
    assert Path(script("publish")).name == "publish"
    with pytest.raises(Failure, match="frobnicate"):
        script("frobnicate")


def test_the_fingerprint_is_of_models_and_prices_not_of_their_descriptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "dbt")
    first = fingerprint(project)
    (project / "models" / "fct_messages.yml").write_text("models: []")
    assert fingerprint(project) == first
    make_project(project)
    assert fingerprint(project) == first
    (project / "models" / "fct_messages.sql").write_text("select 1")
    assert fingerprint(project) != first
    make_project(project)
    prices = tmp_path / "prices.csv"
    monkeypatch.setenv("CCLAKE_PRICES", str(prices))
    assert fingerprint(project) == first
    prices.write_text("model_pattern")
    assert fingerprint(project) != first


def test_the_project_that_made_gold_is_remembered(record: RunLog) -> None:
    assert record.project() is None
    for project in ("one", "two"):
        record.set_project(project)
        assert record.project() == project


def test_only_a_done_run_of_the_same_project_spares_the_next(record: RunLog) -> None:
    assert record.watermark_of("one") is None
    record.set_project("one")
    record.end(record.begin("incremental", 7), "done")
    assert record.watermark_of("one") == 7
    assert record.watermark_of("two") is None
    record.end(record.begin("incremental", 8), "failed")
    assert record.watermark_of("one") is None


def test_a_record_that_is_just_being_made_has_no_runs_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pipeline.db"
    monkeypatch.setattr(
        "cclake_pipeline.run_log._SCHEMA",
        "create table runs (run_id integer primary key); select broken;",
    )
    with pytest.raises(Failure):
        RunLog(path)
    assert path.stat().st_size
    assert run_log.read(path, 5) == []
    monkeypatch.undo()
    assert RunLog(path).begin("daily", 1) == 1
    assert [run["run_id"] for run in run_log.read(path, 5)] == [1]


def test_two_first_runs_may_make_the_record_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from cclake_pipeline.run_log import RunLog"
        "\nfor line in sys.stdin:"
        "\n    RunLog(Path(line.strip())).begin('daily', 1); print('made', flush=True)"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for number in range(40):
        path = tmp_path / str(number) / "pipeline.db"
        for maker in makers:
            assert maker.stdin
            print(path, file=maker.stdin, flush=True)
        for maker in makers:
            assert maker.stdout
            assert maker.stdout.readline() == "made\n"
        assert len(run_log.read(path, 5)) == 3
    for maker in makers:
        maker.communicate()
        assert maker.returncode == 0
