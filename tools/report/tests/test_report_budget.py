import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cclake_common import budget_hook, budgets
from cclake_common.budgets import Budget, Use, load
from cclake_common.failure import Failure
from cclake_common.timezones import bounds
from cclake_report.export import open_gold
from cclake_report.statusline import Options, line
from gold_usage import make_export, response
from harness import BIN

NOW = datetime(2026, 11, 4, 12, tzinfo=UTC)  # a Wednesday
DAY = '[[budget]]\nperiod = "day"\n'


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        response(
            hour,
            responded_at=NOW.replace(tzinfo=None) - timedelta(hours=hour),
            cost_usd=1,
            project_key=f"p{hour % 2}",
            host="laptop" if hour % 3 else "tower",
        )
        for hour in range(1, 100)
    ]
    projects = [
        {"project_key": f"p{n}", "project_name": name, "project_path": f"/src/{name}"}
        for n, name in enumerate(("Ängste", "it's"))
    ]
    return make_export(
        tmp_path_factory.mktemp("exports"),
        fct_api_responses=rows,
        dim_projects=projects,
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("CCLAKE_HOME", str(folder))
    return folder


def used(exports: Path, text: str, home: Path, zone: str = "UTC") -> list[Use]:
    (home / "budgets.toml").write_text(text)
    with open_gold(exports) as gold:
        found = load(home / "budgets.toml")
        return budgets.uses(gold.connection, found, NOW, zone)


def test_what_is_used_of_each_period(exports: Path, home: Path) -> None:
    text = "".join(
        f'[[budget]]\nperiod = "{period}"\nusd = 100\n'
        for period in ("day", "week", "month")
    )
    day, week, month = used(exports, text, home)
    assert (day.used, week.used, month.used) == (12, 60, 84)
    assert day.share == 0.12
    # At one dollar an hour: 88 more hours, so not today.
    assert day.spent_at is None
    assert week.spent_at == NOW + timedelta(hours=40)
    assert month.start == datetime(2026, 11, 1, tzinfo=UTC)


def test_a_budget_of_a_project_a_host_and_in_tokens(exports: Path, home: Path) -> None:
    common = '[[budget]]\nperiod = "day"\n'
    text = (
        f'{common}usd = 5\nproject = "IT\'S"\n{common}usd = 5\nhost = "tower"\n'
        f'{common}tokens = 1_000\nproject = "ängste"\nname = "t"\n'
    )
    project, host, tokens = used(exports, text, home)
    assert (project.used, host.used) == (6, 4)
    assert (project.is_over, host.is_over, tokens.is_over) == (True, False, True)
    expected = sum(response(n)["total_tokens"] for n in range(2, 13, 2))
    assert tokens.used == expected
    assert [project.budget.name, host.budget.name] == ["day IT'S", "day tower"]


def test_a_budget_of_an_account(exports: Path, home: Path) -> None:
    (home / "accounts.toml").write_text(
        '[[account]]\nname = "Work"\nhost = "laptop"\n'
        '[[account]]\nname = "mine"\nfolder = "/src/Ängste"\n'
    )
    text = "".join(
        f'[[budget]]\nperiod = "day"\nusd = 20\naccount = "{name}"\n'
        for name in ("work", "mine", "none", "other")
    )
    found = used(exports, text, home)
    # Of 12 hours 6 are of p0, the other 6 of p1; of these, 4 of laptop.
    assert [one.used for one in found] == [4, 6, 2, 0]
    assert found[0].budget.name == "day work"


def test_the_file_can_name_the_time_zone(exports: Path, home: Path) -> None:
    text = f'timezone = "Asia/Kathmandu"\n{DAY}usd = 20\n'
    (day,) = used(exports, text, home)
    assert day.start == datetime(2026, 11, 3, 18, 15, tzinfo=UTC)
    with pytest.raises(Failure, match="no time zone Mars"):
        used(exports, 'timezone = "Mars"', home)


@pytest.mark.parametrize(
    ("zone", "now", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 10, 25, 12), {"day": 25, "week": 169, "month": 745}),
        ("Europe/Berlin", datetime(2026, 3, 29, 12), {"day": 23, "week": 167, "month": 743}),
        ("America/Santiago", datetime(2026, 9, 6, 12), {"day": 23}),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 22), {"day": 24.5}),
        ("Asia/Kathmandu", datetime(2026, 12, 31, 20), {"day": 24, "month": 744}),
    ],
)  # fmt: skip
def test_periods_are_those_of_the_time_zone(
    zone: str, now: datetime, hours: dict[str, float]
) -> None:
    now = now.replace(tzinfo=UTC)
    for period, length in hours.items():
        start, end = bounds(period, zone, now)
        assert (end - start).total_seconds() / 3600 == length
        assert start <= now < end


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[budget]", "is not TOML: "),
        (
            f"{DAY}usd = 1\n\n# x\n{DAY}name = 'b'\nusd = 0",
            "line 9: budget 2: usd is not",
        ),
        ("timezone = 3", "line 1: timezone is not a text"),
        ('\ntimezone = "Mars"', "line 2: there is no time zone Mars"),
        ("budget = 1", "line 1: budget is not a list of tables: [[budget]]"),
        ("limit = 1", "line 1: unknown key 'limit'"),
        (
            '[[budget]]\nperiod = "year"\nusd = 1',
            "line 2: budget 1: period is not one of",
        ),
        (f"{DAY}usd = 1\n{DAY}tokens = 1", 'line 4: two budgets have the name "day"'),
        (f"{DAY}usd = 1\ntokens = 1", "budget 1: give one limit, usd or tokens"),
        (DAY, "line 1: budget 1: give one limit, usd or tokens"),
        (f'{DAY}usd = "5"', "budget 1: usd is not a number"),
        (f"{DAY}usd = 0", "budget 1: usd is not above 0"),
        (f"{DAY}usd = nan", "budget 1: usd is not above 0"),
        (f"{DAY}usd = true", "budget 1: usd is not a number"),
        (f"{DAY}usd = 1\neuro = 1", "line 4: unknown key 'euro'"),
        (f'{DAY}usd = 1\nname = "a\\u001b[31m"', "budget 1: name is not a text of one"),
        (f"{DAY}usd = 1\nproject = 3", "budget 1: project is not a text of one line"),
        ('hook = "rm -rf /"', "hook is not a list of texts"),
        ('hook = [""]', "hook does not name a command"),
    ],
)
def test_a_wrong_file_is_one_clear_line(
    exports: Path, home: Path, text: str, message: str
) -> None:
    (home / "budgets.toml").write_text(text)
    done = report(exports, "budget")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    printed = line(Options("{model}", "UTC", exports), b"{}", NOW)
    assert printed.startswith("- | ")
    assert "\n" not in printed


def report(exports: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "report", *arguments],
        env=os.environ | {"EXPORT_DIR": str(exports), "COLUMNS": "140"},
        capture_output=True,
        text=True,
    )


def running(folder: Path, home: Path, limit: float, hook: list[str]) -> Path:
    """An export with one dollar of this moment, and a budget of it."""
    text = f'hook = {json.dumps(hook)}\n[[budget]]\nperiod = "month"\nusd = {limit}\n'
    (home / "budgets.toml").write_text(text)
    now = datetime.now(UTC).replace(tzinfo=None)
    return make_export(
        folder, fct_api_responses=[response(1, responded_at=now, cost_usd=1)]
    )


def test_check_tells_scripts(tmp_path: Path, home: Path) -> None:
    exports = running(tmp_path / "exports", home, 2, [])
    assert report(exports, "budget", "--check", "-z", "UTC").returncode == 0
    running(tmp_path / "more", home, 1, [])
    assert report(exports, "budget", "--check", "-z", "UTC").returncode == 1
    assert report(exports, "budget", "-z", "UTC").returncode == 0
    assert report(tmp_path, "budget", "--check").returncode == 2
    (home / "budgets.toml").unlink()
    assert report(exports, "budget", "--check").returncode == 2


def test_the_report_has_what_is_used_and_the_limit(tmp_path: Path, home: Path) -> None:
    exports = running(tmp_path / "exports", home, 0.5, [])
    text = report(exports, "budget", "-z", "UTC").stdout
    assert "month" in text
    assert "$1.00 │ $0.50 │ 200.0 % │ reached" in text
    row = json.loads(report(exports, "budget", "--json", "-z", "UTC").stdout)["rows"][0]
    assert (row["used"], row["limit"], row["share"], row["unit"]) == (1, 0.5, 2, "usd")
    assert (row["is_over"], row["spent_at"], row["project"]) == (True, None, None)


HOOK = "import json,os,sys;f=open(sys.argv[1],'a');f.write(json.dumps([sys.argv[2:],os.environ['CCLAKE_BUDGET']])+'\\n')"


def test_the_hook_runs_once_for_each_limit(tmp_path: Path, home: Path) -> None:
    log = tmp_path / "log"
    hook = [sys.executable, "-c", HOOK, str(log), "$(touch x); `id`"]
    exports = running(tmp_path / "exports", home, 1, hook)
    for _ in range(2):
        assert report(exports, "budget", "--check", "-z", "UTC").returncode == 1
    (entry,) = map(json.loads, log.read_text().splitlines())
    sentence = "Budget month: $1.00 of $1.00 used this month."
    assert entry == [["$(touch x); `id`", sentence], "month"]
    running(tmp_path / "unused", home, 0.5, hook)  # another limit is reached
    report(exports, "budget", "--check", "-z", "UTC")
    assert len(log.read_text().splitlines()) == 2


def test_the_hook_runs_again_in_the_next_period(tmp_path: Path, home: Path) -> None:
    log = tmp_path / "log"
    hook = [sys.executable, "-c", HOOK, str(log)]
    budget = Budget("month", "month", "usd", 1)
    found = budgets.Budgets((budget,), tuple(hook))
    for month in (10, 10, 11):
        over = Use(budget, 1, 0, NOW.replace(month=month), NOW, None)
        budget_hook.run_due(home, found, [over])
    budget_hook.run_due(home, found, [over._replace(used=0.5)])
    assert len(log.read_text().splitlines()) == 2


def test_tools_in_two_time_zones_do_not_run_the_hook_in_turn(
    tmp_path: Path, home: Path
) -> None:
    log = tmp_path / "log"
    hook = [sys.executable, "-c", HOOK, str(log)]
    budget = Budget("day", "day", "usd", 1)
    found = budgets.Budgets((budget,), tuple(hook))
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    days = [bounds("day", zone, now) for zone in ("Europe/Berlin", "UTC")]
    both = [Use(budget, 2.0, 0, *day, None) for day in days]
    for _ in range(3):
        for use in both:  # as the pipeline and the status line, each after the other
            budget_hook.run_due(home, found, [use])
    assert len(log.read_text().splitlines()) == 2


def test_a_hook_that_fails_is_named_and_not_repeated(
    tmp_path: Path, home: Path
) -> None:
    exports = running(tmp_path / "exports", home, 1, [str(tmp_path / "missing")])
    done = report(exports, "budget", "--check", "-z", "UTC")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot run the hook" in done.stderr
    running(tmp_path / "unused", home, 1, ["false"])
    done = report(exports, "budget", "--check", "-z", "UTC")
    assert "failed with exit code 1" in done.stderr
    assert report(exports, "budget", "--check", "-z", "UTC").stderr == ""


def test_a_broken_state_is_as_none(tmp_path: Path, home: Path) -> None:
    (home / budget_hook.STATE).write_text("{torn")
    exports = running(tmp_path / "exports", home, 1, ["true"])
    assert report(exports, "budget", "--check", "-z", "UTC").stderr == ""
    assert len(json.loads((home / budget_hook.STATE).read_text())) == 1


def test_the_status_line_shows_the_tightest_and_starts_the_hook(
    tmp_path: Path, home: Path
) -> None:
    heard = tmp_path / "heard"
    os.mkfifo(heard)
    hook = [sys.executable, "-c", HOOK, str(heard)]
    exports = running(tmp_path / "exports", home, 2, hook)
    with (home / "budgets.toml").open("a") as file:
        file.write('[[budget]]\nperiod = "month"\nname = "all"\nusd = 100\n')
    assert statusline(exports) == "month 50%\n"
    # What is not published yet takes it over the limit.
    record: dict[str, Any] = {
        "type": "assistant",
        "timestamp": datetime.now(UTC).isoformat(),
        "message": {
            "id": "msg_new", "model": response(1)["model"],
            "usage": {"output_tokens": 40_000},
        },
    }  # fmt: skip
    transcript = tmp_path / "t.jsonl"
    transcript.write_text(json.dumps(record) + "\n")
    status = {"session_id": "session-1", "transcript_path": str(transcript)}
    assert statusline(exports, status) == "month 100%\n"
    with heard.open() as pipe:  # waits until the hook has written
        assert json.loads(pipe.read())[1] == "month"
    assert statusline(exports, status) == "month 100%\n"
    assert len(json.loads((home / budget_hook.STATE).read_text())) == 1


def statusline(exports: Path, status: dict[str, Any] | None = None) -> str:
    return subprocess.run(
        [BIN / "report", "statusline", "--template", "{budget}", "-z", "UTC"],
        env=os.environ | {"EXPORT_DIR": str(exports)},
        input=json.dumps(status or {}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_session_of_another_folder_is_not_of_the_project(
    tmp_path: Path, home: Path
) -> None:
    exports = running(tmp_path / "exports", home, 2, [])
    (home / "budgets.toml").write_text(
        '[[budget]]\nperiod = "month"\nproject = "acme"\ntokens = 10_000\nname = "a"\n'
    )
    now = datetime.now(UTC)
    record = {
        "type": "assistant", "timestamp": now.isoformat(),
        "message": {"id": "msg_new", "model": "x", "usage": {"output_tokens": 5_000}},
    }  # fmt: skip
    transcript = tmp_path / "t.jsonl"
    transcript.write_text(json.dumps(record) + "\n")
    for folder, expected in (("/src/ACME-web", "a 50%"), ("/src/other", "a 0%")):
        status = {
            "session_id": "session-9", "transcript_path": str(transcript),
            "workspace": {"project_dir": folder},
        }  # fmt: skip
        given = Options("{budget}", "UTC", exports)
        assert line(given, json.dumps(status).encode(), now) == expected


def test_a_missing_file_says_where_it_belongs(home: Path) -> None:
    with pytest.raises(Failure, match=r"budgets\.toml does not exist"):
        load(home / "budgets.toml")
