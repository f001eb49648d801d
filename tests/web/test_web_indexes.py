"""Every index of the large tables is one that a page, a report or publish asks for."""

import asyncio
import re
import sqlite3
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path

import pytest
from cclake_metabase.check import render
from cclake_metabase.model import FILTERS, load
from cclake_publish.indexes import INDEXES, columns_of
from cclake_report import activity, explain
from cclake_report.export import Gold
from cclake_report.filters import Filters
from cclake_web import export as served
from export import SCHEMA
from sample import FORK, LONG, MAIN, sample

# These grow with the messages; an index of one costs every publication.
LARGE = {"fct_messages", "thread_entries", "thread_blocks", "fct_api_responses",
         "fct_tool_calls", "fct_file_operations"}  # fmt: skip
PAGES = (
    "/", f"/session/{MAIN}", f"/session/{LONG}?page=3", f"/session/{FORK}",
    "/search?q=row", "/search?q=row&project=alpha&order=best", "/palette.json?q=row",
    f"/session/{MAIN}/find.json?q=row", f"/session/{MAIN}/export.json",
    f"/session/{MAIN}/export.html", "/dashboard?period=all&model=claude-opus-4-6",
    "/files", "/file?path=/home/me/alpha/src/parser.py", "/search?q=parser.py",
    "/export/messages.csv", "/conversations/prompts_about?words=row",
)  # fmt: skip
# How publish finds the rows of a session that has changed.
OF_SESSION = "select rowid from {} where session_id = 's'"


def named(table: str, index: str) -> str:
    return "__".join(("ix", table, *columns_of(index)))


def test_no_index_of_a_large_table_is_without_a_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample().write(tmp_path / "exports" / "conversations.db")
    declared = {named(*one) for one in INDEXES if one[0] in LARGE}
    with closing(sqlite3.connect(path)) as db:
        _as_published(db)
    asked: set[str] = set()
    monkeypatch.setenv("EXPORT_DIR", str(path.parent))
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:9")
    connect = served._connect

    def traced(file: Path) -> sqlite3.Connection:
        connection = connect(file)
        connection.set_trace_callback(asked.add)
        return connection

    monkeypatch.setattr(served, "_connect", traced)
    asyncio.run(_ask())
    used: dict[str, set[str]] = defaultdict(set)
    with closing(sqlite3.connect(path)) as db:
        db.set_trace_callback(asked.add)
        gold = Gold(db)
        gold.rows(explain.RESPONSES, ["msg"] * 3)
        activity.errors(gold, Filters(timezone="UTC"))
        db.set_trace_callback(None)
        asked |= {OF_SESSION.format(table) for table in LARGE}
        values = dict.fromkeys(FILTERS, "x")
        cards = [card for dashboard in load() for card in dashboard.cards]
        for card in cards:
            filled = re.sub(r":\w+", "'x'", render(card.sql, values))
            with suppress(sqlite3.OperationalError):  # of a table that the sample lacks
                db.execute(f"explain {filled}")
                asked.add(filled)
        for sql in asked:
            if sql.lstrip().startswith(("select", "with")):
                db.create_function("search_words", 1, str)
                for row in db.execute(f"explain query plan {sql}").fetchall():
                    for index in re.findall(r"INDEX (ix__\w+)", row[3]):
                        used[index].add(sql)
    assert sorted(declared - used.keys()) == []


def _as_published(db: sqlite3.Connection) -> None:
    """Give an export the indexes that publish makes, and no others."""
    db.execute("pragma legacy_alter_table = on")  # the views stay as they are
    for table in LARGE:
        columns = SCHEMA[table].replace("_key primary key", "_key")
        db.execute(f"alter table {table} rename to former")
        db.execute(f"create table {table} ({columns})")
        db.execute(f"insert into {table} select * from former")
        db.execute("drop table former")
    db.execute("delete from sqlite_stat1")
    for table, index in INDEXES:
        if table in LARGE:
            db.execute(f"create index {named(table, index)} on {table} ({index})")
    db.commit()


async def _ask() -> None:
    from datasette.app import Datasette

    datasette = Datasette([], settings={"num_sql_threads": 2})
    for page in PAGES:
        answer = await datasette.client.get(page)
        assert answer.status_code == 200, (page, answer.text[:500])
