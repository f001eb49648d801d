import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from gold_usage import items, make_export, response
from harness import BIN

OPUS = "claude-opus-4-6"


def report(exports: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "report", *arguments],
        env=os.environ | {"EXPORT_DIR": str(exports)},
        capture_output=True,
        text=True,
    )


def test_a_price_is_explained_by_its_parts_and_rules(tmp_path: Path) -> None:
    row = response(
        1, records=3, sessions=2, speed="fast", price_multiplier=6, price_parts=2,
        is_long_context=True, long_from_tokens=100_000, web_search_requests=2,
        web_search_usd=Decimal("0.02"), request_id=None,
    )  # fmt: skip
    shown = report(make_export(tmp_path, fct_api_responses=[row]), "explain", "msg_1")
    assert shown.returncode == 0, shown.stderr
    for words in (
        "3 records of this response",
        "2 sessions have it",
        "no request id",
        "2 iterations",
        "above 100,000 tokens",
        "multiplied by 6 (fast mode)",
        "Web search, 2 requests",
        "a lower bound",
        "0.3000000001",
    ):
        assert words in shown.stdout


def test_an_unpriced_response_says_so(tmp_path: Path) -> None:
    row = response(1, cost_usd=None, input_usd=None, model="claude-new-9")
    exports = make_export(tmp_path, fct_api_responses=[row])
    shown = report(exports, "explain", "req_1").stdout
    assert "WITHOUT A PRICE: no price row fits claude-new-9" in shown
    found = json.loads(report(exports, "explain", "msg_1", "--json").stdout)
    assert found["totals"]["cost_usd"] is None


def test_each_item_is_explained_as_its_own_model(tmp_path: Path) -> None:
    row, parts = items(
        1,
        {"model": "claude-sonnet-4-6", "cost_usd": Decimal("0.1")},
        {"model": "claude-opus-4-7", "cost_usd": Decimal("0.9"), "price_multiplier": 2,
         "speed": "fast", "price_model": "claude-opus-4-7"},
        {"model": "claude-mythos-5-2", "cost_usd": None, "item_type": "advisor_message"},
    )  # fmt: skip
    exports = make_export(tmp_path, fct_api_responses=[row], fct_response_items=parts)
    shown = report(exports, "explain", "msg_1")
    assert shown.returncode == 0, shown.stderr
    for words in (
        "3 iterations",
        "opus 4.7",
        "Item 2: Token prices are multiplied by 2 (fast mode)",
        "Item 2: Prices of claude-opus-4-7",
        "Item 3: WITHOUT A PRICE: no price row fits claude-mythos-5-2",
    ):
        assert words in shown.stdout
    found = json.loads(report(exports, "explain", "msg_1", "--json").stdout)
    assert {r["model"] for r in found["rows"]} == {item["model"] for item in parts}
    assert sum(r["tokens"] for r in found["rows"]) == found["totals"]["tokens"]


def test_an_unknown_message_is_one_clear_line(tmp_path: Path) -> None:
    done = report(make_export(tmp_path), "explain", "msg_x")
    assert done.returncode == 1
    assert "no API response has the id msg_x" in done.stderr


def theirs(rows: list[dict[str, Any]], **changed: Any) -> dict[str, Any]:
    """Return what ccusage would print if it counted these responses."""
    breakdown = {
        "modelName": OPUS,
        "inputTokens": sum(r["input_tokens"] for r in rows),
        "outputTokens": sum(r["output_tokens"] for r in rows),
        "cacheCreationTokens": sum(r["cache_write_tokens"] for r in rows),
        "cacheReadTokens": sum(r["cache_read_tokens"] for r in rows),
        "cost": float(sum(r["cost_usd"] for r in rows)),
    } | changed
    return {"month": "2026-11", "modelBreakdowns": [breakdown]}


def differences(
    folder: Path, ours: list[dict[str, Any]], found: dict[str, Any], **tables: Any
) -> dict[str, Any]:
    exports = make_export(folder, fct_api_responses=ours, **tables)
    file = folder / "ccusage.json"
    file.write_text(json.dumps(found))
    done = report(exports, "diff", "--ccusage", file, "--host", "laptop", "--json")
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def ours(number: int, **changed: Any) -> dict[str, Any]:
    return response(number, **({"model": OPUS, "host": "laptop"} | changed))


def test_equal_counts_have_no_difference(tmp_path: Path) -> None:
    rows = [ours(1), ours(2)]
    found = differences(tmp_path, rows, {"monthly": [theirs(rows)]})
    assert found["rows"] == []
    assert found["notes"][0].startswith("1 lines are equal")


def test_an_advisor_is_compared_as_its_own_model(tmp_path: Path) -> None:
    row, parts = items(
        1,
        {"model": OPUS, "host": "laptop"},
        {"model": "claude-fable-5", "host": "laptop"},
    )
    theirs_of = [theirs([part], modelName=part["model"]) for part in parts]
    found = differences(
        tmp_path, [row], {"monthly": theirs_of}, fct_response_items=parts
    )
    assert found["rows"] == []
    assert found["notes"][0].startswith("2 lines are equal")


@pytest.mark.parametrize(
    ("special", "reason"),
    [
        ({"host": "tower"}, "logged on another machine"),
        ({"is_from_progress": True}, "only in a progress record"),
        ({"entry_key": "salvaged"}, "recovered from a damaged line"),
        (
            {
                "host": "tower",
                "entry_key": "salvaged",
                "is_from_progress": True,
                "is_long_context": True,
                "long_from_tokens": 200_000,
                "is_us_only": True,
            },
            "logged on another machine",
        ),
    ],
)
def test_responses_that_ccusage_cannot_see_are_explained(
    tmp_path: Path, special: dict[str, Any], reason: str
) -> None:
    seen, unseen = ours(1), ours(2, **special)
    found = differences(
        tmp_path,
        [seen, unseen],
        {"monthly": [theirs([seen])]},
        fct_messages=[{"entry_key": "salvaged", "part": 1}],
    )
    (row,) = found["rows"]
    assert row["reason"].startswith(reason)
    assert row["input_tokens"] == unseen["input_tokens"]
    assert row["cost_usd"] == pytest.approx(0.3)
    assert row["certain"] is True


def test_money_that_ccusage_leaves_out_is_explained(tmp_path: Path) -> None:
    long = ours(
        1, is_long_context=True, long_from_tokens=200_000, input_tokens=300_000, output_tokens=1_000,
        cache_write_5m_tokens=0, cache_read_tokens=0, input_price=6,
        output_price=Decimal("22.5"), cost_usd=Decimal("1.8225"),
    )  # fmt: skip
    search = ours(2, web_search_usd=Decimal("0.02"), cost_usd=Decimal("0.32"))
    rows = [long, search]
    # 200,000 at $3, 100,000 at $6, 1,000 at $15, and no fee for the search.
    cost = 0.6 + 0.6 + 0.015 + 0.3
    found = differences(tmp_path, rows, {"monthly": [theirs(rows, cost=cost)]})
    assert {row["reason"].split(";")[0]: row["cost_usd"] for row in found["rows"]} == {
        "above 200,000 tokens the higher rate applies to the whole request": (
            pytest.approx(0.6075)
        ),
        "web search fee": pytest.approx(0.02),
    }
    assert "2 differences are explained to the token; 0 have" in found["notes"][1]


def test_the_rates_of_another_limit_are_a_hint_only(tmp_path: Path) -> None:
    rows = [ours(1, is_long_context=True, long_from_tokens=100_000)]
    found = differences(tmp_path, rows, {"monthly": [theirs(rows, cost=0.2)]})
    (row,) = found["rows"]
    assert "1 responses at the higher rate of a limit" in row["reason"]
    assert row["certain"] is False


def test_what_has_no_reason_is_called_unexplained(tmp_path: Path) -> None:
    rows = [ours(1)]
    wrong = theirs(rows, inputTokens=1)
    found = differences(tmp_path, rows, {"monthly": [wrong]})
    (row,) = found["rows"]
    assert (row["reason"], row["input_tokens"]) == ("unexplained", 10)
    assert "1 are unexplained" in found["notes"][1]


def test_records_without_a_request_id_are_a_likely_reason_by_day(
    tmp_path: Path,
) -> None:
    rows = [ours(1, request_id=None)]
    day = theirs(rows, inputTokens=22) | {"date": "2026-11-01"}
    found = differences(tmp_path, rows, {"daily": [day]})
    assert found["rows"][0]["reason"].startswith("probably: 1 responses without")
    assert found["rows"][0]["certain"] is False


def test_copies_under_another_request_id_are_a_likely_reason(tmp_path: Path) -> None:
    rows = [ours(1, sessions=2)]
    twice = theirs([*rows, *rows])
    found = differences(tmp_path, rows, {"monthly": [twice]})
    assert found["rows"][0]["reason"].startswith("probably: 1 responses have copies in")
    assert found["rows"][0]["input_tokens"] == -rows[0]["input_tokens"]


def test_periods_that_only_one_of_them_has_are_named(tmp_path: Path) -> None:
    only_here, only_there = ours(1), theirs([ours(2)]) | {"month": "2025-01"}
    found = differences(tmp_path, [only_here], {"monthly": [only_there]})
    reasons = {row["period"]: row["reason"].split(":")[0] for row in found["rows"]}
    assert reasons == {"2025-01": "only in ccusage", "2026-11": "only in gold"}


@pytest.mark.parametrize("text", ["{", "[]", '{"daily": [{"date": 1}]}', '{"x": 1}'])
def test_a_file_that_ccusage_did_not_make_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    done = report(make_export(tmp_path), "diff", "--ccusage", tmp_path / "x.json")
    assert done.returncode == 1
    assert "is not a report of ccusage" in done.stderr
