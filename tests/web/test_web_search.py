"""The operators of a search, its excerpts, and what it offers beside the hits."""

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from cclake_common.search import (
    CLOSE,
    OPEN,
    Scope,
    Within,
    hits,
    kinds_of,
    question,
    scope,
    texts,
)
from cclake_recall.past import Past
from export import Export
from webface import Web, serving

START = datetime(2026, 8, 1, 10, tzinfo=UTC)
ATTACK = "<img src=x onerror=window.pwned=1> walrus"
LONG = "the door is open " * 400


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    export = Export()
    one = export.session("s1", project="alpha", start=START)
    one.prompt("Why does the walrus sleep?")
    bash, edit, silent = one.answer(
        f"{LONG}the wálrus sleeps by the door{LONG}",
        tools=(("Bash", {"command": "ls walrus"}), ("Edit", {"file_path": "/a/tide.py"}),
               ("Silent", {})),
    )  # fmt: skip
    one.result(bash, "walrus: timed out", error=True)
    export.rows["fct_tool_calls"][-3]["error_kind"] = "timeout"
    one.result(edit, "walrus edited")
    one.result(silent, "")
    export.add("fct_file_operations", session_id="s1", file_path="/a/tide.py",
               tool_use_id=edit, operation="edit")  # fmt: skip
    one.end()
    two = export.session("s2", project="beta", model="claude-haiku-4-5",
                         start=START + timedelta(days=9))  # fmt: skip
    two.prompt(ATTACK)
    two.answer("A walrus and a carpenter, door after door.")
    two.end()
    folder = tmp_path_factory.mktemp("search")
    return export.write(folder / "exports" / "conversations.db")


@pytest.fixture
def export(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Return an export with one word in each of 2,000 answers, and 70 projects."""
    export = Export()
    for number in range(70):
        quiet = export.session(f"q{number}", project=f"quiet{number}", start=START)
        (bash,) = quiet.answer(tools=(("Bash", {"command": "ls"}),))
        quiet.result(bash, "nothing here", error=True)
        quiet.end()
    loud = export.session("loud", project="loud", start=START)
    for _ in range(2000):
        loud.answer("the tide comes")
    loud.end()
    path = tmp_path_factory.mktemp("crowd") / "exports" / "conversations.db"
    connection = sqlite3.connect(export.write(path))
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def web(path: Path) -> Iterator[Web]:
    with serving(path.parent, path.parent.parent / "web.log") as served:
        yield served
    assert '" 500 ' not in (path.parent.parent / "web.log").read_text()


@pytest.mark.parametrize(("asked", "kinds", "found"), [
    ("walrus", ["text"], ["s2", "s2", "s1", "s1"]),
    ("walrus -carpenter", ["text"], ["s2", "s1", "s1"]),
    ('walrus -"the door"', ["text"], ["s2", "s2", "s1"]),
    ("walrus project:ALPH", ["text"], ["s1", "s1"]),
    ("walrus -project:alpha", ["text"], ["s2", "s2"]),
    ("walrus model:haiku", ["text"], ["s2", "s2"]),
    ("walrus tool:bash", ["tool_use", "tool_result"], ["s1", "s1"]),
    ("tool:Edit", ["tool_use", "tool_result"], ["s1", "s1"]),
    ("tool:Silent", ["tool_use", "tool_result"], ["s1"]),  # its result has no text
    ("walrus file:tide.py", ["text"], ["s1", "s1"]),
    ("file:ti%e", ["text"], []),
    ("error:any", ["tool_use", "tool_result"], ["s1", "s1"]),
    ("error:time walrus", ["tool_use", "tool_result"], ["s1", "s1"]),
    ("error:denied", ["tool_use", "tool_result"], []),
    ("walrus before:2026-08-05", ["text"], ["s1", "s1"]),
    ("walrus after:2026-08-05", ["text"], ["s2", "s2"]),
    ("before:never walrus", ["text"], []), ("-walrus", ["text"], ["s2", "s2", "s1", "s1"]),
    ("walrus --no-verify", ["text"], []), ("project:'; drop table x", ["text"], []),
])  # fmt: skip
def test_operators_say_where_and_when(
    export: sqlite3.Connection, asked: str, kinds: list[str], found: list[str]
) -> None:
    read = question(asked, UTC)
    assert read.kinds(["text"]) == kinds
    where = scope(export, Within(operators=read.operators))
    rows = hits(export, read.match, kinds, where, limit=9, words=read.words)
    assert [row["session_id"] for row in rows] == found
    # `recall` asks in the same words.
    same, loose = Past(export).find(asked, ["text"], Within(), limit=9, zone=UTC)
    assert [row["session"] for row in same] == found or loose


@pytest.mark.parametrize("asked", [
    "tide tool:Bash", "tide -project:loud", "tide project:quiet3", "tide project:nothing",
    "tide error:any", "tide error:command", "tide tool:nothing", "tide model:nothing",
    "tide file:nothing", "tide account:nothing", "tide -account:none", "-account:none",
    "tide tool:Bash -error:any -project:quiet1 model:opus",
])  # fmt: skip
def test_operators_do_not_read_each_hit_of_a_common_word(
    crowd: sqlite3.Connection, asked: str
) -> None:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    read = question(asked, UTC)
    crowd.set_progress_handler(count, 1)
    where = scope(crowd, Within(operators=read.operators))
    kinds = read.kinds(["text"])
    assert hits(crowd, read.match, kinds, where, limit=9, words=read.words) == []
    assert list(texts(crowd, read.match, kinds, where)) == []
    kinds_of(crowd, read.match, where)
    crowd.set_progress_handler(None, 0)
    # The sessions are read, of which there are 71, but not the 2,000 hits.
    assert steps < 15_000


@pytest.mark.parametrize(("asked", "number"), [
    ("tide project:loud", 9), ("tide -project:quiet", 9), ("tide model:opus", 9),
    ("here error:any -project:quiet1", 9), ("here tool:Bash error:any", 9),
    ("here -tool:Bash", 0), ("error:any -tool:Bash", 0), ("tool:Bash before:2026-08-01", 0),
])  # fmt: skip
def test_operators_find_their_hits_among_many(
    crowd: sqlite3.Connection, asked: str, number: int
) -> None:
    read = question(asked, UTC)
    where = scope(crowd, Within(operators=read.operators))
    kinds = read.kinds(["text"])
    rows = hits(crowd, read.match, kinds, where, limit=9, words=read.words, best=True)
    assert len(rows) == number


def test_an_excerpt_is_around_the_rarest_word_with_all_words_marked(
    export: sqlite3.Connection,
) -> None:
    read = question("door sleeps the", UTC)
    (row,) = hits(export, read.match, ["text"], Scope(), limit=9, words=read.words)
    marked = re.findall(f"{OPEN}(.*?){CLOSE}", row["snippet"])
    assert {"sleeps", "door", "the"} == set(marked)
    assert row["snippet"].startswith("…")
    assert row["snippet"].endswith("…")
    assert len(row["snippet"]) < 400


def test_kinds_are_counted_whatever_was_chosen(export: sqlite3.Connection) -> None:
    read = question("walrus", UTC)
    assert kinds_of(export, read.match, Scope()) == (
        {"text": 4, "tool_use": 1, "tool_result": 2}, False,
    )  # fmt: skip
    only = scope(export, Within(projects=("beta",)))
    assert kinds_of(export, read.match, only) == ({"text": 2}, False)


def test_the_page_offers_what_lies_in_tools(web: Web) -> None:
    text = web.get("/search?q=walrus").text
    link = re.search(r'href="([^"]+)">2 more in tool output', text)
    assert link
    wider = web.get(unescape(link[1])).text
    assert "walrus: timed" not in text
    assert "timed out" in wider
    assert "Search syntax" in text


@pytest.mark.parametrize("asked", [
    "walrus", "-", ":", "tool:", '-"', 'tool:"', "before:9999-12-31", "after:0001-01-01 x",
    "-tool:<script>", 'NOT ( OR "', "file:!%_", "error:any " * 40, "-a " * 90,
])  # fmt: skip
def test_any_question_is_answered_and_only_text(web: Web, asked: str) -> None:
    answer = web.get("/search", params={"q": asked})
    assert answer.status_code == 200
    assert "<img src=x" not in answer.text
    assert "<script>" not in answer.text.replace('<script nonce="', "")
