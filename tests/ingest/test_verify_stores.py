"""Compare stores that have lost some entries."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from corpus import ingest, run
from harness import Mongod, connect
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table
from pymongo.database import Database

FIXTURES = Path(__file__).parents[1] / "fixtures"
MARTS = """
    create schema marts;
    create table marts.fct_messages as
        select doc_id, part, type from raw.conversations where type is not null;
    create table marts.dim_models as select distinct model from raw.conversations;
"""


class Chain:
    """One archive and the stores after it, built by the tools themselves."""

    def __init__(self, home: Path, db: Database[Any]) -> None:
        self.home, self.db = home, db
        self.root = home / "projects"
        self.duckdb = home / "analytics.duckdb"

    def add(self, name: str) -> None:
        """Archive the logs of a fixture."""
        shutil.copytree(FIXTURES / name / "projects", self.root, dirs_exist_ok=True)
        ingest(self.root, home=self.home)

    def tool(self, name: str, *arguments: str) -> None:
        done = run(name, *arguments)
        assert done.returncode == 0, done.stderr

    def flow(self, *options: str) -> None:
        """Run the pipeline from MongoDB to the exports; `options` are for publish."""
        self.tool("extract")
        self.tool("load")
        with duckdb.connect(str(self.duckdb)) as gold:
            gold.execute("drop schema if exists marts cascade")
            gold.execute(MARTS)
        self.tool("publish", *options)

    def table(self) -> Table:
        uri = f"sqlite:///{self.home}/iceberg/catalog.db"
        catalog = load_catalog("default", type="sql", uri=uri)
        return catalog.load_table("analytics.conversations")

    def verify(self, *options: str, holds: bool = True) -> dict[str, dict[str, Any]]:
        done = run("verify", "--json", *options, env={"CLAUDE_DIR": str(self.root)})
        assert done.returncode == (0 if holds else 1), done.stdout + done.stderr
        return {one["store"]: one for one in json.loads(done.stdout)["stores"]}


@pytest.fixture
def chain(
    mongod: Mongod, mongo_db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Chain]:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "home"))
    with connect(mongod.uri) as client:
        yield Chain(tmp_path / "home", client[mongo_db])


@pytest.fixture
def full_chain(chain: Chain) -> Chain:
    """Check that all stores are equal and the proof holds."""
    chain.add("corrupt")
    chain.flow("--duckdb-copy")
    assert {one["status"] for one in chain.verify().values()} == {"same"}
    return chain


def test_all_stores_hold_the_same_entries_run_after_run(chain: Chain) -> None:
    chain.add("corrupt")
    new = chain.verify()
    assert {name for name, one in new.items() if one["status"] != "absent"} == {
        "mongodb",
        "buffer",
    }
    chain.flow("--duckdb-copy")
    first = chain.verify()
    assert {one["status"] for one in first.values()} == {"same"}
    lines = chain.db.conversations.count_documents({})
    assert (first["iceberg"]["held"]["entries"], lines) == (lines, 8)
    assert first["duckdb"]["held"]["parts"] == first["iceberg"]["held"]["parts"] > 0
    chain.add("pricing")
    chain.flow()
    again, full = chain.verify(), chain.verify("--full")
    # The copy for DuckDB is renewed when it is asked for.
    older = {name for name, one in again.items() if one["status"] != "same"}
    assert older == {"export (DuckDB)"}
    assert again["export (DuckDB)"]["status"] == "older"
    assert again == full
    total = chain.db.conversations.count_documents({})
    assert again["iceberg"]["held"]["entries"] == total > lines


def test_a_store_that_has_not_caught_up_is_older_but_not_a_failure(
    chain: Chain,
) -> None:
    chain.add("corrupt")
    chain.flow()
    chain.add("pricing")
    chain.tool("extract")
    behind = chain.verify()
    assert behind["iceberg"]["status"] == "same"
    assert behind["duckdb"]["status"] == "older"
    chain.tool("load")
    behind = chain.verify()
    assert behind["duckdb"]["status"] == "same"
    assert behind["export (SQLite)"]["status"] == "older"


def test_a_duplicate_row_in_iceberg_fails(full_chain: Chain) -> None:
    table = full_chain.table()
    rows = table.scan(row_filter="part = 0").to_arrow().slice(0, 1)
    summary = table.current_snapshot().summary.additional_properties  # type: ignore[union-attr]
    kept = {name: summary[name] for name in summary if name.startswith("cclake.")}
    table.append(rows, snapshot_properties=kept)
    assert full_chain.verify(holds=False)["iceberg"]["status"] == "different"
    assert full_chain.verify("--full", holds=False)["iceberg"]["status"] == "different"


def test_folders_are_taken_from_variables(
    full_chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", str(full_chain.home))
    monkeypatch.setenv("DUCKDB_PATH", "$PLACE/analytics.duckdb")
    monkeypatch.setenv("EXPORT_DIR", "$PLACE/exports")
    assert {one["status"] for one in full_chain.verify().values()} == {"same"}
    full_chain.tool("publish")
    assert not list(Path.cwd().glob("$PLACE*"))


def test_the_buffer_is_optional_but_shown(full_chain: Chain) -> None:
    (full_chain.root / "-home-me-z" / "new.jsonl").write_bytes(b'{"a":1}\n')
    done = run("verify", env={"CLAUDE_DIR": str(full_chain.root)})
    assert done.returncode == 0, done.stderr
    assert "files missing" in done.stdout
    (full_chain.home / "buffer.db").unlink()
    full_chain.verify("--full")
