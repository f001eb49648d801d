import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cclake_report.activity import blocks, errors, tools
from cclake_report.export import open_gold
from cclake_report.filters import Filters
from gold_usage import MODELS, START, make_export, response
from harness import BIN

CALLS: list[dict[str, Any]] = [
    {
        "tool_use_id": f"t{n}", "message_id": f"msg_{n}", "session_id": f"s{n % 3}",
        "project_key": "p0", "host": "laptop", "tool_name": "Bash" if n % 4 else "Read",
        "tool_category": "shell" if n % 4 else "file", "is_error": n % 5 == 0,
        "error_kind": ("denied" if n % 2 else "exit_code") if n % 5 == 0 else None,
        "duration_ms": 100 * n, "called_at": START + timedelta(hours=n),
    }
    for n in range(1, 41)
]  # fmt: skip
MESSAGES = [
    {
        "entry_key": f"e{n}", "part": 0, "session_id": "s1", "project_key": "p0",
        "host": "laptop", "model": "<synthetic>" if n % 2 else None,
        "message_kind": ("api_error", "interrupt", "answer")[n % 3],
        "said_at": START + timedelta(hours=n),
    }
    for n in range(12)
]  # fmt: skip


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_export(
        tmp_path_factory.mktemp("exports"),
        fct_tool_calls=CALLS,
        fct_messages=MESSAGES,
        fct_api_responses=[response(n) for n in range(1, 41)],
    )


def test_tools_are_counted_with_their_errors(exports: Path) -> None:
    with open_gold(exports) as gold:
        found = tools(gold, Filters())
    assert [row["tool_name"] for row in found.rows] == ["Bash", "Read"]
    for row in found.rows:
        calls = [c for c in CALLS if c["tool_name"] == row["tool_name"]]
        bad = [c for c in calls if c["is_error"]]
        assert (row["calls"], row["errors"]) == (len(calls), len(bad))
        assert row["denied"] == sum(c["error_kind"] == "denied" for c in bad)
        assert row["total_ms"] == sum(c["duration_ms"] for c in calls)
    assert found.totals == {
        "calls": 40, "errors": 8, "denied": 4, "total_ms": 82_000, "error_rate": 0.2
    }  # fmt: skip


def test_a_call_has_the_model_of_its_message(exports: Path) -> None:
    with open_gold(exports) as gold:
        found = tools(gold, Filters(model="haiku"))
    assert found.totals is not None
    assert found.totals["calls"] == sum(n % 2 for n in range(1, 41))


def test_errors_are_listed_by_kind_with_those_of_the_api(exports: Path) -> None:
    with open_gold(exports) as gold:
        found = errors(gold, Filters())
    listed = {(r["source"], r["what"], r["kind"]): r["errors"] for r in found.rows}
    assert listed == {
        ("tool", "Bash", "denied"): 4,
        ("tool", "Bash", "exit_code"): 2,
        ("tool", "Read", "exit_code"): 2,
        ("api", "API", "api_error"): 2,
        ("api", "<synthetic>", "api_error"): 2,
        ("api", "API", "interrupt"): 2,
        ("api", "<synthetic>", "interrupt"): 2,
    }
    assert found.totals == {"errors": 16}


@pytest.fixture(scope="module")
def block_exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {
            "block_start": START + timedelta(hours=hours),
            "block_end": START + timedelta(hours=hours + 5),
            "first_response_at": START, "last_response_at": START,
            "api_responses": 2, "unpriced_responses": unpriced, "models": MODELS[0],
            "input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cost_usd": 4,
            "tokens_per_minute": 5.0, "usd_per_hour": 6.0,
        }
        for hours, unpriced in ((0, 0), (10, 1), (30, 0))
    ]  # fmt: skip
    return make_export(tmp_path_factory.mktemp("exports"), agg_usage_blocks=rows)


def test_the_open_block_says_how_it_will_end(block_exports: Path) -> None:
    now = (START + timedelta(hours=33)).replace(tzinfo=UTC)
    with open_gold(block_exports) as gold:
        found = blocks(gold, Filters(), now=now)
        only = blocks(gold, Filters(), active=True, now=now)
    assert [row["is_active"] for row in found.rows] == [False, False, True]
    assert found.rows[2]["minutes_left"] == 120
    assert "At this pace the open block ends at $16.00." in found.notes
    assert any(
        "WITHOUT A COST: 1 responses in 1 blocks" in note for note in found.notes
    )
    assert [row["block"] for row in only.rows] == ["2026-11-03 04:30"]


def test_blocks_are_shown_in_the_time_zone(block_exports: Path) -> None:
    done = subprocess.run(
        [BIN / "report", "blocks", "-z", "Asia/Tokyo", "--json", "--until", "20261102"],
        env=os.environ | {"EXPORT_DIR": str(block_exports)},
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    assert [row["block"] for row in rows] == ["2026-11-02 07:30", "2026-11-02 17:30"]
    assert datetime.fromisoformat(rows[0]["block_start"]) == START.replace(tzinfo=UTC)
