"""Files of the lake that a loss of power left empty, torn or gone: it is made anew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cclake_lake.lake import Lake
from documents import documents, store
from lakes import answer, duck, keys, tool, wanted
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
    for numbers in ((1, 5), (6, 9)):
        store(db, list(documents(*numbers)))
        assert answer("extract")["commits"] == 1
    assert answer("load")["total"] == 9
    for path in Path(lake.warehouse).rglob(files):
        damage(path)
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
    assert "it is made anew" in healed.stderr
    assert keys(lake) == wanted(db)
    assert answer("load")["mode"] == "full"
    path = Path(lake.warehouse).with_name("analytics.duckdb")
    assert duck(path, "select count(*), count(distinct doc_id) from raw.conversations")[
        0
    ] == (12, 12)
    assert answer("extract")["commits"] == 0


def test_an_error_of_a_whole_table_is_no_damage(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cclake_extract import job

    store(db, list(documents(1, 3)))
    work = job.Job(lake, db)
    work.run()
    before = lake.require().metadata.table_uuid

    def fail(*_: object) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(job, "extract", fail)
    with pytest.raises(ValueError, match="a mistake of ours"):
        work.run()
    monkeypatch.undo()
    job.Job(lake, db, full=True).run()
    assert lake.require().metadata.table_uuid == before
