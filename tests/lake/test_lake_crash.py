"""Whatever is killed, and whenever: the table is MongoDB's acknowledged rows."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import lake_workers
import pytest
from cclake_extract.incremental import extract
from cclake_extract.maintenance.expire import expire
from cclake_extract.maintenance.orphans import sweep_orphans
from cclake_extract.watermark import state_of
from cclake_lake.catalog import require_table
from cclake_lake.files import needed, present
from cclake_lake.settings import Lake
from documents import documents, store
from harness import Mongod, wait_for
from lakes import keys, loaded, wanted
from pymongo.database import Database
from victims import Victim, Writer, working

KILLS = 28
COMMITS = 20

# Compaction takes longer than an extraction of a few rows: it is killed less often.
ORDER = (0, 1, 0, 1, 0, 1, 2)


def has_expired(lake: Lake) -> bool:
    table = require_table(lake)
    return len(table.metadata.snapshots) < state_of(table).run


@pytest.fixture(autouse=True)
def fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fork server find the loops."""
    folder = str(Path(lake_workers.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", folder, prepend=os.pathsep)


def operations(lake: Lake) -> set[str]:
    snapshots = require_table(lake).metadata.snapshots
    return {s.summary.operation.value for s in snapshots if s.summary}


@pytest.mark.fault
@pytest.mark.slow
def test_no_row_is_lost_or_doubled_by_kills_of_extraction_compaction_and_expiry(
    db: Database[dict[str, Any]],
    mongod: Mongod,
    lake: Lake,
    tmp_path: Path,
) -> None:
    store(db, list(documents(1, 20, buffer="z" * 32, host="z")))
    extract(lake, db)
    where = (mongod.uri, db.name, lake.warehouse)
    writer = Writer(db, lake)
    writer.write()
    duckdb = tmp_path / "analytics.duckdb"
    extractor = lake_workers.extractor
    loops = [Victim(w, where) for w in (extractor, extractor, lake_workers.keeper)]
    with working(*loops):
        for number in range(KILLS):
            victim = loops[ORDER[number % len(ORDER)]]
            victim.works()
            writer.write()
            victim.replace()
            if number % 12 == 0:
                loaded(lake, duckdb)
        # The survivors continue, and there are more commits than expiry keeps.
        enough = max(COMMITS, state_of(require_table(lake)).run + 5)
        while state_of(require_table(lake)).run < enough:
            loops[0].works()
            writer.write()
        # Nothing more to extract: now nobody overtakes the keeper.
        wait_for(lambda: "overwrite" in operations(lake), what="the keeper compacts")
        wait_for(lambda: has_expired(lake), what="the keeper expires")
    extract(lake, db)
    assert keys(lake) == wanted(db)
    assert set(keys(lake).values()) == {1}
    loaded(lake, duckdb)
    assert loaded(lake, duckdb, full=True)["total"] == sum(wanted(db).values())

    table = require_table(lake)
    for snapshot in table.metadata.snapshots:
        assert table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows > 0
    # What the killed left behind goes, and nothing else.
    expire(table, keep=5, grace=timedelta(0))
    assert sweep_orphans(table, timedelta(0))
    assert {file.path for file in present(table)} <= needed(table)
    assert keys(lake) == wanted(db)


def test_a_killed_backfill_leaves_the_table_as_it_was(
    db: Database[dict[str, Any]], mongod: Mongod, lake: Lake
) -> None:
    store(db, list(documents(1, 500)))
    extract(lake, db)
    before = keys(lake)
    where = (mongod.uri, db.name, lake.warehouse)
    with working(Victim(lake_workers.rebuilder, where)) as (victim,):
        for _ in range(7):
            victim.works()
            victim.replace()
            assert keys(lake) == before
    assert extract(lake, db).rows == 0
