"""Real transcripts through every stage, where CCLAKE_REAL_LOGS names a folder."""

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import independent_count
import pytest
from harness import BIN, PATIENCE
from lakes import duck
from pymongo.database import Database
from shipping import ship

REAL = os.environ.get("CCLAKE_REAL_LOGS")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REAL, reason="CCLAKE_REAL_LOGS is not set"),
]
COLUMNS = ("input", "output", "cache_write", "cache_read")


def test_real_logs_keep_every_line_and_every_token_up_to_the_export(
    db: Database[dict[str, Any]], tmp_path: Path
) -> None:
    root = Path(str(REAL))
    ship(root)
    done = subprocess.run(
        [BIN / "pipeline", "run", "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    # Nothing of what it said may be shown: it may hold lines of the logs.
    assert done.returncode == 0
    moved = {
        stage["stage"]: stage["rows"] for stage in json.loads(done.stdout)["stages"]
    }
    home = tmp_path / "cclake"
    loaded = duck(
        home / "analytics.duckdb", "select doc_id, part from raw.conversations"
    )
    documents = {found["_id"].hex() for found in db.conversations.find({}, {"_id": 1})}
    assert {doc_id for doc_id, part in loaded if part == 0} == documents
    assert len(loaded) == len(set(loaded)) == moved["extract"] == moved["load"]
    wanted = independent_count.totals(independent_count.count(root))
    sums = ", ".join(f"coalesce(sum({name}_tokens), 0)" for name in COLUMNS)
    query = f"select {sums} from {{}}fct_api_responses"
    (gold,) = duck(home / "analytics.duckdb", query.format("marts."))
    with closing(sqlite3.connect(home / "exports" / "conversations.db")) as export:
        published = export.execute(query.format("")).fetchone()
    assert dict(zip(COLUMNS, gold, strict=True)) == wanted
    assert published == gold
