"""Reports over the gold that dbt makes of the pricing fixture, through `publish`."""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from chain import Chain
from harness import BIN

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "pricing"
EXPECTED = json.loads((FIXTURE / "expected.json").read_text(), parse_float=Decimal)
# What ccusage 20.0.24 prints for the same files, shortened to what is read.
CCUSAGE = {
    "sessions": [
        {
            "sessionId": "22222222-2222-4222-8222-222222222222",
            "modelBreakdowns": [
                {
                    "modelName": "claude-sonnet-4-5-20250929",
                    "inputTokens": 300_000,
                    "outputTokens": 1_000,
                    "cacheCreationTokens": 0,
                    "cacheReadTokens": 0,
                    "cost": 1.2149999999999999,
                }
            ],
        },
        {
            "sessionId": "33333333-3333-4333-8333-333333333333",
            "modelBreakdowns": [
                {
                    "modelName": "claude-opus-4-6-fast",
                    "inputTokens": 1_000,
                    "outputTokens": 1_000,
                    "cacheCreationTokens": 0,
                    "cacheReadTokens": 0,
                    "cost": 0.18000000000000002,
                },
                {
                    "modelName": "claude-opus-4-6",
                    "inputTokens": 1_000,
                    "outputTokens": 100,
                    "cacheCreationTokens": 0,
                    "cacheReadTokens": 0,
                    "cost": 0.0075,
                },
            ],
        },
    ]
}


@pytest.fixture(scope="module")
def exports(pricing: Chain) -> Path:
    return pricing.exports


def report(exports: Path, *arguments: str | Path) -> dict[str, Any]:
    done = subprocess.run(
        [BIN / "report", *arguments, "--json"],
        env=os.environ | {"EXPORT_DIR": str(exports)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout, parse_float=Decimal)
    return found


@pytest.mark.parametrize(
    "by", ["daily", "weekly", "monthly", "session", "models", "projects"]
)
def test_the_total_is_exact(exports: Path, by: str) -> None:
    totals = report(exports, by)["totals"]
    assert totals["cost_usd"] == Decimal(EXPECTED["cost_usd"])
    assert totals["input_tokens"] == EXPECTED["input_tokens"]
    assert totals["output_tokens"] == EXPECTED["output_tokens"]
    assert totals["cache_read_tokens"] == EXPECTED["cache_read_tokens"]


@pytest.mark.parametrize("message", sorted(EXPECTED["by_message"]))
def test_every_message_is_explained_to_its_cent(exports: Path, message: str) -> None:
    found = report(exports, "explain", message)
    cost = Decimal(EXPECTED["by_message"][message]["cost_usd"])
    assert found["totals"]["cost_usd"] == cost
    assert sum(part["cost_usd"] for part in found["rows"]) == cost


def test_every_other_report_answers(exports: Path) -> None:
    assert report(exports, "tools")["totals"]["errors"] == 1
    assert report(exports, "errors")["totals"]["errors"] == 2
    assert sum(row["cost_usd"] for row in report(exports, "blocks")["rows"]) == Decimal(
        EXPECTED["cost_usd"]
    )


def test_the_difference_from_ccusage_is_explained(
    exports: Path, tmp_path: Path
) -> None:
    file = tmp_path / "ccusage.json"
    file.write_text(json.dumps(CCUSAGE))
    rows = report(exports, "diff", "--ccusage", file, "--host", "laptop")["rows"]
    long = [row for row in rows if row["reason"].startswith("above 200,000")]
    assert [round(row["cost_usd"], 6) for row in long] == [Decimal("0.6075")]
    others = {row["period"][:8] for row in rows if row not in long}
    assert others == {"11111111"}
