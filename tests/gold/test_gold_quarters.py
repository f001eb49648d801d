"""The charts of the pages count, of the quarters of real gold, what its facts hold."""

import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
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
    for one in given:
        chosen = Filters.from_args(one, ZoneInfo(zone))

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
    assert len(given) > 12
