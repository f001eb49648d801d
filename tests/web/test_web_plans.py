"""Queries of pages begin where the index says, instead of reading every row."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import datasette.app  # noqa: F401 - loads its plugins, in their order
import pytest
from cclake_common.search import Operator, Within, hits, scope
from cclake_web.data import costs, over_time, sessions
from cclake_web.data.filters import Filters
from cclake_web.pages import palette
from cclake_web.team import limits
from sample import sample

# Two sessions of one project.
ONE = "66666666-aaaa-4111-8111-000000000003"
OTHER = "66666666-aaaa-4111-8111-000000000006"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample().write(tmp_path_factory.mktemp("plans") / "conversations.db")


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def db(path: Path, asked: list[str]) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as found:
        found.row_factory = sqlite3.Row
        found.set_trace_callback(asked.append)
        yield found


def plans(db: sqlite3.Connection, asked: list[str], words: str) -> str:
    """The plans of what was asked and has some words."""
    db.set_trace_callback(None)
    found = [sql for sql in asked if words in sql]
    assert found
    steps = [db.execute(f"explain query plan {sql}").fetchall() for sql in found]
    return "\n".join(row[3] for rows in steps for row in rows)


def test_the_list_continues_at_its_place(
    db: sqlite3.Connection, asked: list[str]
) -> None:
    everything, _ = sessions.page(db, Filters())
    place = (everything[1]["cursor_value"], everything[1]["session_id"])
    asked.clear()
    above, below = sessions.around(db, Filters(), place, 1)
    assert [one["session_id"] for one in (*above, *below)] == [
        everything[0]["session_id"], everything[2]["session_id"],
    ]  # fmt: skip
    rows, _ = sessions.page(db, Filters(), "~".join(place))
    assert [row["session_id"] for row in rows] == [
        row["session_id"] for row in everything[2:]
    ]
    found = plans(db, asked, "with chosen as")
    assert len(re.findall(r"SEARCH s USING INDEX \w+ \(<expr>[<>]", found)) == 3


def test_the_palette_reads_the_newest_sessions_first(
    db: sqlite3.Connection, asked: list[str]
) -> None:
    assert palette._sessions(db, "a")
    found = plans(db, asked, "from dim_sessions")
    assert re.search(r"SCAN s USING INDEX \w+", found)
    assert "ORDER BY" not in found


def test_the_dearest_prompts_of_a_host_are_read_in_their_order(
    db: sqlite3.Connection, asked: list[str]
) -> None:
    assert costs.dearest(db, Filters(host="laptop"))
    found = plans(db, asked, "from agg_turn_metrics")
    assert re.search(r"SEARCH agg_turn_metrics USING INDEX \w+ \(cost_usd>", found)


def test_the_sums_over_time_need_no_rows(
    db: sqlite3.Connection, asked: list[str]
) -> None:
    known = over_time.days(db, Filters())
    assert over_time.span(db, Filters(), known)
    found = plans(db, asked, "max(max_context_tokens)")
    assert "SEARCH agg_response_quarters USING COVERING INDEX" in found


def test_sessions_of_a_model_are_searched_in_their_projects(
    db: sqlite3.Connection,
) -> None:
    of_model = Within(operators=(Operator("model", "%glm%"),))
    where = scope(db, of_model)
    rows = db.execute("select project_key, models from dim_sessions").fetchall()
    projects = {row[0] for row in rows if "glm" in (row[1] or "")}
    assert where.sessions and projects
    assert {mark[1:] for marks in where.marks for mark in marks.names} <= {
        (row[0] or "").encode().hex() for row in rows
    }
    (marks,) = where.marks
    assert not marks.is_negative
    assert set(marks.names) == {f"p{one.encode().hex()}" for one in projects}


@pytest.mark.parametrize("best", [False, True])
def test_a_limited_search_skips_other_projects_and_still_looks_at_each_session(
    db: sqlite3.Connection, asked: list[str], best: bool
) -> None:
    def search() -> list[dict[str, Any]]:
        words = ('"part"', '"the"')
        where = scope(db, Within())
        return hits(db, '"part"', ["text"], where, limit=999, best=best, words=words)

    def of(rows: list[dict[str, Any]], session: str) -> list[int]:
        return [row["search_id"] for row in rows if row["session_id"] == session]

    everything = search()
    assert {row["project_key"] for row in everything} > {"alpha"}
    with limits.narrowed(db, [ONE]):
        asked.clear()
        found = search()
    # Other sessions of the same project have the word, and its marks, as well.
    assert of(everything, OTHER) and of(everything, ONE)
    assert sorted(of(found, ONE)) == sorted(of(everything, ONE))
    assert len(found) == len(of(found, ONE))
    # Marking the words in the hits is all that does not need the project.
    searches = [sql for sql in asked if "search_fts match" in sql]
    marked = [sql for sql in searches if f"p{b'alpha'.hex()}" in sql]
    assert [sql for sql in searches if sql not in marked] == [
        sql for sql in searches if "highlight" in sql
    ]
    assert len(marked) >= 3
