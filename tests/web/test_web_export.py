"""The pages over an export as dbt and publish really make it."""

import os
import re
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import bronze
import pytest
from gold import Workshop
from harness import BIN, PATIENCE
from webface import Web, serving

REPOSITORY = Path(__file__).parents[2]
FIXTURES = REPOSITORY / "tests" / "fixtures"
_REAL = os.environ.get("CCLAKE_REAL_LOGS")  # read before a fixture clears it


def published(logs: Path, folder: Path) -> Path:
    """An export of a folder of logs, through dbt and publish."""
    workshop = Workshop(folder / "gold")
    database = workshop.build("work", list(bronze.rows_of(logs)))
    env = os.environ | {
        "DUCKDB_PATH": str(database),
        "EXPORT_DIR": str(folder / "exports"),
    }
    subprocess.run(
        [BIN / "publish"], env=env, check=True, capture_output=True, timeout=PATIENCE
    )
    return folder / "exports"


@pytest.fixture(scope="module")
def pricing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("pricing")
    exports = published(FIXTURES / "pricing" / "projects", folder)
    with serving(exports, folder / "web.log") as web:
        yield web


def every_session(web: Web) -> list[str]:
    return [row["session_id"] for row in web.get("/export/sessions.json").json()]


@pytest.mark.slow
def test_the_cost_on_the_pages_is_the_cost_of_the_messages(pricing: Web) -> None:
    text = pricing.get("/").text
    assert "3 sessions · $2.15" in text
    rows = pricing.get("/export/sessions.json").json()
    costs = [Decimal(str(row["cost_usd"])) for row in rows if row["cost_usd"]]
    total = sum(costs, Decimal())
    assert total.quantize(Decimal("0.0001")) == Decimal("2.1504")
    assert "$2.15" in pricing.get("/dashboard").text


@pytest.mark.slow
def test_every_session_reads_as_a_conversation(pricing: Web) -> None:
    sessions = every_session(pricing)
    assert len(sessions) == 3
    for session in sessions:
        text = pricing.get(f"/session/{session}").text
        assert "You" in text
        assert 'class="bubble"' in text
    whole = "".join(pricing.get(f"/session/{one}").text for one in sessions)
    assert "please fix the zebracode bug" in whole
    assert "quokkathought" in whole


@pytest.mark.slow
def test_search_finds_what_the_log_says_and_leads_there(pricing: Web) -> None:
    text = pricing.get("/search?q=zebracode").text
    href = re.search(r'class="hit" href="(/session/[^"#]+)', text)
    assert href
    assert "zebracode" in pricing.get(href[1].replace("&amp;", "&")).text


@pytest.mark.slow
def test_every_query_of_the_pages_runs_on_the_real_tables(pricing: Web) -> None:
    listed = pricing.get("/conversations.json").json()
    assert {"fct_api_responses", "thread_entries", "search_fts"} <= {
        table["name"] for table in listed["tables"]
    }
    assert len(listed["queries"]) == 17
    for query in listed["queries"]:
        answer = pricing.get(f"/conversations/{quote(query['name'])}.json?words=fix")
        assert answer.status_code == 200, query["name"]
    assert "One row per session" in pricing.get("/conversations/dim_sessions").text


@pytest.mark.slow
@pytest.mark.skipif(not _REAL, reason="CCLAKE_REAL_LOGS names no folder")
def test_every_page_of_real_logs_can_be_shown(tmp_path: Path) -> None:
    exports = published(Path(_REAL or ""), tmp_path)
    with serving(exports, tmp_path / "web.log") as web:
        sessions = every_session(web)
        assert sessions
        for session in sessions:
            base = f"/session/{quote(session, safe='')}"
            for path in (base, f"{base}?all=1", f"{base}?page=2", f"{base}/export.html",
                         f"{base}/export.md", f"{base}/export.jsonl"):  # fmt: skip
                assert web.get(path).status_code == 200, path.partition("?")[2]
        for path in ("/", "/dashboard", "/search?q=error&tool_result=1", "/?sort=cost"):
            assert web.get(path).status_code == 200
