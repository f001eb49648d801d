"""Every index of the export is one that a page, a command or publish asks for."""

import asyncio
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import cclake_recall.cli
import pytest
from cclake_metabase.check import render
from cclake_metabase.model import FILTERS, load
from cclake_publish.indexes import BY_SESSION
from cclake_report import explain
from cclake_report.commands import app as report
from chain import Chain
from typer.testing import CliRunner

PAGES = (
    "/", "/?q=row&project=x", "/?model=opus", "/?tool=Bash", "/?sort=cost", "/?hour=9",
    "/session/{one}", "/session/{one}?page=2", "/session/{one}?agent={agent}",
    "/session/{one}?at={entry}", "/session/{one}/find.json?q=row",
    "/session/{one}/export.json", "/session/{one}/export.html", "/search?q=row",
    "/search?q=row&project=x&order=best", "/palette.json?q=row", "/dashboard?period=all",
    "/dashboard?period=all&model=opus", "/dashboard?period=all&project=x",
    "/dashboard?period=all&host=x", "/year",
    "/files",
    "/file?path=/home/me/x.py", "/search?q=parser.py", "/compare", "/session/{one}/cost",
    "/export/messages.csv", "/export/sessions.csv", "/runs", "/image/{image}",
)  # fmt: skip
REPORTS = (
    "daily", "session", "blocks", "models", "projects", "tools", "errors", "cache",
    "changes", "hours", "explain {message}",
)  # fmt: skip
RECALLS = ("find row", "list", "show {one}", "search row", "files x.py")
COUNT = re.compile(r"select count\(\*\) from \[\w+\]")
# How publish finds the rows of a session that has changed.
OF_SESSION = "select rowid from {} where session_id is 's'"

# How a reader of a team finds the sessions of an image.
OF_IMAGE = "select 1 from thread_blocks where image_key = 'i' and +session_id = 's'"


@pytest.fixture
def export(pricing: Chain, tmp_path: Path) -> Path:
    """Return a copy of a real export in which no table is known to be small."""
    path = tmp_path / "exports" / "conversations.db"
    path.parent.mkdir()
    shutil.copy(pricing.exports / "conversations.db", path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("delete from sqlite_stat1")
        db.commit()
    return path


@pytest.mark.slow
def test_no_index_of_the_export_is_without_a_query(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_DIR", str(export.parent))
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:9")
    asked: set[str] = set()
    connect = sqlite3.connect

    def traced(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore
        connection.set_trace_callback(asked.add)
        return connection

    names = _names(export)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", traced)
        patch.setattr(os, "_exit", sys.exit)  # recall ends at once
        asyncio.run(_ask([page.format(**names) for page in PAGES]))
        for command in REPORTS:
            CliRunner().invoke(report, command.format(**names).split())
        for command in RECALLS:
            arguments = ["recall", *command.format(**names).split()]
            patch.setattr("sys.argv", arguments)
            with suppress(SystemExit):
                cclake_recall.cli.main()
    asked |= {OF_SESSION.format(table) for table in BY_SESSION}
    asked |= set(_cards())
    asked.add(OF_IMAGE)
    asked.add(explain._ITEMS.replace("?", "'x'"))  # no response here has several
    # Datasette counts the rows of a table over any index.
    asked = {sql for sql in asked if not COUNT.fullmatch(sql)}
    used: set[str] = set()
    with closing(sqlite3.connect(export)) as db:
        db.create_function("search_words", 1, str)
        for sql in asked:
            if sql.lstrip().startswith(("select", "with")):
                with suppress(sqlite3.OperationalError):  # of the live overlay
                    for row in db.execute(f"explain query plan {sql}").fetchall():
                        used |= set(re.findall(r"INDEX (ix__\w+)", row[3]))
        made = db.execute(
            "select name from sqlite_master where type = 'index' and name like 'ix%'"
        )
        declared = {name for (name,) in made}
    assert len(declared) > 20
    assert sorted(declared - used) == []


def _names(export: Path) -> dict[str, str]:
    with closing(sqlite3.connect(export)) as db:
        one, entry = db.execute(
            "select session_id, entry_key from thread_entries order by 1, 2"
        ).fetchone()
        (message,) = db.execute("select message_id from fct_api_responses").fetchone()
        agent = db.execute("select max(agent_id) from thread_entries").fetchone()[0]
    return {"one": quote(one), "entry": entry, "message": message,
            "agent": agent or "a", "image": "0" * 32}  # fmt: skip


def _cards() -> Iterator[str]:
    values = dict.fromkeys(FILTERS, "x")
    for dashboard in load():
        for card in dashboard.cards:
            for given in (values, {}):
                yield re.sub(r":\w+", "'x'", render(card.sql, given))


async def _ask(pages: list[str]) -> None:
    from datasette.app import Datasette

    datasette = Datasette([], settings={"num_sql_threads": 2})
    listed = (await datasette.client.get("/conversations.json")).json()["queries"]
    pages += [f"/conversations/{quote(one['name'])}.json?words=row" for one in listed]
    for page in pages:
        answer = await datasette.client.get(page, follow_redirects=True)
        assert answer.status_code in (200, 404), (page, answer.text[:500])
