"""Runs of the pipeline, and what they have published."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from cclake_common.settings import home
from cclake_pipeline.run_log import read
from documents import documents, store
from harness import BIN, PATIENCE, Mongod, connect


def add(mongod: Mongod, database: str, first: int, last: int) -> None:
    """Store documents, by number, as the flusher does."""
    with connect(mongod.uri) as client:
        store(client[database], list(documents(first, last)))


def pipeline(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `pipeline` to its end."""
    return subprocess.run(
        [BIN / "pipeline", *arguments], capture_output=True, text=True, timeout=PATIENCE
    )


def published(of: Path) -> int:
    """Return the number of rows in the export; -1 if there is none."""
    path = of / "exports" / "conversations.db"
    if not path.exists():
        return -1
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as export:
        return int(export.execute("select count(*) from fct_messages").fetchone()[0])


def last_run() -> dict[str, Any]:
    """Return the record of the last run, if there is one."""
    runs = read(home() / "pipeline.db", 1)
    run: dict[str, Any] = runs[0] if runs else {}
    return run


def details() -> dict[str, str]:
    """Return what each stage of the last run said."""
    return {stage["stage"]: stage["detail"] for stage in last_run()["stages"]}
