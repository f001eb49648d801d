"""`metabase check` finds faults, and leaves out optional parts of queries."""

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from cclake_metabase.check import render
from harness import PATIENCE


def test_an_optional_part_is_left_out_without_its_value() -> None:
    sql = "select 1 where 1 = 1 [[and day >= {{since}}]] [[and host = {{host}}]]"
    assert render(sql, {}).split() == ["select", "1", "where", "1", "=", "1"]
    assert "day >= :since" in render(sql, {"since": "2026-01-01"})
    assert "host" not in render(sql, {"since": "2026-01-01"})


def test_a_misspelt_column_and_a_broken_query_are_found(tmp_path: Path) -> None:
    export = tmp_path / "conversations.db"
    with closing(sqlite3.connect(export)) as database:
        database.execute("create table dim_projects (project_name)")
        database.execute("create table dim_sessions (host)")
        database.execute("create table dim_models (model)")
    card = '[[cards]]\nname = "{}"\ndisplay = "bar"\nwidth = 24\nheight = 3\nx = ["{}"]\ny = ["n"]\nsql = "{}"\n'
    (tmp_path / "a.toml").write_text(
        'name = "A"\ndescription = ""\n'
        + card.format("right", "host", "select host, 1 as n from dim_sessions")
        + card.format("misspelt", "hosts", "select host, 1 as n from dim_sessions")
        + card.format("broken", "host", "select host from nowhere")
    )
    done = subprocess.run(
        ["metabase", "check", "--json", "--export", export, "--dashboards", tmp_path],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ,
    )
    assert done.returncode == 1
    found = {each["card"]: each["problem"] for each in json.loads(done.stdout)}
    assert found["right"] == ""
    assert "hosts" in found["misspelt"]
    assert "nowhere" in found["broken"]
