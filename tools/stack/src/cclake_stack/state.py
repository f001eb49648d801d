"""Collect the state of the whole stack in one JSON object."""

import json
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cclake_archive.client import open_database
from cclake_archive.lines import CONVERSATIONS
from cclake_archive.watermarks import total
from cclake_common import settings
from cclake_common.failure import Failure
from cclake_common.sqlite import connect_readonly

from cclake_stack import checks, config, ingestion, unarchived
from cclake_stack.retention import retention
from cclake_stack.supervise import Supervisor

HTTP_TIMEOUT_S = 10.0
MONGO_TIMEOUT_MS = 5_000


def state() -> dict[str, Any]:
    """Return processes, ingestion, health, last pipeline run, export and warnings."""
    supervisor = Supervisor()
    running = supervisor.running()
    runs = last_runs()
    return {
        "running": running,
        "role": config.role(),
        "processes": [vars(process) for process in supervisor.processes()]
        if running
        else [],
        "ingestion": vars(ingestion.snapshot(ingestion.buffer_path())),
        "health": health(),
        "pipeline": runs[0] if runs else None,
        "pipeline_ended": next((r for r in runs if r["outcome"] != "running"), None),
        "export": export_info(),
        "duckdb_copy": duckdb_copy_at(),
        "unknown_format": unknown_format() if running else [],
        "unpriced_models": unpriced_models(),
        "unread_lines": unread_lines(),
        "unreadable": unreadable(),
        "left_out": unarchived.sentences(
            filter(Path.is_dir, settings.roots()), ingestion.buffer_path()
        ),
        "warnings": [
            sentence
            for root in settings.roots()
            if root.is_dir() and (sentence := retention(root).sentence())
        ],
    }


def addresses() -> dict[str, str]:
    """Return the addresses of this role, by name."""
    work = config.ROLES[config.role()]
    found = {}
    if "web" in work:
        token = settings.web_token()
        found["pages"] = f"http://127.0.0.1:{config.port('WEB_PORT', 3000)}/" + (
            f"?token={token}" if token else ""
        )
    if "flusher" in work:
        found["health"] = _health_address()
    uri = settings.mask(settings.mongo_uri())
    return found | {"MongoDB": uri, "data": str(settings.home())}


def _health_address() -> str:
    return f"http://127.0.0.1:{config.port('HEALTH_PORT', 9090)}/health"


def health() -> dict[str, Any] | None:
    """Return the health report of the flusher; None if it does not answer."""
    try:
        with urllib.request.urlopen(
            _health_address(), timeout=HTTP_TIMEOUT_S
        ) as answer:
            return _object(answer.read())
    except urllib.error.HTTPError as failing:
        # Status 503 has a report that says why it is failing.
        with failing:
            return _object(failing.read())
    except OSError:
        return None


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def last_runs() -> list[dict[str, Any]]:
    """Return the newest pipeline runs; none if the run log can't be read."""
    command = [str(Path(sys.executable).parent / "pipeline"), "runs", "--json"]
    ended = subprocess.run(command, capture_output=True, check=False)
    runs: list[dict[str, Any]] = []
    if not ended.returncode:
        runs = json.loads(ended.stdout or b"[]")
    return runs


def export_info() -> dict[str, str]:
    """Return the values of `export_info`, by name; empty without an export."""
    sql = "select name, value from export_info"
    try:
        return dict(_ask(_export_path(), sql))
    except sqlite3.Error:
        return {}


def duckdb_copy_at() -> str | None:
    """Return when the copy for DuckDB was written; None where there is none."""
    path = _export_path().with_name("analytics.duckdb")
    if not path.exists():
        return None
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return written.isoformat(timespec="seconds").replace("+00:00", "Z")


def unpriced_models(limit: int = 10) -> list[dict[str, Any]]:
    """Return the models without a price in the newest export, most tokens first."""
    sql = f"""
    select model_name, sum(responses), sum(tokens) from (
        select model_name, count(*) as responses, sum(total_tokens) as tokens
        from fct_api_responses
        where not is_priced and input_tokens is not null and price_parts < 2
        group by 1
        union all
        select model_name, sum(is_first_of_model), sum(total_tokens)
        from fct_response_items where not is_priced group by 1
    ) group by 1 order by 3 desc, 1 limit {limit}"""
    try:
        found = _ask(_export_path(), sql)
    except sqlite3.Error:
        return []  # no export, or one of an older version
    return [
        {"model": name or "unknown", "responses": responses, "tokens": tokens or 0}
        for name, responses, tokens in found
    ]


def unread_lines(limit: int = 10) -> list[dict[str, Any]]:
    """Return the archived lines that gold cannot read, by reason, most first."""
    sql = f"""select reason, count(*), source_file, min("off"),
        sum(is_response)
    from unread_lines group by reason order by 2 desc limit {limit}"""
    names = ("reason", "lines", "file", "off", "responses")
    try:
        return [dict(zip(names, row, strict=True)) for row in _ask(_export_path(), sql)]
    except sqlite3.Error:
        return []


def unreadable() -> list[str]:
    """Return a sentence for each corrupt database, with what to do about it."""
    said = []
    for path, remedy in {
        ingestion.buffer_path(): "`just up` sets it aside and reads the logs again",
        settings.home() / "pipeline.db": "delete it: the next run rebuilds gold",
        _export_path(): "`just publish --full` writes it again",
    }.items():
        try:
            _ask(path, "select count(*) from sqlite_master")
        except sqlite3.OperationalError:
            continue  # locked now, or not created yet
        except sqlite3.DatabaseError as error:
            said.append(f"Cannot read {path} ({error}): {remedy}.")
    return said


def _ask(path: Path, sql: str) -> list[Any]:
    with closing(connect_readonly(path)) as db:
        return db.execute(sql).fetchall()


def _export_path() -> Path:
    return settings.in_home("EXPORT_DIR", "exports").absolute() / "conversations.db"


def unknown_format(limit: int = 10) -> list[dict[str, Any]]:
    """Return unknown record types and fields, the most frequent first."""
    uri, database = settings.mongo_uri(), config.environ_or("MONGO_DB", "claude_logs")
    try:
        with open_database(uri, database, "stack", MONGO_TIMEOUT_MS) as db:
            found = db.format_guard.find({"known": False})
            return [
                {**document["_id"], "count": document["count"]}
                for document in found.sort("count", -1).limit(limit)
            ]
    except Failure:
        return []


def behind_archive() -> list[str]:
    """Return in words what MongoDB has and gold does not.

    Nothing is returned if that is unknown: without a run, or without MongoDB.
    """
    done = next((run for run in last_runs() if run["outcome"] == "done"), None)
    if done is None or done["watermark"] is None:
        return []
    uri, database = settings.mongo_uri(), config.environ_or("MONGO_DB", "claude_logs")
    try:
        with open_database(uri, database, "stack", MONGO_TIMEOUT_MS) as db:
            later = total(db) - int(done["watermark"])
            dead = db.extract_dead_letters.count_documents({})
    except Failure:
        return []
    found = [
        (later, "lines arrived after the run began"),
        (dead, "lines could not be extracted (`extract dead-letters`)"),
    ]
    return [f"{number:,} {what}" for number, what in found if number > 0]


def archived_lines() -> int:
    """Return the number of lines in MongoDB.

    Raises:
        Failure: MongoDB does not answer.
    """
    checks.check_mongo()
    database = config.environ_or("MONGO_DB", "claude_logs")
    with open_database(settings.mongo_uri(), database, "stack") as db:
        # MongoDB's estimate stays too low after a mongod was killed.
        return int(db[CONVERSATIONS].count_documents({}, hint="_id_"))
