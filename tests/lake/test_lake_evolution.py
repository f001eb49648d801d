"""Columns come and are renamed; old files and old snapshots still read."""

from pathlib import Path
from typing import Any

from cclake_extract import schema as bronze
from cclake_extract.incremental import extract
from cclake_extract.maintenance.compact import compact
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from documents import documents, store
from lakes import duck, loaded, rows
from pymongo.database import Database

Db = Database[dict[str, Any]]


def test_a_table_of_an_older_version_gets_its_missing_columns(
    db: Db, lake: Lake, tmp_path: Path, monkeypatch: Any
) -> None:
    older = [c for c in bronze.COLUMNS if c[0] not in ("git_branch", "model")]
    monkeypatch.setattr(bronze, "SCHEMA", schema(older))
    monkeypatch.setattr(bronze, "COLUMNS", tuple(older))
    store(db, list(documents(1, 20)))
    extract(lake, db)
    first = require_table(lake).current_snapshot()
    assert first
    monkeypatch.undo()
    store(db, list(documents(21, 30)))
    extract(lake, db)
    table = require_table(lake)
    found = {r["seq"]: r["git_branch"] for r in rows(lake, "seq", "git_branch")}
    assert (found[20], found[21]) == (None, "main")
    old = table.scan(snapshot_id=first.snapshot_id).to_arrow()
    assert old.num_rows == 20
    compact(table)
    merged = {r["seq"]: r["git_branch"] for r in rows(lake, "seq", "git_branch")}
    assert merged == found


def test_a_column_that_a_newer_version_added_is_null_in_our_rows(
    db: Db, lake: Lake, tmp_path: Path
) -> None:
    store(db, list(documents(1, 10)))
    extract(lake, db)
    with require_table(lake).update_schema() as update:
        update.add_column("from_the_future", bronze.S)
    store(db, list(documents(11, 20)))
    extract(lake, db)
    assert {r["from_the_future"] for r in rows(lake, "from_the_future")} == {None}
    path = tmp_path / "x.duckdb"
    assert loaded(lake, path)["total"] == 20


def test_a_duckdb_of_an_older_version_gets_its_missing_columns(
    db: Db, lake: Lake, tmp_path: Path
) -> None:
    import duckdb

    path = tmp_path / "x.duckdb"
    store(db, list(documents(1, 10)))
    extract(lake, db)
    loaded(lake, path)
    with duckdb.connect(str(path)) as older:
        older.execute("alter table raw.conversations drop column model")
    store(db, list(documents(11, 20)))
    extract(lake, db)
    assert loaded(lake, path)["rows"] == 10
    have = duck(path, "select count(model) from raw.conversations")
    assert have == [(9,)]


def test_a_renamed_column_is_loaded_by_its_id(
    db: Db, lake: Lake, tmp_path: Path
) -> None:
    store(db, list(documents(1, 10)))
    extract(lake, db)
    with require_table(lake).update_schema() as update:
        update.rename_column("git_branch", "branch")
    path = tmp_path / "x.duckdb"
    loaded(lake, path)
    assert duck(path, "select distinct git_branch from raw.conversations") == [
        ("main",)
    ]


def schema(columns: list[Any]) -> Any:
    """The schema with only these columns; ids follow from one."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    return Schema(
        *(
            NestedField(field_id=n, name=name, field_type=kind, required=must)
            for n, (name, kind, must, _) in enumerate(columns, 1)
        )
    )
