"""Kills on a real S3 server with a real REST catalog, and of that server itself."""

import itertools
import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import lake_workers
import pytest
from cclake_common.failure import TRY_LATER, Failure
from cclake_extract.incremental import extract
from cclake_extract.maintenance.expire import expire, expired
from cclake_extract.maintenance.orphans import sweep_orphans
from cclake_extract.watermark import state_of
from cclake_lake.catalog import answering, require_table
from cclake_lake.files import needed, present
from cclake_lake.settings import Lake
from documents import documents, store
from harness import Mongod
from lakes import keys, loaded, wanted
from pyiceberg.catalog.rest import RestCatalog
from pymongo.database import Database
from seaweed import Seaweed, seaweed
from victims import Victim, Writer, working

pytestmark = [pytest.mark.fault, pytest.mark.slow]
Db = Database[dict[str, Any]]
KILLS = 6
OUTAGES = 2
LOOPS = (lake_workers.extractor, lake_workers.extractor, lake_workers.keeper)


@pytest.fixture(autouse=True)
def fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fork server find the loops."""
    folder = str(Path(lake_workers.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", folder, prepend=os.pathsep)


@pytest.fixture
def server(weed: Seaweed, tmp_path: Path) -> Iterator[Seaweed]:
    """A server of this test alone, which may be killed; skips where `weed` does."""
    with seaweed(tmp_path / "weed") as own:
        yield own


def begin(db: Db, server: Seaweed, monkeypatch: pytest.MonkeyPatch) -> tuple[Lake, str]:
    """A lake with a few rows; and the settings that lead there."""
    settings = server.settings | {"ICEBERG_NAMESPACE": f"t{uuid.uuid4().hex[:8]}"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    lake = Lake.from_env()
    store(db, list(documents(1, 20, buffer="z" * 32, host="z")))
    extract(lake, db)
    return lake, "\n".join(f"{name}={value}" for name, value in settings.items())


def finish(db: Db, lake: Lake, duckdb: Path) -> None:
    """All is there once, in every snapshot that is kept; what was left behind goes."""
    extract(lake, db)
    assert keys(lake) == wanted(db)
    assert set(keys(lake).values()) == {1}
    assert loaded(lake, duckdb)["total"] == sum(wanted(db).values())
    table = require_table(lake)
    for snapshot in table.metadata.snapshots:
        assert table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows > 0
    expire(table, keep=3, grace=timedelta(0))
    sweep_orphans(table, timedelta(0))
    assert not expired(table)
    assert {file.path for file in present(table)} == needed(table)
    assert keys(lake) == wanted(db)


def work_until_next_commit(lake: Lake, extractors: list[Victim]) -> None:
    run = state_of(require_table(lake)).run
    for extractor in itertools.cycle(extractors):
        extractor.works()
        if state_of(require_table(lake)).run > run:
            return


def test_kills_lose_and_double_no_row(
    db: Db,
    mongod: Mongod,
    weed: Seaweed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lake, settings = begin(db, weed, monkeypatch)
    writer = Writer(db, lake)
    writer.write()
    loops = [Victim(work, (mongod.uri, db.name, settings)) for work in LOOPS]
    with working(*loops):
        for number in range(KILLS):
            victim = loops[number % len(loops)]
            work_until_next_commit(lake, loops[:2])
            victim.works()
            writer.write()
            victim.replace()
    finish(db, lake, tmp_path / "x.duckdb")


def test_a_server_that_is_killed_in_the_middle_of_commits_loses_nothing(
    db: Db,
    mongod: Mongod,
    server: Seaweed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lake, settings = begin(db, server, monkeypatch)
    writer = Writer(db, lake)
    writer.write()
    loops = [Victim(work, (mongod.uri, db.name, settings)) for work in LOOPS]
    with working(*loops):
        for number in range(OUTAGES):
            work_until_next_commit(lake, loops[:2])
            loops[number % len(loops)].works()
            server.kill()
            server.start()
            writer.write()
        work_until_next_commit(lake, loops[:2])
    finish(db, lake, tmp_path / "x.duckdb")


@pytest.mark.parametrize("answered", [False, True])
def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_repeated(
    db: Db,
    server: Seaweed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answered: bool,
) -> None:
    lake, _ = begin(db, server, monkeypatch)
    store(db, list(documents(21, 30, buffer="z" * 32, host="z")))
    commit = RestCatalog.commit_table

    def killed(*arguments: Any) -> Any:
        if answered:
            commit(*arguments)
        server.kill()
        return commit(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Failure) as failure:
        patch.setattr(RestCatalog, "commit_table", killed)
        with answering(lake):
            extract(lake, db)
    assert failure.value.code == TRY_LATER
    assert "does not answer" in str(failure.value)
    server.start()
    assert extract(lake, db).rows == (0 if answered else 10)
    finish(db, lake, tmp_path / "x.duckdb")
