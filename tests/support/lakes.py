"""A lake of a test: its settings, its rows, and the tools that work on it."""

import importlib.util
import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from cclake_load.load import Load
from harness import BIN, PATIENCE
from pymongo.database import Database

Row = dict[str, Any]


def tool(name: str, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a tool of the project to its end."""
    return subprocess.run(
        [BIN / name, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | env,
        check=False,
    )


def answer(name: str, *arguments: str, **env: str) -> Any:
    """Run a tool with --json; what it printed."""
    done = tool(name, *arguments, "--json", **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def loaded(lake: Lake, path: Path, full: bool = False, as_of: str | None = None) -> Row:
    """Run load in this process; its outcome."""
    return Load(lake, path, "500MB", 5.0).run(full, as_of)


def rows(lake: Lake, *columns: str) -> list[Row]:
    """The rows of the table, or some columns of them."""
    scan = require_table(lake).scan(selected_fields=columns or ("*",))
    found: list[Row] = scan.to_arrow().to_pylist()
    return found


def keys(lake: Lake) -> Counter[tuple[str, int]]:
    """Return how often each (doc_id, part) is in the table."""
    return Counter((r["doc_id"], r["part"]) for r in rows(lake, "doc_id", "part"))


def wanted(database: Database[Row]) -> Counter[tuple[str, int]]:
    """The (doc_id, part) that the table has to hold: all that is acknowledged."""
    acked = {w["_id"]: w["acked_seq"] for w in database["watermarks"].find()}
    found: Counter[tuple[str, int]] = Counter()
    for one in database["conversations"].find({}, {"entry": 0, "raw": 0, "host": 0}):
        if one["seq"] <= acked.get(one["buffer"], 0):
            parts = range(len(one.get("salvaged", [])) + 1)
            found.update((one["_id"].hex(), part) for part in parts)
    return found


def duck(path: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query on a DuckDB file."""
    with duckdb.connect(str(path), read_only=True) as db:
        return db.execute(query).fetchall()


def totals(lake: Lake) -> tuple[int, int, int]:
    """Count and sums of the table, as pyiceberg reads it."""
    found = rows(lake, "seq", "len")
    return len(found), sum(r["seq"] for r in found), sum(r["len"] for r in found)


def duckdb_extensions(*names: str) -> list[Path]:
    """The extension files that come as packages, in the order to load them."""
    found = []
    for name in names:
        spec = importlib.util.find_spec(f"duckdb_extension_{name}")
        if spec is None or spec.origin is None:
            pytest.skip(f"no duckdb-extension-{name} for this platform")
        files = sorted(Path(spec.origin).parent.rglob("*.duckdb_extension"))
        assert files, f"no extension file in {spec.origin}"
        found.append(files[0])
    return found
