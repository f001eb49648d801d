import csv
import io
import json
import os
import sqlite3
import subprocess
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cclake_common import accounts
from cclake_common.accounts import Accounts
from cclake_common.timezones import zone
from cclake_report.export import open_gold
from cclake_report.filters import Filters, day
from cclake_report.model import Report
from cclake_report.render import as_csv
from cclake_report.usage import By, usage
from gold_usage import MODELS, START, items, make_export, response
from harness import BIN

RESPONSES = [response(number) for number in range(1, 60)]
PROJECTS = [
    {
        "project_key": f"p{n}",
        "project_name": f"name{n}",
        "project_path": f"/home/me/{n}",
    }
    for n in range(2)
]
SESSIONS = [
    {"session_id": f"session-{n}", "title": f"Title {n}", "project_key": f"p{n % 2}"}
    for n in range(4)
]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_export(
        tmp_path_factory.mktemp("exports"),
        fct_api_responses=RESPONSES,
        dim_projects=PROJECTS,
        dim_sessions=SESSIONS,
    )


def report(exports: Path, *arguments: str, check: bool = True) -> Any:
    done = subprocess.run(
        [BIN / "report", *arguments],
        env=os.environ | {"EXPORT_DIR": str(exports), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        check=check,
    )
    return done if not check else done.stdout


def as_json(exports: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report(exports, *arguments, "--json"))
    return found


def test_days_are_those_of_the_time_zone(exports: Path) -> None:
    for name in ("UTC", "Asia/Kathmandu", "America/New_York"):
        expected: dict[str, int] = defaultdict(int)
        for row in RESPONSES:
            at = row["responded_at"].replace(tzinfo=ZoneInfo("UTC"))
            expected[str(at.astimezone(ZoneInfo(name)).date())] += row["total_tokens"]
        found = as_json(exports, "daily", "--timezone", name)
        assert {row["date"]: row["total_tokens"] for row in found["rows"]} == expected


@pytest.mark.parametrize(
    "by", ["daily", "weekly", "monthly", "session", "models", "projects"]
)
def test_every_grouping_has_the_same_exact_total(exports: Path, by: By) -> None:
    with open_gold(exports) as gold:
        found = usage(gold, by, Filters())
    assert found.totals is not None
    assert found.totals["cost_usd"] == sum(row["cost_usd"] for row in RESPONSES)
    assert sum(row["cost_usd"] for row in found.rows) == Decimal("0.3000000001") * 59
    assert found.totals["output_tokens"] == sum(r["output_tokens"] for r in RESPONSES)
    assert sum(row["responses"] for row in found.rows) == len(RESPONSES)


def test_the_last_day_that_there_is_can_be_named(exports: Path) -> None:
    named = as_json(exports, "daily", "--until", "99991231")
    assert named["rows"] == as_json(exports, "daily")["rows"]


def test_weeks_begin_on_monday(exports: Path) -> None:
    weeks = [row["week"] for row in as_json(exports, "weekly", "-z", "UTC")["rows"]]
    assert weeks == ["2026-10-26", "2026-11-02"]
    assert all(date.fromisoformat(week).weekday() == 0 for week in weeks)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--project", "NAME1"], lambda r: r["project_key"] == "p1"),
        (["--project", "/home/me/0"], lambda r: r["project_key"] == "p0"),
        (["--model", "Haiku"], lambda r: r["model"] == MODELS[1]),
        (["--host", "tower"], lambda r: r["host"] == "tower"),
        (["--since", "20261103"], lambda r: r["responded_at"].day >= 3),
        (["--until", "2026-11-02"], lambda r: r["responded_at"].day <= 2),
        (
            ["--since", "2026-11-02", "--until", "2026-11-02", "--host", "laptop"],
            lambda r: r["responded_at"].day == 2 and r["host"] == "laptop",
        ),
    ],
)
def test_filters_keep_what_they_name(
    exports: Path, options: list[str], kept: Any
) -> None:
    expected = sum(row["input_tokens"] for row in RESPONSES if kept(row))
    found = as_json(exports, "daily", "-z", "UTC", *options)
    assert expected > 0
    assert found["totals"]["input_tokens"] == expected


def test_a_filter_is_a_value_and_never_sql(exports: Path) -> None:
    for option in ("--project", "--model", "--host"):
        assert as_json(exports, "daily", option, "' or '1'='1")["rows"] == []


def test_a_breakdown_adds_up_to_its_row(exports: Path) -> None:
    for row in as_json(exports, "daily", "--breakdown")["rows"]:
        assert row["total_tokens"] == sum(p["total_tokens"] for p in row["breakdown"])
        assert [part["model"] for part in row["breakdown"]] == row["models"]
    for by in ("daily", "session", "projects"):
        assert "  └ haiku 4.5 " in report(exports, by, "--breakdown")


def test_sessions_have_their_titles_and_the_newest_is_last(exports: Path) -> None:
    rows = as_json(exports, "session", "-z", "UTC")["rows"]
    assert {row["session_id"]: row["title"] for row in rows} == {
        f"session-{n}": f"Title {n}" for n in range(4)
    }
    newest = START + timedelta(hours=59)
    assert rows[-1]["last_at"] == newest.strftime("%Y-%m-%d %H:%M")


def test_sessions_of_a_project_are_those_in_the_range(exports: Path) -> None:
    rows = as_json(exports, "projects", "--host", "tower", "--until", "20261101")[
        "rows"
    ]
    assert rows == []
    found = as_json(exports, "projects", "-z", "UTC", "--until", "2026-11-01")["rows"]
    assert [(row["project"], row["sessions"]) for row in found] == [("name1", 1)]


def test_the_share_of_final_counts_is_told(exports: Path) -> None:
    (note,) = as_json(exports, "monthly")["notes"]
    assert "19 % of the responses (11 of 59)" in note


def test_an_unpriced_model_is_loud_in_every_total(tmp_path: Path) -> None:
    rows = [
        response(1),
        response(2, model="claude-new-9", cost_usd=None, session_id="session-9"),
    ]
    exports = make_export(tmp_path, fct_api_responses=rows)
    for by in ("daily", "session", "models", "projects"):
        shown = report(exports, by)
        assert "WITHOUT A PRICE: 1 responses of claude-new-9" in shown
        assert ">= 0.30" in shown
    models = {row["model"]: row for row in as_json(exports, "models")["rows"]}
    assert models["claude-new-9"]["cost_usd"] is None
    assert "unknown" in report(exports, "models", "--model", "new")


def test_a_response_without_token_counts_is_told_apart(tmp_path: Path) -> None:
    without = {"cost_usd": None, "is_priced": False} | {
        name: None for name in response(2) if name.endswith("_tokens")
    }
    rows = [response(1), response(2) | without]
    exports = make_export(tmp_path, fct_api_responses=rows)
    found = as_json(exports, "monthly")
    assert found["totals"]["total_tokens"] == rows[0]["total_tokens"]
    assert found["totals"]["unpriced_responses"] == 0
    assert found["notes"][0].startswith("LOGGED WITHOUT TOKEN COUNTS: 1 responses")
    assert "0 % of the responses (0 of 1)" in found["notes"][1]
    assert "LOGGED WITHOUT" in report(exports, "explain", "msg_2")
    file = tmp_path / "ccusage.json"
    file.write_text('{"monthly": []}')
    assert "0 are unexplained" in report(exports, "diff", "--ccusage", str(file))


def test_without_a_command_it_is_the_days(exports: Path) -> None:
    days = report(exports, "daily", "-z", "UTC")
    assert report(exports, "-z", "UTC") == days
    assert as_json(exports)["report"] == "daily"
    assert "Usage: report [OPTIONS] COMMAND" in report(exports, "-h")


def test_models_that_people_call_the_same_are_named_once(tmp_path: Path) -> None:
    names = {
        "claude-sonnet-4-20250514": "claude-sonnet-4",
        "claude-sonnet-4": "claude-sonnet-4",
        "us.anthropic.claude-sonnet-4-20250514-v1:0": "claude-sonnet-4 (Bedrock us)",
    }
    rows = [RESPONSES[0] | {"model": m, "model_name": n} for m, n in names.items()]
    make_export(tmp_path, fct_api_responses=rows, dim_projects=[], dim_sessions=[])
    assert "sonnet 4, sonnet 4 (Bedrock us)" in report(tmp_path, "daily")
    models = as_json(tmp_path, "models")["rows"]
    assert {row["model"]: row["responses"] for row in models} == {
        "claude-sonnet-4": 2,
        "claude-sonnet-4 (Bedrock us)": 1,
    }
    asked = as_json(tmp_path, "models", "--model", "sonnet-4-2025")
    assert asked["totals"]["responses"] == 2


def test_each_item_of_a_response_is_counted_as_its_own_model(tmp_path: Path) -> None:
    """An advisor has its tokens, cost and price; the response is counted once."""
    row, parts = items(
        1,
        {"model": "claude-sonnet-4-6", "cost_usd": Decimal("0.04")},
        {"model": "claude-mythos-5-2", "cost_usd": None},
        {"model": "claude-sonnet-4-6", "cost_usd": Decimal("0.06")},
    )
    exports = make_export(
        tmp_path,
        fct_api_responses=[row, response(2, model="claude-opus-5")],
        fct_response_items=parts,
    )
    found = as_json(exports, "models")
    counted = {
        r["model"]: (r["responses"], r["unpriced_responses"], r["cost_usd"])
        for r in found["rows"]
    }
    assert counted == {
        "claude-sonnet-4-6": (1, 0, 0.1),
        "claude-mythos-5-2": (1, 1, None),
        "claude-opus-5": (1, 0, 0.3000000001),
    }
    assert found["totals"]["responses"] == 2
    assert found["totals"]["unpriced_responses"] == 1
    assert "1 responses of claude-mythos-5-2." in found["notes"][0]
    days = as_json(exports, "daily", "--breakdown")
    assert sum(day["responses"] for day in days["rows"]) == 2
    assert days["totals"]["total_tokens"] == found["totals"]["total_tokens"]
    with open_gold(exports) as gold:
        assert usage(gold, "models", Filters()).totals == (
            usage(gold, "daily", Filters()).totals
        )


def test_csv_has_a_header_and_exact_money(exports: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report(exports, "models", "--csv"))))
    assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal("17.7000000059")


def test_no_name_in_a_csv_is_a_formula(tmp_path: Path) -> None:
    titles = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "1-1"]
    names = [f"session-{number}" for number in range(len(titles))]
    exports = make_export(
        tmp_path,
        fct_api_responses=[
            response(number) | {"session_id": name, "project_key": "-home-me"}
            for number, name in enumerate(names)
        ],
        dim_sessions=[
            {"session_id": name, "title": title}
            for name, title in zip(names, titles, strict=True)
        ],
    )
    text = report(exports, "session", "--csv")
    rows = {row["session_id"]: row for row in csv.DictReader(io.StringIO(text))}
    shown = [rows[name]["title"] for name in names]
    assert shown == ["'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(1)", "'=1", "1-1"]
    assert all(Decimal(row["cost_usd"]) >= 0 for row in rows.values())
    below_zero = Report("diff", (), [{"cost_usd": Decimal("-1.5"), "count": -2}])
    assert as_csv(below_zero).endswith("\n-1.5,-2")


def test_nothing_found_is_said(exports: Path) -> None:
    assert report(exports, "daily", "--since", "2030-01-01") == "nothing found\n"


def test_a_title_never_controls_the_terminal(tmp_path: Path) -> None:
    hostile = "  └\x1b]0;owned\x07\x1b[31mred\u202egnp.exe\nnew line\x9b2J"
    exports = make_export(
        tmp_path,
        fct_api_responses=[response(1)],
        dim_sessions=[{"session_id": "session-1", "title": hostile}],
    )
    for form in ([], ["--csv"], ["--json"]):
        shown = report(exports, "session", *form)
        assert not set("\x1b\x07\x9b\u202e") & set(shown)
        assert r"\x1b]0;owned" in shown or r"\u001b]0;owned" in shown
    assert len(report(exports, "session").splitlines()) == 7


def test_a_table_fits_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = "日本語の長い題名" * 30
    exports = make_export(
        tmp_path,
        fct_api_responses=[response(1)],
        dim_sessions=[{"session_id": "session-1", "title": title}],
    )
    monkeypatch.setenv("COLUMNS", "140")
    table = report(exports, "session").split("\n\n")[0].splitlines()
    from cclake_report.render import size

    assert max(size(line) for line in table) <= 140
    assert "…" in table[2]


def test_days_and_zones_that_are_none_are_wrong_usage(exports: Path) -> None:
    backwards = ["--since", "2026-11-02", "--until", "2026-11-01"]
    for options in (["--since", "yesterday"], ["-z", "Mars/Olympus"], backwards):
        done = report(exports, "daily", *options, check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("report: ")
    assert day(None) is None
    assert zone("Europe/Berlin") == "Europe/Berlin"


def test_the_local_zone_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert zone("local") == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "/usr/share/zoneinfo/Europe/Berlin")
    assert zone("local") == "Europe/Berlin"


def test_a_local_zone_without_a_name_is_one_clear_line(
    exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rule in ("CET-1CEST", "/nowhere/at/all"):
        monkeypatch.setenv("TZ", rule)
        done = report(exports, "daily", "-z", "local", check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"report: TZ={rule} does not name a time zone")
        assert "--timezone" in done.stderr


def test_a_missing_or_foreign_export_is_one_clear_line(tmp_path: Path) -> None:
    done = report(tmp_path, "daily", check=False)
    assert done.returncode == 1
    assert "does not exist" in done.stderr
    sqlite3.connect(tmp_path / "conversations.db").close()
    done = report(tmp_path, "daily", check=False)
    assert done.returncode == 1
    assert "does not have the layout" in done.stderr
    (tmp_path / "conversations.db").write_bytes(b"no database" * 1000)
    done = report(tmp_path, "daily", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


ACCOUNTS = """
[[account]]
name = "work"
folder = "/home/me"

[[account]]
name = "tower"
host = "tower"
folder = "/home/me/1"

[[account]]
name = "unused"
folder = "/mnt"
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    (tmp_path / accounts.FILE).write_text(ACCOUNTS)
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path))
    return accounts.load()


def test_accounts_divide_all_that_is_used(exports: Path, rules: Accounts) -> None:
    expected: dict[str, int] = defaultdict(int)
    for row in RESPONSES:
        is_tower = row["host"] == "tower" and row["project_key"] == "p1"
        expected["tower" if is_tower else "work"] += row["total_tokens"]
    with open_gold(exports) as gold:
        found = usage(gold, "accounts", Filters(rules=rules))
        one = usage(gold, "daily", Filters(account="Tower", rules=rules))
        rest = usage(gold, "session", Filters(account="none", rules=rules))
        nobody = usage(gold, "accounts", Filters())
    assert {row["account"]: row["total_tokens"] for row in found.rows} == expected
    assert one.totals and one.totals["total_tokens"] == expected["tower"]
    assert rest.rows == []
    assert [row["account"] for row in nobody.rows] == ["none"]


def test_every_report_knows_the_account(exports: Path, rules: Accounts) -> None:
    for command in ("daily", "accounts", "blocks", "tools", "errors"):
        option = ["--account", "work", "--export-dir", str(exports), "--json"]
        done = subprocess.run(
            [BIN / "report", command, *option], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        json.loads(done.stdout)
    option[1] = "wrk"
    done = subprocess.run(
        [BIN / "report", "daily", *option], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "there is no account 'wrk'" in done.stderr
    assert "tower, unused, work" in done.stderr
