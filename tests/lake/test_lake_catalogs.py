"""The same lake on a REST catalog and on S3, and read by other engines."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import duckdb
import pyarrow.fs
import pytest
from cclake_extract import splits
from cclake_extract.backfill import backfill
from cclake_extract.commit import rollback
from cclake_extract.incremental import extract
from cclake_extract.maintenance.compact import compact
from cclake_extract.maintenance.expire import expire
from cclake_extract.maintenance.orphans import sweep_orphans
from cclake_extract.partitions import spec_of
from cclake_extract.schema import SCHEMA, ensure_table
from cclake_lake.catalog import open_catalog, require_table
from cclake_lake.files import needed, present
from cclake_lake.settings import Lake
from cclake_publish.export import publish
from cclake_publish.iceberg_reader import open_iceberg
from cclake_publish.iceberg_writer import write_gold
from cclake_publish.marts import of_duckdb
from documents import documents, store
from exports import rows_of
from gold_tables import add_session, make_gold
from harness import BIN, PATIENCE, free_port, wait_for
from lakes import (
    answer,
    duck,
    duckdb_extensions,
    keys,
    loaded,
    tool,
    totals,
    wanted,
)
from pymongo.database import Database
from seaweed import KEY, PLAIN, SECRET, TABLES, Seaweed

Db = Database[dict[str, Any]]
Start = Callable[..., None]
SUPPORT = Path(__file__).parents[1] / "support"
STAND_IN = {
    "ICEBERG_S3_REGION": "us-east-1",
    "ICEBERG_S3_ACCESS_KEY_ID": "test",
    "ICEBERG_S3_SECRET_ACCESS_KEY": "test",
}


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers that end with the test."""
    with starting() as begin:
        yield begin


@contextmanager
def starting() -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(port: int, *command: str | Path) -> None:
        quiet = subprocess.DEVNULL
        running.append(subprocess.Popen(command, stdout=quiet, stderr=quiet))
        wait_for(lambda: listens(port), f"{command[0]} answers")

    yield begin
    for process in running:
        process.kill()
        process.wait(PATIENCE)


def listens(port: int) -> bool:
    try:
        urlopen(f"http://127.0.0.1:{port}/v1/config", timeout=PATIENCE).close()
    except HTTPError as error:
        error.close()
    except (URLError, ConnectionError):
        return False
    return True


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of a real S3 server, moto's."""
    port = free_port()
    with starting() as start:
        start(port, BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port))
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own; its address as a warehouse."""
    settings = STAND_IN | {"ICEBERG_S3_ENDPOINT": moto}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    store = pyarrow.fs.S3FileSystem(
        access_key="test",
        secret_key="test",
        region="us-east-1",
        endpoint_override=moto,
        allow_bucket_creation=True,
    )
    bucket = f"lake-{uuid.uuid4().hex[:8]}"
    store.create_dir(bucket)
    return f"s3://{bucket}/wh"


@pytest.fixture(params=["rest", "rest on s3", "sql on s3", "seaweed", "sql on seaweed"])
def lake(
    request: pytest.FixtureRequest,
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Lake:
    """A lake of the kinds that a team would use, set up through the environment.

    SeaweedFS is a real server of both kinds; the others are fast stand-ins.
    """
    if "seaweed" in request.param:
        seaweed: Seaweed = request.getfixturevalue("weed")
        settings = seaweed.settings
        if "sql" in request.param:
            settings = seaweed.s3_settings | {
                "ICEBERG_CATALOG_URI": f"sqlite:///{tmp_path}/catalog.db?timeout=30",
                "ICEBERG_WAREHOUSE_PATH": f"s3://{PLAIN}/{tmp_path.name}",
            }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ICEBERG_NAMESPACE", f"t{uuid.uuid4().hex[:8]}")
        return Lake.from_env()
    warehouse = str(tmp_path / "wh")
    more: list[str] = []
    if "s3" in request.param:
        warehouse = request.getfixturevalue("s3")
        more = [
            f"s3.endpoint={os.environ['ICEBERG_S3_ENDPOINT']}",
            "s3.region=us-east-1",
            "s3.access-key-id=test",
            "s3.secret-access-key=test",
        ]
    file = tmp_path / "catalog.db"
    uri = f"sqlite:///{file}?timeout=30"
    if "rest" in request.param:
        port = free_port()
        server = [sys.executable, SUPPORT / "rest_catalog.py", str(port)]
        start(port, *server, str(file), warehouse, *more)
        uri = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("ICEBERG_CATALOG_TYPE", "rest")
    monkeypatch.setenv("ICEBERG_CATALOG_URI", uri)
    monkeypatch.setenv("ICEBERG_WAREHOUSE_PATH", warehouse)
    return Lake.from_env()


def grow(db: Db, lake: Lake, runs: int, first: int = 1) -> None:
    for number in range(first, first + runs * 10, 10):
        store(db, list(documents(number, number + 9)))
        extract(lake, db)


def test_the_lake_works_the_same_there(db: Db, lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    assert loaded(lake, path)["total"] == 0
    grow(db, lake, 4)
    assert keys(lake) == wanted(db)
    assert loaded(lake, path)["rows"] == 40
    first = require_table(lake).metadata.snapshots[0]

    grow(db, lake, 2, first=41)
    assert loaded(lake, path)["mode"] == "incremental"
    table = require_table(lake)
    assert compact(table).files == 6
    assert loaded(lake, path)["rows"] == 0
    assert keys(lake) == wanted(db)

    rollback(table, first)
    assert loaded(lake, path)["total"] == 10
    assert extract(lake, db).rows == 50
    assert loaded(lake, path)["total"] == 60
    at = str(first.snapshot_id)
    assert loaded(lake, tmp_path / "then.duckdb", as_of=at)["total"] == 10

    table = require_table(lake)
    expire(table, keep=1, grace=timedelta(0))
    expire(table, keep=1, grace=timedelta(0))
    sweep_orphans(table, timedelta(0))
    assert {file.path for file in present(table)} == needed(table)
    assert keys(lake) == wanted(db)

    assert backfill(lake, db).rows == 60
    assert loaded(lake, path)["total"] == 60
    listed = duck(path, "select seq from raw.conversations order by all")
    assert [seq for (seq,) in listed] == list(range(1, 61))


@pytest.mark.parametrize("lake", ["rest on s3", "seaweed"], indirect=True)
def test_gold_is_written_and_published_there(lake: Lake, tmp_path: Path) -> None:
    lake = replace(lake, gold_namespace=f"g{uuid.uuid4().hex[:8]}")
    gold = make_gold(tmp_path / "analytics.duckdb")
    for number in (7, 8):  # the second build replaces the first
        with duckdb.connect(str(gold)) as writer:
            add_session(writer, number, 2)
        with of_duckdb(gold) as marts:
            write_gold(lake, marts, lambda _table, _rows: None)
    publish(gold, tmp_path / "direct")
    publish(partial(open_iceberg, lake), tmp_path / "from_lake", full=True)
    assert rows_of(tmp_path / "from_lake") == rows_of(tmp_path / "direct")


def test_many_shares_are_written_there(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FILE_ROWS", 50)
    store(db, list(documents(1, 420)))
    assert extract(lake, db).commits == 9
    assert keys(lake) == wanted(db)
    assert backfill(lake, db).rows == 420
    assert keys(lake) == wanted(db)


def test_several_extractors_at_once_take_everything_once_there(
    db: Db, lake: Lake
) -> None:
    store(db, list(documents(1, 200)))
    if lake.warehouse == f"s3://{TABLES}":
        # SeaweedFS 4.48 lets each of two creations at once succeed, and keeps the last.
        ensure_table(lake, open_catalog(lake))
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(extract(lake, db)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sum(outcome.rows for outcome in outcomes) == 200
    assert keys(lake) == wanted(db)


def test_the_tools_find_it_by_the_environment(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 20)))
    assert answer("extract")["rows"] == 20
    assert answer("load")["rows"] == 20
    # Where the table lies is the catalog's to decide.
    place = require_table(lake).location()
    assert answer("extract", "table", "info")["location"] == place


def test_a_catalog_that_does_not_answer_is_named(
    mongo_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICEBERG_CATALOG_TYPE", "rest")
    monkeypatch.setenv("ICEBERG_CATALOG_URI", f"http://127.0.0.1:{free_port()}")
    for name in ("extract", "load"):
        failed = tool(name)
        assert failed.returncode == 75
        assert failed.stderr.startswith(f"{name}: the catalog http://127.0.0.1")
        assert "Traceback" not in failed.stderr


def local(tmp_path: Path, db: Db) -> Lake:
    """A lake in a folder that was extracted, compacted and extended."""
    lake = Lake(warehouse=str(tmp_path / "cclake" / "iceberg"))
    grow(db, lake, 3)
    compact(require_table(lake))
    grow(db, lake, 2, first=31)
    return lake


def test_duckdb_reads_the_table_as_iceberg(db: Db, tmp_path: Path) -> None:
    lake = local(tmp_path, db)
    extensions = duckdb_extensions("avro", "iceberg")
    with duckdb.connect(config={"allow_unsigned_extensions": True}) as engine:
        for file in extensions:
            engine.execute(f"load '{file}'")
        place = require_table(lake).metadata_location
        found = engine.execute(
            f"select count(*), sum(seq)::bigint, sum(len)::bigint from iceberg_scan('{place}')"
        ).fetchone()
    assert found == totals(lake)


@pytest.mark.parametrize("buckets", [0, 4])
def test_duckdb_reads_a_table_of_a_real_catalog(
    db: Db, weed: Seaweed, monkeypatch: pytest.MonkeyPatch, buckets: int
) -> None:
    space = f"t{uuid.uuid4().hex[:8]}"
    for name, value in weed.settings.items():
        monkeypatch.setenv(name, value)
    lake = replace(Lake.from_env(), namespace=space)
    ensure_table(lake, open_catalog(lake), spec_of(SCHEMA, buckets > 0, buckets))
    grow(db, lake, 3)
    compact(require_table(lake))
    grow(db, lake, 2, first=31)
    with duckdb.connect(config={"allow_unsigned_extensions": True}) as engine:
        for file in duckdb_extensions("avro", "httpfs", "iceberg"):
            engine.execute(f"load '{file}'")
        engine.execute(
            f"create secret files (type s3, key_id '{KEY}', secret '{SECRET}',"
            f" endpoint '127.0.0.1:{weed.s3_port}', use_ssl false, url_style 'path',"
            " region 'us-east-1')"
        )
        engine.execute(
            f"create secret client (type iceberg, client_id '{KEY}',"
            f" client_secret '{SECRET}',"
            f" oauth2_server_uri '{weed.catalog}/v1/oauth/tokens')"
        )
        engine.execute(
            f"attach '{lake.warehouse}' as lake (type iceberg, secret client,"
            f" endpoint '{weed.catalog}', access_delegation_mode 'none')"
        )
        found = engine.execute(
            "select count(*), sum(seq)::bigint, sum(len)::bigint"
            f" from lake.{space}.conversations"
        ).fetchone()
    assert found == totals(lake)


def test_daft_reads_the_table_as_iceberg(db: Db, tmp_path: Path) -> None:
    lake = local(tmp_path, db)
    script = (
        "import sys, daft; from pyiceberg.table import StaticTable;"
        "t = daft.read_iceberg(StaticTable.from_metadata(sys.argv[1]));"
        "d = t.select('seq', 'len').to_pydict();"
        "print(len(d['seq']), sum(d['seq']), sum(d['len']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, require_table(lake).metadata_location],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert tuple(int(n) for n in done.stdout.split()) == totals(lake)
