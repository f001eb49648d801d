"""DuckDB holds what a snapshot holds, however it gets there."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from bson import Int64
from cclake_common.failure import Failure
from cclake_extract import backfill as rebuilding
from cclake_extract import splits
from cclake_extract.backfill import backfill
from cclake_extract.commit import rollback
from cclake_extract.incremental import extract
from cclake_extract.maintenance.compact import compact
from cclake_extract.maintenance.expire import expire
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from cclake_load import head, load
from cclake_load.load import Load
from cclake_load.warehouse import open_database
from documents import acknowledge, document, documents, entry, store
from harness import PATIENCE
from lakes import answer, duck, loaded, rows, tool
from pymongo.database import Database

Db = Database[dict[str, Any]]
ALL = "select * exclude (timestamp, ingested_at), epoch_us(timestamp),"
ALL += " epoch_us(ingested_at) from raw.conversations"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cclake" / "analytics.duckdb"


def grow(db: Db, lake: Lake, first: int, last: int) -> None:
    store(db, list(documents(first, last)))
    extract(lake, db)


def same(lake: Lake, path: Path) -> bool:
    """Whether DuckDB has the rows of the head, column by column."""
    names = [f.name for f in require_table(lake).schema().fields]
    listed = ", ".join(f'"{n}"' for n in names if n not in ("timestamp", "ingested_at"))
    have = duck(path, f"select {listed} from raw.conversations")
    want = [
        tuple(row[n] for n in names if n not in ("timestamp", "ingested_at"))
        for row in rows(lake)
    ]
    times = duck(
        path, "select epoch_us(timestamp), epoch_us(ingested_at) from raw.conversations"
    )
    moments = [
        tuple(round(row[n].timestamp() * 1e6) for n in ("timestamp", "ingested_at"))
        for row in rows(lake)
    ]
    key = str
    return sorted(have, key=key) == sorted(want, key=key) and sorted(times) == sorted(
        moments
    )


def light_load() -> dict[str, Any]:
    """The answer of a load, which must do without pyiceberg."""
    shown = "import sys; from cclake_load.cli import app;"
    shown += "app(['--json'], standalone_mode=False); print('pyiceberg' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, text=True, check=True
    )
    report, imported = done.stdout.splitlines()
    assert imported == "False"
    found: dict[str, Any] = orjson.loads(report)
    return found


def test_a_load_of_nothing_and_of_what_extractions_added_needs_no_pyiceberg(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 100)
    first = answer("load")
    assert light_load() == first | {"mode": "nothing", "rows": 0}
    head = require_table(lake).current_snapshot()
    assert head
    grow(db, lake, 101, 102)
    grow(db, lake, 103, 103)
    grown = light_load()
    assert (grown["mode"], grown["rows"], grown["total"]) == ("incremental", 3, 103)
    assert same(lake, path)
    rollback(require_table(lake), head)
    assert answer("load")["removed"] == 3
    backfill(lake, db)
    assert answer("load")["mode"] == "reconcile"
    assert same(lake, path)


def test_loading_before_there_is_a_table_leaves_an_empty_one(path: Path) -> None:
    assert answer("load")["mode"] == "nothing"
    assert duck(path, "select count(*) from raw.conversations") == [(0,)]
    assert duck(path, "select count(*) from raw.loads") == [(0,)]


def test_an_empty_table_is_loaded_as_empty(path: Path, lake: Lake) -> None:
    tool("extract", "table", "create")
    assert loaded(lake, path)["total"] == 0
    assert duck(path, "select count(*) from raw.conversations") == [(0,)]


def test_loads_bring_only_the_runs_that_are_new(db: Db, lake: Lake, path: Path) -> None:
    grow(db, lake, 1, 100)
    assert loaded(lake, path)["rows"] == 100
    assert loaded(lake, path)["mode"] == "nothing"
    grow(db, lake, 101, 107)
    grow(db, lake, 108, 110)
    second = loaded(lake, path)
    assert (second["mode"], second["rows"], second["total"]) == ("incremental", 10, 110)
    assert same(lake, path)
    assert duck(path, "select rows, extract_run from raw.loads order by load_id") == [
        (100, 1),
        (10, 3),
    ]


@pytest.mark.parametrize(("name", "like"), [("[x]", "x"), ("l*e", "like"), ("?", "l")])
def test_a_path_that_looks_like_a_pattern_is_not_one(
    db: Db, tmp_path: Path, path: Path, name: str, like: str
) -> None:
    lake = Lake(str(tmp_path / name))
    grow(db, lake, 1, 5)
    shutil.copytree(tmp_path / name, tmp_path / like)
    for file in (tmp_path / like).rglob("*.parquet"):
        file.write_bytes(b"another lake")
    assert loaded(lake, path)["rows"] == 5
    assert same(lake, path)


def test_lines_that_do_not_fit_into_its_memory_get_more(
    db: Db, lake: Lake, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = entry(1) | {"content": "x" * 1_000_000}
    lines = [orjson.dumps(long | {"uuid": f"{n:036}"}) for n in range(80)]
    store(db, [document(line, seq) for seq, line in enumerate(lines, 1)])
    extract(lake, db)
    with pytest.raises(Failure, match="60MB of memory is too little"):
        Load(lake, path, "60MB").run(False, None)  # a limit that is named is kept
    monkeypatch.setattr(load, "MEMORY", "60MB")
    assert Load(lake, path).run(False, None)["rows"] == 80
    assert same(lake, path)


def test_a_full_reload_gives_the_same_table(db: Db, lake: Lake, path: Path) -> None:
    for number in range(5):
        grow(db, lake, number * 10 + 1, number * 10 + 10)
        loaded(lake, path)
    incremental = duck(path, ALL)
    full = loaded(lake, path, full=True)
    assert (full["mode"], full["rows"]) == ("full", 50)
    assert duck(path, ALL) == incremental


def test_compaction_and_expiry_need_no_load(db: Db, lake: Lake, path: Path) -> None:
    for number in range(4):
        grow(db, lake, number * 10 + 1, number * 10 + 10)
    loaded(lake, path)
    table = require_table(lake)
    assert compact(table).files == 4
    assert loaded(lake, path)["rows"] == 0
    expire(table, keep=1)
    after = loaded(lake, path)
    assert (after["rows"], after["removed"]) == (0, 0)
    grow(db, lake, 41, 45)
    assert loaded(lake, path)["rows"] == 5
    assert same(lake, path)


def test_rows_new_since_the_load_are_found_in_a_compacted_file(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 10)
    loaded(lake, path)
    grow(db, lake, 11, 20)
    compact(require_table(lake))
    second = loaded(lake, path)
    assert (second["mode"], second["rows"], second["total"]) == ("incremental", 10, 20)


def test_a_load_that_the_metadata_misleads_reads_the_manifests(
    db: Db, lake: Lake, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(db, lake, 1, 10)
    loaded(lake, path)
    grow(db, lake, 11, 20)
    monkeypatch.setattr(head.Head, "_address", lambda *_: "/not/there.parquet")
    second = loaded(lake, path)
    assert (second["mode"], second["rows"], second["total"]) == ("incremental", 10, 20)
    assert same(lake, path)


def test_a_rollback_takes_rows_out_and_the_next_extraction_brings_them_again(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 10)
    first = require_table(lake).current_snapshot()
    assert first
    grow(db, lake, 11, 30)
    loaded(lake, path)
    rollback(require_table(lake), first)
    back = loaded(lake, path)
    assert (back["rows"], back["removed"], back["total"]) == (0, 20, 10)
    assert extract(lake, db).rows == 20
    assert loaded(lake, path)["rows"] == 20
    assert same(lake, path)


def test_a_rollback_and_a_new_extraction_between_two_loads_are_noticed(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 10)
    first = require_table(lake).current_snapshot()
    assert first
    grow(db, lake, 11, 30)
    loaded(lake, path)
    rollback(require_table(lake), first)
    extract(lake, db)
    again = loaded(lake, path)
    assert (again["mode"], again["rows"], again["removed"]) == ("reconcile", 20, 20)
    assert same(lake, path)


def test_a_backfill_is_loaded_as_a_whole(db: Db, lake: Lake, path: Path) -> None:
    grow(db, lake, 1, 40)
    loaded(lake, path)
    db["conversations"].delete_many({"seq": {"$gt": 30}})
    backfill(lake, db)
    grow(db, lake, 41, 50)
    assert loaded(lake, path)["total"] == 40
    assert same(lake, path)


def test_a_backfill_of_several_files_is_noticed_once(
    db: Db, lake: Lake, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FILE_ROWS", 100)
    grow(db, lake, 1, 250)
    loaded(lake, path)
    backfill(lake, db)
    again = loaded(lake, path)
    assert (again["mode"], again["rows"], again["removed"]) == ("reconcile", 250, 250)
    numbers = duck(path, "select extract_run from raw.conversations group by 1")
    assert len(numbers) == 3
    assert max(numbers) < (again["extract_run"],)
    assert loaded(lake, path)["mode"] == "nothing"
    grow(db, lake, 251, 260)
    then = loaded(lake, path)
    assert (then["mode"], then["rows"], then["total"]) == ("incremental", 10, 260)
    assert same(lake, path)


def test_two_rebuilds_that_took_the_same_numbers_are_told_apart(
    db: Db, lake: Lake, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FILE_ROWS", 100)
    grow(db, lake, 1, 250)
    backfill(lake, db)
    loaded(lake, path)
    numbers = duck(
        path, "select min(extract_run), max(extract_run) + 1 from raw.conversations"
    )
    monkeypatch.setattr(rebuilding, "_reserve", lambda *_: range(*numbers[0]))
    db["conversations"].delete_many({"seq": {"$lte": 20}})
    store(db, list(documents(251, 270)))
    backfill(lake, db)
    again = loaded(lake, path)
    assert (again["mode"], again["total"]) == ("reconcile", 250)
    assert same(lake, path)


def test_a_table_dropped_and_made_again_is_loaded_anew(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 20)
    loaded(lake, path)
    assert tool("extract", "table", "drop").returncode == 2
    assert tool("extract", "table", "drop", "--yes", "--purge").returncode == 0
    assert loaded(lake, path)["total"] == 0
    db["conversations"].delete_one({"seq": 1})
    db["conversations"].update_one({"seq": 2}, {"$set": {"host": "other"}})
    extract(lake, db)
    assert loaded(lake, path)["total"] == 19
    assert same(lake, path)


def test_each_load_keeps_the_watermarks_of_its_snapshot(
    db: Db, lake: Lake, path: Path
) -> None:
    marks = "select watermarks from raw.loads order by load_id"
    grow(db, lake, 1, 5)
    first = require_table(lake).current_snapshot()
    loaded(lake, path)
    acked = {w["_id"]: w["acked_seq"] for w in db["watermarks"].find()}
    with duckdb.connect(str(path)) as writer:  # as an earlier version left it
        writer.execute("alter table raw.loads drop column watermarks")
    grow(db, lake, 6, 9)
    loaded(lake, path)
    now = {w["_id"]: w["acked_seq"] for w in db["watermarks"].find()}
    assert first and now != acked
    loaded(lake, path, as_of=str(first.snapshot_id))
    (unknown,), (second,), (third,) = duck(path, marks)
    assert (unknown, orjson.loads(second), orjson.loads(third)) == (None, now, acked)


def test_as_of_loads_the_table_as_it_was_and_a_plain_load_returns(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 10)
    old = require_table(lake).current_snapshot()
    assert old
    grow(db, lake, 11, 30)
    assert loaded(lake, path)["total"] == 30
    then = loaded(lake, path, as_of=str(old.snapshot_id))
    assert (then["total"], then["snapshot_id"]) == (10, str(old.snapshot_id))
    assert loaded(lake, path)["total"] == 30
    assert same(lake, path)
    moment = datetime.fromtimestamp(old.timestamp_ms / 1000, UTC).isoformat()
    assert loaded(lake, path, as_of=moment)["total"] == 10
    assert "no snapshot 42" in tool("load", "--as-of", "42").stderr
    assert tool("load", "--as-of", "yesterday").returncode == 2


def test_a_line_that_two_buffers_brought_is_loaded_once(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 10)
    loaded(lake, path)
    # The rare race: extracted under one buffer, then stamped by another.
    stamp = {"buffer": "b" * 32, "seq": Int64(1)}
    db["conversations"].update_one({"seq": 4}, {"$set": stamp})
    acknowledge(db, "b" * 32, 1)
    grow(db, lake, 11, 12)
    second = loaded(lake, path)
    assert (second["rows"], second["total"]) == (2, 12)
    assert loaded(lake, path, full=True)["total"] == 12
    assert duck(path, "select buffer from raw.conversations where seq in (1, 4)") == [
        ("a" * 32,),
        ("a" * 32,),
    ]


def test_a_locked_file_is_waited_for_and_then_named(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 10)
    loaded(lake, path)
    hold = f"import duckdb; d = duckdb.connect({str(path)!r}); print(1, flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin and holder.stdout
    holder.stdout.readline()
    refused = tool("load", "--wait", "0.3")
    assert refused.returncode == 75
    assert f"in use by another process (PID {holder.pid})" in refused.stderr
    waiting = subprocess.Popen(
        [Path(sys.executable).parent / "load"], stdout=subprocess.DEVNULL
    )
    holder.communicate(b"\n", timeout=PATIENCE)
    assert waiting.wait(PATIENCE) == 0


def test_a_load_that_fails_leaves_the_table_as_it_was(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 10)
    loaded(lake, path)
    grow(db, lake, 11, 20)
    newest = max(
        Path(lake.warehouse).rglob("*.parquet"), key=lambda p: p.stat().st_mtime
    )
    kept = newest.read_bytes()
    newest.write_bytes(kept[:100])
    failed = tool("load")
    assert failed.returncode == 1
    assert failed.stderr.startswith("load: a file of the lake can't be read")
    assert duck(path, "select count(*) from raw.conversations") == [(10,)]
    newest.write_bytes(kept)
    assert loaded(lake, path)["rows"] == 10


def test_a_limit_that_is_none_is_wrong_usage(db: Db, lake: Lake, path: Path) -> None:
    grow(db, lake, 1, 10)
    failed = tool("load", "--memory-limit", "lots")
    assert failed.returncode == 2
    assert failed.stderr.startswith("load: 'lots' is not a memory limit")


def test_a_damaged_file_is_not_taken_for_a_locked_one(
    db: Db, lake: Lake, tmp_path: Path
) -> None:
    grow(db, lake, 1, 10)
    damaged = tmp_path / "lockwood" / "analytics.duckdb"
    damaged.parent.mkdir()
    damaged.write_bytes(b"no database at all" * 1000)
    failed = tool("load", "--duckdb", str(damaged))
    assert failed.returncode == 1
    assert "can't be opened" in failed.stderr


def test_stats_of_what_was_never_loaded_make_nothing(lake: Lake, path: Path) -> None:
    assert answer("load", "--stats")["loads"] == []
    assert not path.exists()
    assert tool("load", "--stats").stdout == "nothing is loaded\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.connect(str(path)).close()
    assert answer("load", "--stats")["total"] == 0


def test_stats_show_the_loads_and_change_nothing(
    db: Db, lake: Lake, path: Path
) -> None:
    grow(db, lake, 1, 10)
    loaded(lake, path)
    stats = answer("load", "--stats")
    assert (stats["total"], len(stats["loads"])) == (10, 1)
    (at,) = {one["loaded_at"] for one in stats["loads"]}
    assert at.endswith("Z")
    age = datetime.now(UTC) - datetime.fromisoformat(at)
    assert timedelta(0) < age < timedelta(minutes=2)
    said = tool("load", "--stats").stdout
    assert "10 rows up to run 1" in said
    assert f"{at[:10]} {at[11:19]}Z  full" in said


def test_the_lines_are_compressed(db: Db, lake: Lake, path: Path) -> None:
    grow(db, lake, 1, 3_000)
    loaded(lake, path)
    query = "select distinct compression from pragma_storage_info('raw.conversations')"
    kinds = duck(path, f"{query} where column_name = 'entry' and persistent")
    assert ("ZSTD",) in kinds


def test_a_file_that_is_named_like_a_schema_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "Raw.duckdb"
    with pytest.raises(Failure, match="the name of a schema") as failed:
        open_database(file, "500MB")
    assert failed.value.code == 2
    assert not file.exists()
