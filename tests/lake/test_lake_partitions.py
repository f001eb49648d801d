"""A lake with partitions has the same rows, and reads fewer files."""

import itertools
import os
import pkgutil
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import mmh3
import pyarrow.parquet as pq
import pytest
from cclake_extract import splits
from cclake_extract.backfill import backfill
from cclake_extract.commit import rollback
from cclake_extract.incremental import extract
from cclake_extract.maintenance.compact import compact
from cclake_extract.maintenance.policy import due
from cclake_extract.partitions import spec_of
from cclake_extract.run import Run
from cclake_extract.schema import SCHEMA, ensure_table
from cclake_extract.watermark import state_of
from cclake_lake.catalog import open_catalog, require_table
from cclake_lake.settings import Lake
from documents import START, documents, store
from harness import PATIENCE, Mongod, wait_for
from lakes import (
    answer,
    duck,
    duckdb_extensions,
    keys,
    loaded,
    rows,
    tool,
    totals,
    wanted,
)
from pyiceberg.table import Table
from pymongo.database import Database

Db = Database[dict[str, Any]]
BUCKETS = 4
A_DAY = 250  # documents


@pytest.fixture
def parted(lake: Lake) -> Lake:
    """The lake, partitioned by day and bucket."""
    ensure_table(lake, open_catalog(lake), spec_of(SCHEMA, True, BUCKETS))
    return lake


def grow(db: Db, first: int, last: int) -> None:
    """Store documents of 100 to a session, `A_DAY` a day."""
    found = list(documents(first, last))
    for one in found:
        one["ingestedAt"] = START + timedelta(days=int(one["seq"]) // A_DAY)
    found[0]["sessionId"] = None
    store(db, found)


def partitions(table: Table) -> Counter[tuple[int | None, int | None]]:
    """Return how many files each partition has; each has only rows that belong to it.

    The transforms are written here once more, by Iceberg's specification.
    """
    found: Counter[tuple[int | None, int | None]] = Counter()
    for task in table.scan().plan_files():
        values = pq.read_table(
            task.file.file_path.removeprefix("file://"),
            columns=["ingested_at", "session_id"],
        ).to_pylist()
        expected = {
            (
                (row["ingested_at"] - START).days + (START.timestamp() // 86_400),
                None
                if row["session_id"] is None
                else (mmh3.hash(row["session_id"]) & 0x7FFFFFFF) % BUCKETS,
            )
            for row in values
        }
        key = task.file.partition[0], task.file.partition[1]
        assert expected == {key}
        found[key] += 1
    return found


def data_files(lake: Lake) -> set[str]:
    return {str(path) for path in Path(lake.warehouse).rglob("*.parquet")}


def held(lake: Lake) -> set[str]:
    return {task.file.file_path for task in require_table(lake).scan().plan_files()}


def test_create_sets_the_partitions_once(lake: Lake) -> None:
    place = {"ICEBERG_WAREHOUSE_PATH": lake.warehouse}
    create = ("extract", "table", "create")
    made = answer(*create, "--by-day", "--buckets", "4", **place)
    assert made["partitions"] == ["day(ingested_at)", "bucket[4](session_id)"]
    assert answer(*create, "--by-day", "--buckets", "4", **place) == made
    assert answer(*create, **place) == made
    refused = tool(*create, "--buckets", "8", **place)
    assert refused.returncode == 1
    assert "day(ingested_at), bucket[4](session_id)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "bucket[4](session_id)" in tool("extract", "table", "info", **place).stdout


def test_every_stage_has_all_rows_once(db: Db, parted: Lake, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    grow(db, 1, 1_000)
    outcome = extract(parted, db)
    table = require_table(parted)
    assert (outcome.rows, outcome.commits) == (1_000, 1)
    assert keys(parted) == wanted(db)
    assert len(partitions(table)) > BUCKETS
    first = table.current_snapshot()
    assert first
    assert loaded(parted, path)["rows"] == 1_000
    for start in (1_001, 1_011):
        grow(db, start, start + 9)
        extract(parted, db)
        assert loaded(parted, path)["rows"] == 10

    before, state = rows(parted), state_of(require_table(parted))
    table = require_table(parted)
    many = partitions(table)
    assert max(many.values()) > 1
    compact(table)
    assert set(partitions(table).values()) == {1}
    assert set(partitions(table)) == set(many)
    by_id = [
        sorted(found, key=lambda r: r["doc_id"]) for found in (before, rows(parted))
    ]
    assert by_id[0] == by_id[1]
    assert state_of(table) == state
    assert compact(table).files == 0
    assert loaded(parted, path)["mode"] == "nothing"

    rollback(table, first)
    assert loaded(parted, path)["removed"] == 20
    assert extract(parted, db).rows == 20
    assert loaded(parted, path)["rows"] == 20
    backfill(parted, db)
    assert set(partitions(require_table(parted))) == set(many)
    assert keys(parted) == wanted(db)
    loaded(parted, path)
    for full in (False, True):
        loaded(parted, path, full=full)
        found = duck(path, "select count(*), sum(seq), sum(len) from raw.conversations")
        assert found == [totals(parted)]


def test_a_day_or_a_session_opens_few_files(db: Db, parted: Lake) -> None:
    grow(db, 1, 1_000)
    extract(parted, db)
    table = require_table(parted)

    def opened(condition: str) -> set[tuple[Any, Any]]:
        tasks = table.scan(condition).plan_files()
        return {(t.file.partition[0], t.file.partition[1]) for t in tasks}

    days = {day for day, _ in opened("true")}
    assert len(days) == 5
    after = START + timedelta(days=2)
    until = START + timedelta(days=3)
    day = opened(
        f"ingested_at >= '{after.isoformat()}' and ingested_at < '{until.isoformat()}'"
    )
    assert len({day for day, _ in day}) == 1
    session = "00000003-0000-4000-8000-000000000000"
    bucket = (mmh3.hash(session) & 0x7FFFFFFF) % BUCKETS
    assert {bucket for _, bucket in opened(f"session_id = '{session}'")} == {bucket}
    assert len(table.scan(f"session_id = '{session}'").to_arrow()) == 100


def test_other_engines_read_all_and_prune(db: Db, parted: Lake) -> None:
    grow(db, 1, 600)
    extract(parted, db)
    grow(db, 601, 700)
    extract(parted, db)
    compact(require_table(parted))
    expected = totals(parted)
    session = "00000003-0000-4000-8000-000000000000"
    place = require_table(parted).metadata_location
    with duckdb.connect(config={"allow_unsigned_extensions": True}) as engine:
        for file in duckdb_extensions("avro", "iceberg"):
            engine.execute(f"load '{file}'")
        query = (
            "select count(*), sum(seq)::bigint, sum(len)::bigint,"
            f" count(*) filter (session_id = '{session}') from iceberg_scan('{place}')"
        )
        assert engine.execute(query).fetchone() == (*expected, 100)
        one = f"select count(*) from iceberg_scan('{place}') where session_id = ?"
        assert engine.execute(one, [session]).fetchone() == (100,)
    script = (
        "import sys, daft; from pyiceberg.table import StaticTable;"
        "t = daft.read_iceberg(StaticTable.from_metadata(sys.argv[1]));"
        "d = t.select('seq', 'len').to_pydict();"
        "n = t.where(t['session_id'] == sys.argv[2]).count_rows();"
        "print(len(d['seq']), sum(d['seq']), sum(d['len']), n)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, place, session],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert tuple(int(n) for n in done.stdout.split()) == (*expected, 100)


def test_a_rebuild_of_a_damaged_table_keeps_the_partitions(
    db: Db, parted: Lake
) -> None:
    grow(db, 1, 1_000)
    extract(parted, db)
    Path(min(held(parted)).removeprefix("file://")).unlink()
    spec = require_table(parted).spec()
    Run(parted, db, full=True).execute()
    assert require_table(parted).spec() == spec
    assert len(partitions(require_table(parted))) > BUCKETS
    assert keys(parted) == wanted(db)


def test_commits_of_many_small_files_are_due_for_maintenance(
    db: Db, parted: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cclake_extract.maintenance.policy.SMALL_ROWS", 190)
    monkeypatch.setattr(splits, "FILE_ROWS", 200)
    grow(db, 1, 1_000)
    assert extract(parted, db).commits == 5
    assert due(require_table(parted), 5)
    assert not due(require_table(parted), 6)


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ("incremental.defer_sigint", 1),
        ("parquet.pq.ParquetWriter", 7),
        ("parquet.Written", 7),
    ],
)
def test_an_interruption_with_several_open_files_leaves_none(
    db: Db,
    parted: Lake,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    allowed: int,
) -> None:
    monkeypatch.setattr(splits, "FILE_ROWS", 100)
    monkeypatch.setattr("cclake_extract.parquet.GROUP_ROWS", 10)
    grow(db, 1, 1_000)
    calls = itertools.count()

    def interrupt(*arguments: object, **options: object) -> object:
        if next(calls) >= allowed:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    module, _, name = f"cclake_extract.{place}".rpartition(".")
    real = getattr(pkgutil.resolve_name(module), name)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(f"cclake_extract.{place}", interrupt)
        extract(parted, db)
    assert data_files(parted) == held(parted)
    extract(parted, db)
    assert keys(parted) == wanted(db)


def test_two_extractors_and_a_killed_one_take_everything_once(
    db: Db, mongod: Mongod, parted: Lake
) -> None:
    grow(db, 1, 1_200)
    code = "import sys, lake_workers as w; w.once(*sys.argv[1:])"
    support = str(Path(__file__).parents[1] / "support")
    killed, *others = (
        subprocess.Popen(
            [sys.executable, "-c", code, mongod.uri, db.name, parted.warehouse],
            env=os.environ | {"PYTHONPATH": support},
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    )
    wait_for(lambda: data_files(parted), "one writes")
    killed.send_signal(signal.SIGKILL)
    killed.wait(PATIENCE)
    assert [process.wait(PATIENCE) for process in others] == [0, 0]
    assert keys(parted) == wanted(db)
    assert set(keys(parted).values()) == {1}
