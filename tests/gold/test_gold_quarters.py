"""The charts of the pages count, of the quarters of real gold, what its facts hold."""

import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cclake_common.accounts import NONE, Accounts, Rule
from cclake_report import activity
from cclake_report import filters as report
from cclake_report.digest import digest
from cclake_report.export import open_gold
from cclake_web.data import dashboard, over_time
from cclake_web.data.filters import Filters
from cclake_web.pages.queries import sql_of
from harness import BIN

CHOICES = {
    "project": "select project_key from dim_sessions",
    "host": "select host from dim_sessions",
    "branch": "select git_branch from dim_sessions",
    "model": "select model from dim_models",
}


@pytest.fixture(scope="module")
def export(
    gold_account: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    folder = tmp_path_factory.mktemp("quarters")
    # Views are bound to the name that the file had when dbt made them.
    gold = shutil.copy(gold_account, folder / "work.duckdb")
    env = os.environ | {"DUCKDB_PATH": str(gold), "EXPORT_DIR": str(folder)}
    subprocess.run([BIN / "publish"], env=env, check=True, capture_output=True)
    connection = sqlite3.connect(folder / "conversations.db")
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
def test_charts_count_what_their_sql_counts(
    export: sqlite3.Connection, zone: str
) -> None:
    given = [{}, {"since": "2026-03-01", "until": "2026-07-15"}]
    for name, sql in CHOICES.items():
        rows = export.execute(f"{sql} group by 1")
        given += [{name: value} for (value,) in rows if value]
    (path,) = export.execute(
        "select project_path from dim_projects order by sessions desc limit 1"
    ).fetchone()
    rules = Accounts((Rule("one's", "", f"{path}/"),))
    given += [{"account": account} for account in (*rules.names, NONE)]
    counted = 0
    for one in given:
        chosen = Filters.from_args(one, ZoneInfo(zone), rules)

        def asked(name: str, chosen: Filters = chosen) -> list[sqlite3.Row]:
            return export.execute(sql_of(name, chosen)).fetchall()

        days = {
            day.isoformat(): (round(done.cost, 4), done.responses)
            for day, done in over_time.days(export, chosen).items()
        }
        assert days == {
            row["day"]: (row["cost_usd"] or 0, row["responses"])
            for row in asked("days") if row["day"]
        }  # fmt: skip
        if chosen.account:
            counted += sum(number for _, number in days.values())
        hours = asked("hours")
        assert sum(map(sum, dashboard.heat(export, chosen))) == sum(
            row["responses"] for row in hours if row["hour"]
        )
        calls = dashboard.calls(export, chosen)
        assert {row["tool"]: (row["calls"], row["errors"]) for row in calls.tools} == {
            row["tool_name"]: (row["calls"], row["errors"]) for row in asked("tools")
        }
        kinds: Counter[str] = Counter()
        for row in asked("errors"):
            kinds[row["error_kind"]] += row["errors"]
        assert {row["kind"]: row["errors"] for row in calls.errors} == kinds
    assert len(given) > 14
    timed = "select count(*) from fct_api_responses where responded_at is not null"
    assert 0 < counted == export.execute(timed).fetchone()[0]


def rounded(value: object) -> object:
    return round(float(value), 6) if isinstance(value, float | Decimal) else value


def test_an_account_with_everything_has_the_numbers_of_gold(
    export: sqlite3.Connection,
) -> None:
    (path,) = {row["file"] for row in export.execute("pragma database_list")}
    (first,) = export.execute(
        "select min(responded_at) from fct_api_responses"
    ).fetchone()
    every = report.Filters(since=date.fromisoformat(first[:10]))
    rules = Accounts((Rule("all", "", ""),))
    mine = replace(every, account="all", rules=rules)
    with open_gold(Path(path).parent) as gold:
        expected, found = activity.blocks(gold, every), activity.blocks(gold, mine)
        digests = [
            digest(gold, replace(one, until=one.since)).sections
            for one in (every, mine)
        ]
    assert len(expected.rows) > 2
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert {key: rounded(other[key]) for key in row} == {
            key: rounded(value) for key, value in row.items()
        }
    assert digests[0] == digests[1]
