"""Table maintenance changes files and snapshots, never rows."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cclake_common.failure import TRY_LATER, Failure
from cclake_extract import commit, incremental
from cclake_extract.cli import app
from cclake_extract.data_files import destination, new_path
from cclake_extract.incremental import extract
from cclake_extract.maintenance.compact import compact
from cclake_extract.maintenance.expire import expirable, expire, expired
from cclake_extract.maintenance.orphans import orphans, sweep_orphans
from cclake_extract.maintenance.policy import due, maintain
from cclake_extract.parquet import ParquetFile
from cclake_extract.schema import create_table
from cclake_extract.watermark import state_of
from cclake_lake.catalog import open_catalog, require_table
from cclake_lake.files import needed, present
from cclake_lake.properties import FORGOTTEN
from cclake_lake.settings import Lake
from documents import documents, store
from lakes import keys, rows, tool, wanted
from pyiceberg.table import Table
from pymongo.database import Database
from typer.testing import CliRunner

Db = Database[dict[str, Any]]


def grow(db: Db, lake: Lake, runs: int, first: int = 1, each: int = 10) -> Table:
    """Some runs of a few documents each; the table after them."""
    for number in range(runs):
        start = first + number * each
        store(db, list(documents(start, start + each - 1)))
        extract(lake, db)
    return require_table(lake)


def extract_json(*arguments: str) -> Any:
    """Return the JSON of a command of extract, run in this process."""
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return orjson.loads(done.stdout)


def everything(lake: Lake) -> set[str]:
    return {str(path) for path in Path(require_table(lake).location()).rglob("*.*")}


def parquet(lake: Lake) -> set[str]:
    return {str(path) for path in Path(lake.warehouse).rglob("*.parquet")}


def test_compaction_merges_files_and_keeps_rows_runs_and_watermark(
    db: Db, lake: Lake
) -> None:
    table = grow(db, lake, 6)
    before = sorted(rows(lake), key=lambda r: r["seq"])
    state = state_of(table)
    done = compact(table)
    assert (done.files, done.rows, done.into) == (6, 60, 1)
    assert sorted(rows(lake), key=lambda r: r["seq"]) == before
    assert state_of(require_table(lake)) == state
    assert [r["seq"] for r in rows(lake, "seq")] == list(range(1, 61))
    assert len(list(table.scan().plan_files())) == 1
    assert extract(lake, db).rows == 0


def test_an_incremental_scan_sees_nothing_new_in_a_compaction(
    db: Db, lake: Lake
) -> None:
    table = grow(db, lake, 3)
    head = table.current_snapshot()
    assert head
    compact(table)
    fresh = table.incremental_append_scan(from_snapshot_id_exclusive=head.snapshot_id)
    assert fresh.to_arrow().num_rows == 0


def test_a_compaction_that_lost_its_files_to_another_leaves_the_table_alone(
    db: Db, lake: Lake
) -> None:
    grow(db, lake, 4)
    one, other = require_table(lake), require_table(lake)
    assert compact(one).files == 4
    snapshots = len(require_table(lake).metadata.snapshots)
    assert compact(other).files == 0
    assert len(require_table(lake).metadata.snapshots) == snapshots
    assert keys(lake) == wanted(db)


def test_a_compaction_keeps_what_an_extraction_committed_meanwhile(
    db: Db, lake: Lake
) -> None:
    grow(db, lake, 3)
    stale = require_table(lake)
    grow(db, lake, 2, first=31)
    assert compact(stale).files == 3
    assert keys(lake) == wanted(db)
    assert state_of(require_table(lake)).watermarks == {"a" * 32: 50}
    assert extract(lake, db).rows == 0


def test_expiry_keeps_the_newest_and_one_of_each_hour_and_day(
    db: Db, lake: Lake
) -> None:
    table = grow(db, lake, 8)
    heads = [s.snapshot_id for s in table.metadata.snapshots]
    # All of them are of one hour and day, whose newest is kept anyway.
    assert [s.snapshot_id for s in expirable(table, 3)][::-1] == heads[:5]
    now = int(datetime.now(UTC).timestamp() * 1000)
    hour, day = 3_600_000, 86_400_000
    aged = [
        s.model_copy(update={"timestamp_ms": now - age})
        for s, age in zip(
            table.metadata.snapshots,
            [40 * day, 40 * day, 3 * day, 3 * day, 26 * hour, 2 * hour, 2 * hour, 0],
            strict=True,
        )
    ]
    table.metadata = table.metadata.model_copy(update={"snapshots": aged})
    gone = {s.snapshot_id for s in expirable(table, 1)}
    assert set(heads[:3]) <= gone
    assert heads[3] not in gone, "the newest of its day"
    assert heads[5] in gone and heads[6] not in gone, "the newest of its hour"


def test_files_of_expired_snapshots_are_deleted_after_their_grace(
    db: Db, lake: Lake
) -> None:
    table = grow(db, lake, 5)
    small = parquet(lake)
    compact(table)
    files = everything(lake)
    assert expire(table, keep=1).snapshots == 5
    lists = [path for one in expired(table) for path in one.lists]
    assert len(lists) == 5
    assert set(lists) <= files
    # A reader that planned on the old snapshot can still finish.
    assert files <= everything(lake)
    assert expire(table, keep=1).deleted == 0
    assert orphans(table, timedelta(0)) == []
    done = expire(table, keep=1, grace=timedelta(0))
    assert (done.snapshots, done.deleted >= 5) == (0, True)
    assert not (small | set(lists)) & everything(lake)
    assert expired(require_table(lake)) == []
    assert keys(lake) == wanted(db)
    assert extract(lake, db).rows == 0


def test_an_expiry_writes_no_file_of_its_own(db: Db, lake: Lake) -> None:
    table = grow(db, lake, 5)
    compact(table)
    before = everything(lake)
    expire(table, keep=1)
    names = [Path(path).name for path in everything(lake) - before]
    assert len(names) == 1 and names[0].endswith(".metadata.json")


def test_a_sweep_that_a_kill_ended_is_finished_by_the_next(db: Db, lake: Lake) -> None:
    table = grow(db, lake, 4)
    compact(table)
    expire(table, keep=1)
    first, second, *_ = [path for one in expired(table) for path in one.lists]
    Path(first).unlink()
    Path(second).write_bytes(b"half")
    assert expire(table, keep=1, grace=timedelta(0)).deleted
    assert not Path(second).exists()
    sweep_orphans(table, timedelta(0))
    assert {file.path for file in present(table)} == needed(table)
    assert keys(lake) == wanted(db)


def test_words_of_others_in_the_note_of_expiry_stop_nothing(db: Db, lake: Lake) -> None:
    table = grow(db, lake, 3)
    with table.transaction() as change:
        change.set_properties({FORGOTTEN: '[["x"'})
    assert expired(table) == []
    assert expire(table, keep=1).snapshots == 2
    assert len(expired(table)) == 1


@pytest.mark.fault
def test_care_that_fails_fails_no_extraction(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(db, lake, 3)
    for path in Path(lake.warehouse).rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:100])
    monkeypatch.setenv("CCLAKE_MAINTAIN_EVERY", "1")
    for last in (35, 40):
        store(db, list(documents(last - 4, last)))
        done = tool("extract", "--json")
        assert done.returncode == 0, done.stderr
        assert orjson.loads(done.stdout)["rows"] == 5
        assert done.stderr.startswith("extract: table maintenance failed: the lake in ")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "odd", [("orphans", "--older-than", "0"), ("orphans", "--older-than", "nan"),
            ("expire", "--grace", "1e300")]
)  # fmt: skip
def test_hours_are_those_that_spare_what_is_at_work(
    db: Db, lake: Lake, odd: tuple[str, ...]
) -> None:
    grow(db, lake, 1)
    assert tool("extract", "table", *odd).returncode == 2


def test_files_that_vanish_before_their_commit_are_not_committed(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(db, lake, 2)
    store(db, list(documents(21, 25)))

    def append(table: Table, files: Any, before: Any, after: Any) -> None:
        for file in files:
            Path(file.file_path.removeprefix("file://")).unlink()
        commit.append(table, files, before, after)

    monkeypatch.setattr(incremental, "append", append)
    with pytest.raises(Failure, match="are missing") as failure:
        extract(lake, db)
    assert failure.value.code == TRY_LATER
    monkeypatch.undo()
    assert extract(lake, db).rows == 5
    assert keys(lake) == wanted(db)


@pytest.mark.parametrize("again", [False, True])
def test_a_table_that_is_dropped_during_an_extraction_is_one_sentence(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    grow(db, lake, 1)
    store(db, list(documents(11, 15)))

    def append(table: Table, files: Any, before: Any, after: Any) -> None:
        open_catalog(lake).drop_table(lake.identifier)
        if again:
            lake_of = create_table(lake, open_catalog(lake))
            assert lake_of.metadata.table_uuid != table.metadata.table_uuid
        commit.append(table, files, before, after)

    monkeypatch.setattr(incremental, "append", append)
    with pytest.raises(Failure, match="dropped or recreated") as failure:
        extract(lake, db)
    assert failure.value.code == TRY_LATER
    monkeypatch.undo()
    assert extract(lake, db).rows == 15
    assert keys(lake) == wanted(db)


def test_files_on_the_note_of_expiry_that_are_needed_are_spared(
    db: Db, lake: Lake
) -> None:
    table = grow(db, lake, 3)
    kept = everything(lake)
    lists = [one.manifest_list for one in table.metadata.snapshots]
    with table.transaction() as change:
        change.set_properties({FORGOTTEN: orjson.dumps([(0, lists)]).decode()})
    assert expire(table, keep=30).deleted == 0
    assert kept <= everything(lake)
    assert keys(lake) == wanted(db)


def test_tagged_snapshots_and_their_files_stay(db: Db, lake: Lake) -> None:
    table = grow(db, lake, 4)
    tagged = table.metadata.snapshots[1].snapshot_id
    table.manage_snapshots().create_tag(tagged, "before").commit()
    compact(table)
    expire(table, keep=1, grace=timedelta(0))
    expire(table, keep=1, grace=timedelta(0))
    assert {s.snapshot_id for s in table.metadata.snapshots} >= {tagged}
    assert table.scan(snapshot_id=tagged).to_arrow().num_rows == 20


def test_orphans_are_old_files_that_nothing_needs(db: Db, lake: Lake) -> None:
    table = grow(db, lake, 2)
    left = ParquetFile(destination(table), new_path(table))
    left.discard()
    Path(left.path).write_bytes(b"half a file")
    fresh = Path(left.path).with_name("young.parquet")
    fresh.write_bytes(b"being written")
    os.utime(left.path, (0, 0))
    assert [found.path for found in orphans(table)] == [left.path]
    assert [found.path for found in sweep_orphans(table)] == [left.path]
    assert fresh.exists()
    assert keys(lake) == wanted(db)


@pytest.mark.slow
def test_care_keeps_commits_and_scans_cheap_however_many_runs_there_were(
    db: Db, lake: Lake
) -> None:
    """Counted: files of a scan, snapshots, metadata bytes, manifests of a commit."""
    sizes, opened = [], []
    for number in range(140):
        store(db, list(documents(number * 2 + 1, number * 2 + 2)))
        extract(lake, db)
        table = require_table(lake)
        head = table.current_snapshot()
        assert head
        sizes.append(Path(table.metadata_location).stat().st_size)
        opened.append(len(head.manifests(table.io)))
        if due(table):
            maintain(table)
            expire(table, grace=timedelta(0))  # as if an hour had gone by
    assert len(list(table.scan().plan_files())) <= 21
    assert len(table.metadata.snapshots) <= 60
    assert max(sizes[100:]) <= 1.1 * max(sizes[40:100])
    assert max(opened[100:]) <= max(opened[40:100]) + 1
    assert keys(lake) == wanted(db)


def test_a_run_with_nothing_new_takes_no_care(db: Db, lake: Lake) -> None:
    grow(db, lake, 5)
    before = require_table(lake).metadata_location
    assert extract_json("run", "--maintain-every", "3")["maintenance"] is None
    assert require_table(lake).metadata_location == before


def test_a_run_takes_care_when_enough_small_commits_are_there(
    db: Db, lake: Lake
) -> None:
    grow(db, lake, 5)
    store(db, list(documents(51, 60)))
    done = extract_json("run", "--maintain-every", "6")
    assert done["maintenance"]["compacted"]["files"] == 6
    assert keys(lake) == wanted(db)


def test_the_table_commands_answer_people_and_scripts(db: Db, lake: Lake) -> None:
    grow(db, lake, 3)
    info = extract_json("table", "info")
    assert (info["rows"], info["files"], info["extract_run"]) == (30, 3, 3)
    assert info["watermarks"] == {"a" * 32: 30}
    listed = extract_json("table", "snapshots")
    assert [row["added_rows"] for row in listed] == [10, 10, 10]
    assert [row["head"] for row in listed] == [False, False, True]
    assert len(extract_json("table", "files")) == 3
    assert len(extract_json("table", "history")) == 3
    back = extract_json("table", "rollback", str(listed[0]["snapshot_id"]))
    assert (back["rows"], back["watermarks"]) == (10, {"a" * 32: 10})
    assert len(extract_json("table", "history")) == 4
    again = extract_json("run")
    assert (again["rows"], again["run"]) == (20, 4)
    assert extract_json("table", "compact")["rows"] == 30
    assert extract_json("table", "expire", "--keep", "1")["snapshots"] >= 3
    assert extract_json("table", "orphans", "--dry-run") == []
    assert "watermarks" in tool("extract", "table", "info").stdout


def test_a_missing_table_is_said_in_one_sentence() -> None:
    for command in ("info", "files", "compact", "expire", "drop"):
        with pytest.raises(Failure, match="there is no table"):
            extract_json("table", command)
    failed = tool("extract", "table", "info")
    assert failed.returncode == 1
    assert failed.stderr.startswith(
        "extract: there is no table analytics.conversations"
    )


def test_every_file_in_the_folder_is_known_after_care(db: Db, lake: Lake) -> None:
    table = grow(db, lake, 6)
    compact(table)
    expire(table, keep=2, grace=timedelta(0))
    expire(table, keep=2, grace=timedelta(0))
    sweep_orphans(table, timedelta(0))
    assert {file.path for file in present(table)} == needed(table)
