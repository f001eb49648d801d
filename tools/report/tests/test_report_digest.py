"""`report digest`: a week as Markdown, HTML and JSON."""

import json
import os
import re
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cclake_report.digest import last_week, week_of
from sample import sample

YEAR = ("--since", "2026-01-01", "--until", "2026-12-31", "--timezone", "UTC")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sample()
    for number in range(7):
        made.add(
            "fct_file_operations", tool_use_id=f"file{number}", session_id="s",
            project_key="alpha", host="laptop", operation="edit", tool_name="Edit",
            file_path="/home/me/[x](http://evil.example)|<b>\x1b]52;c;x\x07.py"
            if number < 6 else "/home/me/other.py",
            is_error=0, lines_added=2, lines_removed=1,
            called_at=f"2026-11-0{number + 1}T10:00:00.000Z",
        )  # fmt: skip
    folder = tmp_path_factory.mktemp("digest")
    made.write(folder / "conversations.db")
    return folder


def run(exports: Path, *options: str, code: int = 0) -> str:
    done = subprocess.run(
        ["report", "digest", *options],
        env=os.environ | {"EXPORT_DIR": str(exports)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done.stdout or done.stderr


def test_weeks_begin_on_monday() -> None:
    assert week_of(date(2026, 11, 29)) == (date(2026, 11, 23), date(2026, 11, 29))
    assert last_week(date(2026, 11, 30)) == (date(2026, 11, 23), date(2026, 11, 29))
    assert last_week(date(2026, 11, 29)) == (date(2026, 11, 16), date(2026, 11, 22))


def test_its_sums_are_those_of_the_reports(exports: Path) -> None:
    found = json.loads(run(exports, *YEAR, "--json"))["sections"]
    daily = subprocess.run(
        ["report", "daily", *YEAR, "--json", "--export-dir", str(exports)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    totals = json.loads(daily.stdout)["totals"]
    numbers = {row["what"]: row["now"] for row in found["changes"]["rows"]}
    assert numbers["Tokens"] == totals["total_tokens"] > 0
    assert numbers["Responses"] == totals["responses"] > 0
    assert numbers["Cost (USD)"] == pytest.approx(totals["cost_usd"])
    assert numbers["Failed tool calls"] > 0
    costs = [row["cost_usd"] for row in found["prompts"]["rows"]]
    assert costs == sorted(costs, reverse=True)
    assert found["files"]["rows"][0]["edits"] == 6


def test_the_period_before_is_as_long(exports: Path) -> None:
    def numbers(*days: str) -> dict[str, Any]:
        options = ("--since", days[0], "--until", days[1], "--timezone", "UTC")
        rows = json.loads(run(exports, *options, "--json"))["sections"]["changes"]
        return {row["what"]: row for row in rows["rows"]}

    now = numbers("2026-11-22", "2026-11-28")
    before = numbers("2026-11-15", "2026-11-21")
    assert before["Tokens"]["now"] > 0
    for what, row in now.items():
        assert row["before"] == before[what]["now"], what
    tokens = now["Tokens"]
    assert tokens["change"] == pytest.approx(
        (tokens["now"] - tokens["before"]) / tokens["before"]
    )


def test_text_of_logs_stays_text(exports: Path) -> None:
    text = run(exports, *YEAR)
    assert r"\[x\](http\://evil.example)\|\<b\>" in text
    page = run(exports, *YEAR, "--html")
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert not re.search(r"<[^>]*(src|href)=|<script|url\(", page)
    for odd in ("\x1b", "\x07"):
        assert odd not in text + page


def test_every_row_of_a_table_has_the_cells_of_its_head(exports: Path) -> None:
    size = 0
    for line in run(exports, *YEAR).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (size and cells) or cells == size, line
        size = cells


def test_a_week_without_anything_says_so(exports: Path) -> None:
    text = run(exports, "--week", "2001-01-03")
    assert "from 2001-01-01 to 2001-01-07" in text
    assert text.count("Nothing.") >= 5


@pytest.mark.parametrize(
    "options",
    [
        ("--week", "2026-11-01", "--since", "2026-11-01"),
        ("--since", "2026-11-01"),
        ("--html", "--json"),
        ("--week", "soon"),
        ("--week", "0001-01-03"),
        ("--since", "2026-11-02", "--until", "2026-11-01"),
    ],
)
def test_wrong_options_are_named(exports: Path, options: tuple[str, ...]) -> None:
    assert run(exports, *options, code=2).startswith("report: ")
