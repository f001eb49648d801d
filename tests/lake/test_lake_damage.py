"""Files of the lake that a power failure left empty, torn or missing: it is recreated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cclake_extract.incremental import extract
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from documents import documents, store
from lakes import answer, duck, keys, loaded, tool, wanted
from pymongo.database import Database

Db = Database[dict[str, Any]]
Damage = Callable[[Path], object]


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("files", "damage"),
    [
        pytest.param("*.metadata.json", empty, id="metadata"),
        pytest.param("snap-*.avro", empty, id="manifest list"),
        pytest.param("*-m0.avro", Path.unlink, id="manifest"),
        pytest.param("*.parquet", torn, id="data file"),
    ],
)
@pytest.mark.fault
def test_a_damaged_table_is_named_and_made_anew(
    db: Db, lake: Lake, files: str, damage: Damage
) -> None:
    path = Path(lake.warehouse).with_name("analytics.duckdb")
    for numbers in ((1, 5), (6, 9)):
        store(db, list(documents(*numbers)))
        assert extract(lake, db).commits == 1
    assert loaded(lake, path)["total"] == 9
    for file in Path(lake.warehouse).rglob(files):
        damage(file)
    store(db, list(documents(10, 12)))
    refused = tool("extract")
    if refused.returncode == 0:  # data files are not read for it
        refused = tool("load", "--full-refresh")
    assert refused.returncode == 1, refused.stderr
    assert "can't be read: " in refused.stderr
    assert "extract --full-backfill" in refused.stderr
    assert len(refused.stderr.splitlines()) == 2
    if files.endswith(".avro"):
        shown = tool("extract", "table", "files")
        assert shown.returncode == 1
        assert f"the lake in {lake.warehouse} can't be read: " in shown.stderr
    healed = tool("extract", "--full-backfill")
    assert healed.returncode == 0, healed.stderr
    assert "it is rebuilt" in healed.stderr
    assert keys(lake) == wanted(db)
    assert loaded(lake, path)["mode"] == "full"
    assert duck(path, "select count(*), count(distinct doc_id) from raw.conversations")[
        0
    ] == (12, 12)
    assert extract(lake, db).commits == 0


@pytest.mark.fault
def test_a_damaged_catalog_is_named_by_every_tool(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 5)))
    answer("extract")
    lake.catalog_file.write_bytes(b"no database" * 1000)
    for words in (["extract"], ["extract", "--full-backfill"], ["load"],
                  ["extract", "table", "info"]):  # fmt: skip
        refused = tool(*words)
        assert refused.returncode == 1, refused.stderr
        assert f"the catalog {lake.catalog_file} can't be read: " in refused.stderr
        assert len(refused.stderr.splitlines()) == 2
    lake.catalog_file.unlink()
    assert answer("extract")["rows"] == 5
    assert keys(lake) == wanted(db)


@pytest.mark.fault
def test_a_damaged_duckdb_file_is_not_taken_for_a_damaged_lake(
    db: Db, lake: Lake
) -> None:
    path = Path(lake.warehouse).with_name("analytics.duckdb")
    store(db, list(documents(1, 3000)))
    extract(lake, db)
    loaded(lake, path)
    whole = bytearray(path.read_bytes())
    whole[12288:] = b"\x5a" * (len(whole) - 12288)
    path.write_bytes(whole)
    store(db, list(documents(3001, 3010)))
    extract(lake, db)
    refused = tool("load")
    assert refused.returncode == 1
    assert str(path) in refused.stderr
    assert "full-backfill" not in refused.stderr
    path.unlink()
    assert loaded(lake, path)["total"] == 3010


def test_an_error_of_a_whole_table_is_no_damage(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cclake_extract import run

    store(db, list(documents(1, 3)))
    work = run.Run(lake, db)
    work.execute()
    before = require_table(lake).metadata.table_uuid

    def fail(*_: object) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(run, "extract", fail)
    with pytest.raises(ValueError, match="a mistake of ours"):
        work.execute()
    monkeypatch.undo()
    run.Run(lake, db, full=True).execute()
    assert require_table(lake).metadata.table_uuid == before


def test_a_warehouse_on_a_server_needs_a_catalog(
    mongo_db: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ICEBERG_WAREHOUSE_PATH", "s3://lake/claude")
    for name in ("extract", "load"):
        failed = tool(name)
        assert failed.returncode == 2
        assert "s3://lake/claude needs a catalog" in failed.stderr
    assert Lake.from_env(warehouse=f"file://{tmp_path}/x").warehouse == f"{tmp_path}/x"
