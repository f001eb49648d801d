"""Show what was expensive: prompts, parts of a session, and missed caches."""

import re
import sqlite3
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from cclake_web.data.costs import costs, dearest, sentence
from cclake_web.data.filters import Filters
from export import Export
from webface import Web, serving

ATTACK = "<img src=x onerror=window.pwned=1>"
SECRET = "sk-ant-api03-" + "A" * 93 + "AA"
# Dollars per million tokens, as of a model with a five-minute cache.
READ, WRITE = 0.5, 6.25


def priced(export: Export, **counts: int) -> dict[str, Any]:
    """Set the tokens of the last response, and what the parts of it cost."""
    row = export.rows["fct_api_responses"][-1]
    row |= {"input_tokens": 0, "cache_write_tokens": 0, "cache_read_tokens": 0,
            "cache_write_1h_tokens": 0, "cache_read_price": READ,
            "price_multiplier": 1.0, **counts}  # fmt: skip
    row["cache_write_5m_usd"] = row["cache_write_tokens"] * WRITE / 1e6
    return row


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    export = Export()
    session = export.session("s1", title="Costs", branch="dev")
    session.prompt(f"The dear one {ATTACK} {SECRET}")
    calls = session.answer(cost=3.0, tools=(("Read", {}), ("Read", {}), ("Bash", {})))
    priced(export, cache_write_tokens=100_000)
    for call in calls:
        session.result(call, "x")
    session.answer("Read from the cache.", cost=1.0)
    priced(export, cache_read_tokens=100_000, cache_write_tokens=1000)
    session.subagent(calls[0], f"agent{ATTACK}").answer("Done.", cost=0.5)
    session.back()
    session.prompt("After lunch", after=7200)
    session.answer("Cold.", cost=0.7)
    priced(export, cache_write_tokens=101_000)
    session.answer("Another model.", model="claude-haiku-4-5", cost=0.2, after=3)
    priced(export, cache_write_tokens=101_500)
    session.entry("other", [], after=3)
    export.rows["fct_messages"][-1]["subtype"] = "compact_boundary"
    session.answer("Smaller.", model="claude-haiku-4-5", cost=0.1, after=3)
    priced(export, cache_read_tokens=5_000, cache_write_tokens=25_000)
    session.answer("Changed.", model="claude-haiku-4-5", cost=0.1, after=3)
    priced(export, cache_write_tokens=30_000)
    session.answer("A little.", model="claude-haiku-4-5", cost=0.1, after=3)
    priced(export, cache_read_tokens=25_000, cache_write_tokens=9_000)
    session.end()
    other = export.session("s2", title=ATTACK, project="beta")
    other.prompt("The cheap one")
    other.answer("Done.", cost=0.25)
    other.end()
    folder = tmp_path_factory.mktemp("costs")
    return export.write(folder / "exports" / "conversations.db")


@pytest.fixture(scope="module")
def web(path: Path) -> Iterator[Web]:
    with serving(path.parent, path.parent.parent / "web.log") as served:
        yield served


@pytest.fixture
def export(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def test_the_dearest_prompts_come_first(export: sqlite3.Connection) -> None:
    found = [(row["text"][:12], row["cost_usd"]) for row in dearest(export, Filters())]
    assert found == [
        ("The dear one", 4.5),
        ("After lunch", 1.2),
        ("The cheap on", 0.25),
    ]
    for chosen, number in (
        (Filters(project="beta"), 1), (Filters(branch="dev"), 2), (Filters(host="x"), 0),
        (Filters(model="claude-haiku-4-5"), 2), (Filters(since="2026-08-02"), 0),
        (Filters(until="2026-08-01"), 3),
    ):  # fmt: skip
        assert len(dearest(export, chosen)) == number, chosen


def test_a_sessions_cost_is_the_same_from_every_side(
    export: sqlite3.Connection,
) -> None:
    found = costs(export, "s1")
    assert found.cost == pytest.approx(5.7)
    for rows in (found.models, found.agents, found.tools):
        assert sum(row["cost"] for row in rows) == pytest.approx(5.7)
    assert sum(row["cost_usd"] for row in found.turns) == pytest.approx(5.7)
    assert [(r["tool"], r["calls"]) for r in found.tools] == [
        ("", 7),
        ("Read", 2),
        ("Bash", 1),
    ]
    # A response that calls three times costs each of its calls a third.
    assert found.tools[1]["cost"] == pytest.approx(2.0)
    assert costs(export, "none").responses == 0


def test_a_missed_cache_has_its_cause_and_its_price(export: sqlite3.Connection) -> None:
    found = {one.cause: one for one in costs(export, "s1").misses}
    assert {cause: one.tokens for cause, one in found.items()} == {
        "pause": 101_000, "model": 101_000, "compaction": 25_000, "other": 30_000,
    }  # fmt: skip
    assert found["pause"].cost == pytest.approx(101_000 * (WRITE - READ) / 1e6)
    assert sentence(found["pause"]) == (
        "Turn 2 sent 101k tokens again after a pause of 2h; "
        "reading them from the cache would have saved $0.58."
    )
    assert "after a switch from opus 4.6 to haiku 4.5;" in sentence(found["model"])
    assert "after a compaction;" in sentence(found["compaction"])
    assert "because what came before had changed;" in sentence(found["other"])


def test_the_page_says_it_and_links_to_the_places(web: Web) -> None:
    text = unescape(web.get("/session/s1/cost").text)
    assert re.search(r"\$5\.70 for 8 responses; \$1\.\d\d of it because", text)
    link = re.search(r'href="(/session/s1\?at=[^"#]+)[^"]*">Turn 2 sent 101k', text)
    assert link
    assert "Cold." in web.get(link[1]).text
    assert 'href="/session/s1/cost"' in web.get("/session/s1").text
    shown = web.get("/dashboard?period=all").text
    assert "The dear one" in shown
    assert 'href="/session/s1/cost"' in shown
    assert web.get("/session/none/cost").status_code == 404


def test_what_a_log_says_is_only_text_and_has_no_secret(web: Web) -> None:
    for page in ("/session/s1/cost", "/session/s2/cost", "/dashboard?period=all"):
        text = web.get(page).text
        assert "<img src=x" not in text, page
        assert SECRET not in text, page
    assert "&lt;img src=x" in web.get("/session/s1/cost").text
