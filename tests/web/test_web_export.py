"""The pages over an export as dbt and publish really make it."""

import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from chain import Chain
from harness import Mongod
from webface import Web, serving

_REAL = os.environ.get("CCLAKE_REAL_LOGS")  # read before a fixture clears it


@pytest.fixture(scope="module")
def web(pricing: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("pricing")
    with serving(pricing.exports, folder / "web.log") as web:
        yield web


def every_session(web: Web) -> list[str]:
    return [row["session_id"] for row in web.get("/export/sessions.json").json()]


@pytest.mark.slow
def test_the_cost_on_the_pages_is_the_cost_of_the_messages(web: Web) -> None:
    text = web.get("/").text
    assert "3 sessions · $2.15" in text
    rows = web.get("/export/sessions.json").json()
    costs = [Decimal(str(row["cost_usd"])) for row in rows if row["cost_usd"]]
    total = sum(costs, Decimal())
    assert total.quantize(Decimal("0.0001")) == Decimal("2.1504")
    assert "$2.15" in web.get("/dashboard?period=30").text


@pytest.mark.slow
def test_every_session_reads_as_a_conversation(web: Web) -> None:
    sessions = every_session(web)
    assert len(sessions) == 3
    for session in sessions:
        text = web.get(f"/session/{session}").text
        assert "You" in text
        assert 'class="bubble"' in text
    whole = "".join(web.get(f"/session/{one}").text for one in sessions)
    assert "please fix the zebracode bug" in whole
    assert "quokkathought" in whole


@pytest.mark.slow
def test_search_finds_what_the_log_says_and_leads_there(web: Web) -> None:
    text = web.get("/search?q=zebracode").text
    href = re.search(r'class="hit" href="(/session/[^"#]+)', text)
    assert href
    assert "zebracode" in web.get(href[1].replace("&amp;", "&")).text


@pytest.mark.slow
def test_every_query_of_the_pages_runs_on_the_real_tables(web: Web) -> None:
    listed = web.get("/conversations.json").json()
    assert {"fct_api_responses", "thread_entries", "search_fts"} <= {
        table["name"] for table in listed["tables"]
    }
    assert len(listed["queries"]) == 18
    for query in listed["queries"]:
        answer = web.get(f"/conversations/{quote(query['name'])}.json?words=fix")
        assert answer.status_code == 200, query["name"]
    assert "One row per session" in web.get("/conversations/dim_sessions").text


@pytest.mark.slow
@pytest.mark.skipif(not _REAL, reason="CCLAKE_REAL_LOGS names no folder")
def test_every_page_of_real_logs_can_be_shown(
    mongod: Mongod, mongo_db: str, tmp_path: Path
) -> None:
    chain = Chain(tmp_path, mongod.uri, mongo_db)
    chain.archive(Path(_REAL or ""))
    chain.answer("pipeline", "run")
    with serving(chain.exports, tmp_path / "web.log") as web:
        sessions = every_session(web)
        assert sessions
        for session in sessions:
            base = f"/session/{quote(session, safe='')}"
            for path in (base, f"{base}?all=1", f"{base}?page=2", f"{base}/export.html",
                         f"{base}/export.md", f"{base}/export.jsonl"):  # fmt: skip
                assert web.get(path).status_code == 200, path.partition("?")[2]
        for path in (
            "/",
            "/dashboard?period=30",
            "/search?q=error&tool_result=1",
            "/?sort=cost",
        ):
            assert web.get(path).status_code == 200
