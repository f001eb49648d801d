import json
import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cclake_common.failure import Failure
from cclake_stack import backfill, checks, config, show, validate
from cclake_stack.config import ROLES
from cclake_stack.mongod import find_mongod
from cclake_stack.retention import DAY_SECONDS, retention
from cclake_stack.supervise import SOCKET_PATH_LIMIT, Supervisor, socket_path
from harness import Mongod, free_port


def test_config_shows_the_origin_and_masks_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("# a comment = no setting\nexport WEB_PORT=3333\n")
    monkeypatch.setenv("WEB_PORT", "3333")
    monkeypatch.setenv("MONGO_URI", "mongodb://me:secret@db/")
    values = {value.name: value for value in config.values(dotenv)}
    assert (values["WEB_PORT"].value, values["WEB_PORT"].origin) == ("3333", ".env")
    assert values["MONGO_URI"].value == "mongodb://me:***@db/"
    assert values["MONGO_URI"].origin == "environment"
    assert values["HEALTH_PORT"].origin == "default"
    assert values["DUCKDB_PATH"].value == f"{tmp_path}/cclake/analytics.duckdb"


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
    with pytest.raises(Failure, match="nowhere is not there"):
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
    with pytest.raises(Failure, match="MONGO_URI cannot be used"):
        checks.check_mongo()


def test_a_reachable_mongodb_tells_its_version(mongod: Mongod, mongo_db: str) -> None:
    assert checks.check_mongo()[0].isdigit()


def test_a_data_directory_that_is_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "file" / "below"))
    with pytest.raises(Failure, match="cannot be made"):
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
    with pytest.raises(Failure, match="cannot be run"):
        find_mongod()


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
    assert backfill.snapshot(tmp_path / "none.db") == backfill.Progress()


def test_following_ends_when_nothing_moves_and_nothing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "QUIET_SECONDS", 0.01)
    looks: list[int] = []
    path = tmp_path / "none.db"
    list(backfill.follow(path, lambda: looks.append(1), pause=0.005))
    assert len(looks) == backfill.PATIENCE


def test_following_ends_when_all_is_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "buffer.db"
    stats = json.dumps({"behind_bytes": 7, "partial_bytes": 7})
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "create table files (off int); insert into files values (10);"
            "create table queue (seq int);"
            "create table counters (name, value);"
            "insert into counters values ('delivered', 3), ('duplicates', 1);"
            "create table meta (name, value);"
        )
        db.execute("insert into meta values ('tailer_stats', ?)", [stats])
        db.commit()
    (last,) = backfill.follow(path, lambda: None)
    assert (last.read_bytes, last.delivered, last.complete) == (10, 4, True)


def state_of(role: str, **states: str) -> dict[str, Any]:
    names = {"mongod": "STOPPED"} | dict.fromkeys(ROLES["all"], "RUNNING") | states
    return {
        "running": True,
        "role": role,
        "processes": [{"name": n, "state": s} for n, s in names.items()],
        "health": {"status": "healthy"},
        "pipeline": None,
    }


def test_a_stopped_private_mongod_is_well_when_a_server_is_named() -> None:
    assert show.is_well(state_of("all"))
    assert not show.is_well(state_of("all", flusher="FATAL"))
    assert not show.is_well(state_of("all", web="STOPPED"))


def test_a_role_is_well_without_what_it_never_starts() -> None:
    assert show.is_well(state_of("ship", web="STOPPED", pipeline="STOPPED"))
    assert not show.is_well(state_of("ship", ingest="STOPPED"))
    served = state_of("serve", ingest="STOPPED", flusher="STOPPED")
    served["health"] = None
    assert show.is_well(served)


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


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MIN_FREE_BYTES", 2**60)
    with pytest.raises(Failure, match="MB are free"):
        checks.check_data_directory()
