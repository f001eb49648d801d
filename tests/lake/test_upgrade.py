"""An upgrade from an earlier version: its stores, brought up to date by this one.

The earlier version is taken from the history of the repository and run with the
libraries of today. In a checkout without history, there is nothing to upgrade from.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from chain import Chain
from harness import BIN, PATIENCE
from parity import FIXTURES
from shipping import ship

ROOT = Path(__file__).parents[2]
BEFORE = "6fd0644"  # 28 November 2026
PROJECTS = FIXTURES / "pricing" / "projects"
# Columns that say when and by which run a row was made.
PASSING = {"updated_run", "extract_run", "loaded_at", "built_at"}


@pytest.fixture
def before(tmp_path: Path) -> str:
    """PYTHONPATH of the earlier version."""
    known = subprocess.run(
        ["git", "-C", ROOT, "archive", BEFORE, "tools", "dbt"],
        capture_output=True,
        check=False,
    )
    if known.returncode:
        pytest.skip(f"commit {BEFORE} is not in this checkout")
    with tarfile.open(fileobj=BytesIO(known.stdout)) as files:
        files.extractall(tmp_path / "before", filter="data")
    return os.pathsep.join(map(str, (tmp_path / "before").glob("tools/*/src")))


def answer(*command: str, **env: str) -> Any:
    done = subprocess.run(
        [BIN / command[0], *command[1:], "--json"],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def content(exports: Path) -> dict[str, list[str]]:
    """Return the sorted rows of every mart, without what passes."""
    with closing(sqlite3.connect(exports / "conversations.db")) as db:
        db.row_factory = sqlite3.Row
        names = [
            name
            for (name,) in db.execute(
                "select name from sqlite_schema where type = 'table'"
                " and name glob '[dfa][icg][mtg]_*'"
            )
        ]
        return {
            name: sorted(
                repr({k: v for k, v in dict(row).items() if k not in PASSING})
                for row in db.execute(f"select * from {name}")
            )
            for name in names
        }


def test_stores_of_an_earlier_version_are_brought_up_to_date(
    before: str, mongo_db: str, pricing: Chain, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CCLAKE_HOST", "laptop")
    logs = tmp_path / "logs"
    later = max(PROJECTS.rglob("*.jsonl"))
    shutil.copytree(PROJECTS, logs, ignore=lambda *_: [later.name])
    with monkeypatch.context() as earlier:
        earlier.setenv("PYTHONPATH", before)
        ship(logs)
        ran = answer("pipeline", "run")
        assert ran["outcome"] == "done"
        shown = subprocess.run(
            [BIN / "python", "-c", "import cclake_pipeline as p; print(p.__file__)"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.startswith(str(tmp_path / "before"))
    exports = Path(os.environ["CCLAKE_HOME"]) / "exports"
    assert content(exports)["fct_messages"]

    shutil.copy(later, logs / later.relative_to(PROJECTS))
    ship(logs)
    ran = answer("pipeline", "run")
    assert {s["stage"]: s["outcome"] for s in ran["stages"]} == dict.fromkeys(
        ("extract", "load", "dbt", "publish"), "done"
    )
    assert "models" in next(s["detail"] for s in ran["stages"] if s["stage"] == "dbt")
    assert content(exports) == content(pricing.exports)
    answer("verify", CLAUDE_DIR=str(logs))
