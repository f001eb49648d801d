"""Cases of tokens, money, time and calls (tests/fixtures/cases/README.md)."""

from collections import defaultdict

import pytest
from cases import Cases
from webface import Web

ADVISED = "6fb5a3cb-678d-5cd8-989b-aa4ec270ba59"
ADVISED_FAST = "870e1ab6-c1cf-57a1-9669-194a15627dae"
ACTIVE = "00000000-0000-4000-8000-000000001001"


def test_advisor_model(lake_of_cases: Cases) -> None:
    """Each item of `iterations` is priced, named and counted as its own model."""
    costs: dict[str, float] = defaultdict(float)
    for row in lake_of_cases.report("models", case="advisor-model")["rows"]:
        costs[row["model"].removesuffix("-fast")] += row["cost_usd"] or 0
    assert {model: round(usd, 6) for model, usd in costs.items()} == {
        "claude-sonnet-4-6": 0.109509,
        "claude-opus-4-7": 0.95,
        "claude-opus-5": 0.0051,
        "claude-fable-5-1": 0.02,
    }
    sessions = lake_of_cases.sessions("advisor-model")
    assert sessions[ADVISED]["cost_usd"] == pytest.approx(1.059509)
    assert sessions[ADVISED_FAST]["cost_usd"] == pytest.approx(0.0251)


def test_advisor_model_context(lake_of_cases: Cases) -> None:
    """The context of the turn is the main model's."""
    sessions = lake_of_cases.sessions("advisor-model")
    assert sessions[ADVISED]["max_context_tokens"] == 1 + 120_000 + 7_000
    assert sessions[ADVISED_FAST]["max_context_tokens"] == 5


def test_fable_5_2(lake_of_cases: Cases) -> None:
    (session,) = lake_of_cases.sessions("fable-5-2").values()
    assert session["cost_usd"] == pytest.approx(74.20)
    totals = lake_of_cases.report("models", case="fable-5-2")["totals"]
    assert totals["cost_usd"] == pytest.approx(74.20)


def test_active_time(lake_of_cases: Cases, pages: Web) -> None:
    (session,) = lake_of_cases.sessions("active-time").values()
    assert (session["wall_s"], session["active_s"]) == (10, 10)
    assert "5m 10s" not in pages.get(f"/session/{ACTIVE}").text


def test_duration_of_unanswered(lake_of_cases: Cases) -> None:
    """A call that was answered after 4 s, and one that never was."""
    calls = lake_of_cases.exported(
        "select duration_ms from fct_tool_calls where host = 'duration-of-unanswered'"
        " order by called_at"
    )
    assert [call["duration_ms"] for call in calls] == [4000, None]


def test_orphan_result(lake_of_cases: Cases) -> None:
    """A result whose call is in no file is not a call."""
    (session,) = lake_of_cases.sessions("orphan-result").values()
    assert session["tool_calls"] == 0
    sql = "select * from fct_tool_calls where host = 'orphan-result'"
    assert list(lake_of_cases.exported(sql)) == []
    assert lake_of_cases.report("tools", case="orphan-result")["rows"] == []


def test_quarter_hour_zone(lake_of_cases: Cases) -> None:
    """00:05 on 3 November in Kathmandu, in the report of the days."""
    rows = lake_of_cases.report(
        "daily", "--timezone", "Asia/Kathmandu", case="quarter-hour-zone"
    )["rows"]
    tokens = {row["date"]: row["input_tokens"] for row in rows}
    assert tokens["2026-11-03"] == 4000


def test_quarter_hour_zone_pages(pages: Web) -> None:
    """The same on the pages: 3 November has one response, of that session."""
    cookie = {"cookie": "tz=Asia/Kathmandu"}
    only = "host=quarter-hour-zone&since=2026-11-03&until=2026-11-03"
    listed = pages.get(f"/?{only}", headers=cookie).text
    assert "00:05 in Nepal" in listed
    dashboard = pages.get(f"/dashboard?{only}", headers=cookie).text
    assert "4,000" in dashboard


def test_names_of_models(lake_of_cases: Cases, pages: Web) -> None:
    """One model has one name at each provider, whatever the provider calls it."""
    sql = (
        "select session_id, model, model_name from fct_api_responses"
        " where host = 'pages' and output_tokens = 5000 and cache_read_tokens = 40900"
    )
    named = {row["model"]: row for row in lake_of_cases.exported(sql)}
    names = {
        "us.anthropic.claude-sonnet-4-20250514-v1:0": "claude-sonnet-4 (Bedrock us)",
        "claude-opus-4@20250514": "claude-opus-4 (Vertex)",
        "claude-haiku-4-5-20251001": "claude-haiku-4-5",
        "claude-opus-4-8": "claude-opus-4-8",
        "glm-4.6": "glm-4.6",
        "claude-3-5-sonnet-20241022": "claude-3-5-sonnet",
    }
    assert {model: row["model_name"] for model, row in named.items()} == names
    shown = ("sonnet 4 (Bedrock us)", "opus 4 (Vertex)", "haiku 4.5", "opus 4.8",
             "glm-4.6", "sonnet 3.5")  # fmt: skip
    for model, short in zip(names, shown, strict=True):
        assert short in pages.get(f"/session/{named[model]['session_id']}").text
