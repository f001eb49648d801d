import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cclake_publish import served, update
from cclake_publish.export import publish
from cclake_publish.sqlite_writer import Transaction
from gold_tables import add_image, add_session, make_gold, remove_session
from harness import BIN
from sqlite_reader import reading

Writer = duckdb.DuckDBPyConnection
NEVER_EQUAL = {"published_at", "export_id"}
INTEGRITY = "insert into search_fts (search_fts, rank) values ('integrity-check', 1)"


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    return make_gold(tmp_path / "analytics.duckdb", sessions=4, entries=3)


def change(gold: Path, *statements: str) -> None:
    with duckdb.connect(str(gold)) as writer:
        for statement in statements:
            writer.execute(statement)


def contents(exports: Path) -> dict[str, list[Any]]:
    """Every row of the SQLite export, in an order that does not depend on storage."""
    found: dict[str, list[Any]] = {}
    with closing(sqlite3.connect(exports / "conversations.db")) as lite:
        for (name,) in lite.execute(
            "select name from sqlite_master where type in ('table', 'view')"
            " and name not like 'search_fts%' and name not like 'sqlite_%'"
            " order by name"
        ).fetchall():
            rows = lite.execute(f"select * from {name}").fetchall()
            found[name] = sorted((r for r in rows if r[0] not in NEVER_EQUAL), key=repr)
        found["indexes"] = lite.execute(
            "select sql from sqlite_master where type = 'index' and sql is not null"
            " order by name"
        ).fetchall()
        if lite.execute(
            "select 1 from sqlite_master where name = 'search_fts'"
        ).fetchone():
            found["hits"] = lite.execute(
                "select rowid from search_fts where search_fts match 'cafe' order by 1"
            ).fetchall()
            # rank 1: compare the index with the texts that it was made from
            lite.execute(INTEGRITY)
        assert lite.execute("pragma integrity_check").fetchall() == [("ok",)]
    return found


def assert_equals_a_full_export(gold: Path, exports: Path, fresh: Path) -> None:
    publish(gold, fresh, full=True)
    expected, found = contents(fresh), contents(exports)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert found[name] == rows, name


def test_the_first_publication_is_full_and_the_next_ones_are_not(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    assert [publish(gold, exports).mode for _ in range(4)] == [
        "full", "incremental", "incremental", "incremental"
    ]  # fmt: skip
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_only_their_owner_may_read_the_exports(gold: Path, exports: Path) -> None:
    publish(gold, exports, copy=True)
    with reading(exports / "conversations.db") as reader:
        reader.ask("select * from dim_sessions")
        publish(gold, exports)
        modes = {p.name: p.stat().st_mode & 0o777 for p in exports.glob("*.*")}
    assert len(modes) == 6  # two files, a link, the lock, and the log with its index
    del modes[".publish.lock"]
    assert set(modes.values()) == {0o600}


def test_nothing_new_writes_no_row(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    for _ in range(3):
        assert publish(gold, exports).rows == 0


def test_only_rows_that_differ_are_written(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    stamped(gold, "one")
    publish(gold, exports)
    with duckdb.connect(str(gold)) as writer:
        remove_session(writer, 2)
        add_session(writer, 2, entries=5, run=2)
        # As dbt does: all rows of a session are of its newest run.
        writer.execute("update marts.thread_entries set updated_run = 2"
                       " where session_id = 's1'")  # fmt: skip
    stamped(gold, "one")
    with closing(sqlite3.connect(exports / "conversations.db")) as lite:
        before = lite.execute("select * from search_fts_data").fetchall()
    # Two new entries in three tables, and the run in the rows of two sessions.
    assert publish(gold, exports).rows == 8
    with closing(sqlite3.connect(exports / "conversations.db")) as lite:
        after = lite.execute("select * from search_fts_data").fetchall()
    assert len(set(after) - set(before)) <= 3  # one new segment, and its directory
    assert publish(gold, exports).rows == 0
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


@pytest.mark.parametrize(
    "statement",
    [
        "update marts.dim_sessions set title = 'new' where session_id = 's1'",
        "update marts.dim_sessions set session_id = null where session_id = 's1'",
        "update marts.agg_session_metrics set cost_usd = 7 where session_id = 's1'",
        "update marts.thread_blocks set text = 'cafe au lait' where session_id = 's1'",
        "update marts.thread_blocks set text = ' ' where session_id = 's1'",
        "update marts.thread_blocks set words = 'd\u200bata' where session_id = 's1'",
        "update marts.thread_blocks set block_kind = 'tool_use', tool_name = 'Bash',"
        " tool_input = 'cafe' where session_id = 's1'",
        "update marts.thread_blocks set search_id = search_id + 7"
        " where session_id = 's3'",
        "update marts.thread_blocks set search_id = 5 where session_id = 's3'",
        "delete from marts.thread_entries where session_id = 's1'",
        "delete from marts.thread_blocks",
        "insert into marts.images select 'new', * exclude (image_key)"
        " from marts.images where image_key = 'img3'",
        "update marts.images set extract_run = 2; update raw.conversations"
        " set extract_run = 2",
        "delete from marts.images where image_key = 'img3'",
        "delete from marts.dim_date",
        "insert into marts.dim_sessions select * from marts.dim_sessions",
        "insert into marts.thread_entries select * from marts.thread_entries",
    ],
)
def test_an_update_equals_a_full_export(
    gold: Path, exports: Path, tmp_path: Path, statement: str
) -> None:
    publish(gold, exports)
    publish(gold, exports)
    change(gold, statement)
    assert publish(gold, exports).mode == "incremental"
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")
    assert publish(gold, exports).rows == 0


@pytest.mark.parametrize(
    "statement",
    [
        "alter table marts.dim_date add column holiday varchar default 'no'",
        "alter table marts.thread_blocks add column lang varchar",
        "drop view marts.search_documents;"
        " alter table marts.thread_blocks alter column block_no type bigint",
        "drop view marts.image_data; drop table marts.images",
        "drop view marts.image_data",
        "drop table marts.agg_session_metrics",
        "create table marts.agg_new as select 1 as a, 'x' as b",
        "drop view marts.search_documents; drop table marts.thread_blocks",
        "comment on table marts.thread_blocks is 'another build'",
    ],
)
def test_other_tables_and_other_builds_are_a_new_file(
    gold: Path, exports: Path, tmp_path: Path, statement: str
) -> None:
    publish(gold, exports)
    former = (exports / "conversations.db").resolve()
    change(gold, statement)
    assert publish(gold, exports).mode == "full"
    assert not former.exists()
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")
    assert publish(gold, exports).mode == "incremental"


def stamped(gold: Path, build: str) -> None:
    """Do what dbt does: sessions know their run, and tables name their build."""
    tables = ["dim_sessions", "fct_messages", "thread_blocks", "thread_entries"]
    tables.append("agg_session_metrics")
    newest = "select max(updated_run) from marts.thread_entries as t"
    newest += " where t.session_id = s.session_id"
    change(
        gold,
        f"update marts.dim_sessions as s set updated_run = ({newest})",
        *(f"comment on table marts.{name} is '{build}'" for name in tables),
    )


def test_of_one_build_only_the_sessions_of_later_runs_are_looked_at(
    gold: Path, exports: Path
) -> None:
    stamped(gold, "one")
    publish(gold, exports)
    change(
        gold,
        # Not what dbt does: without a later run nobody looks.
        "update marts.thread_entries set position = 99 where session_id = 's1'",
        "update marts.thread_entries set position = 77, updated_run = 2"
        " where session_id = 's2'",
        "delete from marts.thread_blocks where session_id = 's2'",
        "update marts.dim_sessions set updated_run = 2 where session_id = 's2'",
        "delete from marts.fct_messages where session_id = 's3'",
        "delete from marts.dim_sessions where session_id = 's3'",
    )
    # Three entries of s2 and its row.
    assert publish(gold, exports).rows == 4
    found = contents(exports)
    positions = {(row[0], row[1]) for row in found["thread_entries"]}
    assert ("s1", 99) not in positions
    assert ("s2", 77) in positions
    assert {row[1] for row in found["thread_blocks"]} == {"s0", "s1", "s3"}
    assert {row[1] for row in found["fct_messages"]} == {"s0", "s1", "s2"}
    assert {row[0] for row in found["dim_sessions"]} == {"s0", "s1", "s2"}


@pytest.mark.parametrize(
    ("first_run", "positions"),
    [("1", [9, 2, 3]), ("2", [9]), ("null", [9, 2, 3])],
)
def test_rows_older_than_the_first_run_of_the_changed_sessions_are_not_read(
    gold: Path, exports: Path, first_run: str, positions: list[int]
) -> None:
    stamped(gold, "one")
    publish(gold, exports)
    versions = f"select session_id, {first_run}::bigint as first_run"
    change(
        gold,
        "create schema if not exists intermediate",
        "create table intermediate.int_session_versions as"
        f" {versions} from marts.dim_sessions where session_id = 's1'",
        # Not what dbt does, which replaces all rows of a session.
        "update marts.thread_entries set position = 9, updated_run = 2"
        " where session_id = 's1' and position = 1",
    )
    publish(gold, exports)
    found = [row[1] for row in contents(exports)["thread_entries"] if row[0] == "s1"]
    assert sorted(found) == sorted(positions)


def test_a_table_that_lags_behind_its_sessions_is_made_good_later(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    stamped(gold, "one")
    publish(gold, exports)
    change(gold, "update marts.dim_sessions set updated_run = 2")
    publish(gold, exports)
    publish(gold, exports)
    change(
        gold,
        "update marts.thread_entries set position = 9, updated_run = 2"
        " where session_id = 's1'",
    )
    publish(gold, exports)
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_another_build_is_a_new_file_even_if_no_run_says_so(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    stamped(gold, "one")
    publish(gold, exports)
    change(gold, "update marts.thread_blocks set text = 'no run tells of this'")
    stamped(gold, "two")
    assert publish(gold, exports).mode == "full"
    assert publish(gold, exports).rows == 0
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_blocks_of_one_number_all_get_their_own(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    change(
        gold, "update marts.thread_blocks set search_id = 7 where search_id < 100002"
    )
    publish(gold, exports)
    assert sorted(row[0] for row in contents(exports)["search_documents"]) == [
        *range(7, 12), *range(100002, 100003), *range(200000, 200003),
        *range(300000, 300003),
    ]  # fmt: skip
    assert publish(gold, exports).rows == 0
    change(
        gold, "update marts.thread_blocks set search_id = 8 where search_id = 300001"
    )
    assert publish(gold, exports).rows == 1
    numbers = {row[0]: row[2] for row in contents(exports)["search_documents"]}
    assert numbers[15] == "s3-1"
    assert publish(gold, exports).rows == 0
    # In a new file numbers of the same second may change places; the rest is equal.
    publish(gold, tmp_path / "fresh", full=True)
    ours, theirs = (
        sorted((row[1:] for row in contents(folder)["thread_blocks"]), key=repr)
        for folder in (exports, tmp_path / "fresh")
    )
    assert ours == theirs


def test_very_many_blocks_of_one_moment_get_their_numbers_in_few_steps(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(gold, exports)
    statements: list[str] = []
    run = Transaction.run

    def record(file: Transaction, sql: str) -> list[tuple[object, ...]]:
        statements.append(sql)
        return run(file, sql)

    monkeypatch.setattr(Transaction, "run", record)
    one = "insert into marts.thread_blocks select b.* replace ('{}' || range as entry_key)"
    one += " from marts.thread_blocks as b, range(3000) where search_id = 300001"
    for name in "ab":
        change(gold, f"{one.format(name)} and entry_key like 's3%'")
        statements.clear()
        assert publish(gold, exports).rows == 3000
        assert sum(sql.startswith("create temp table taken") for sql in statements) < 20
    assert publish(gold, exports).rows == 0


def test_where_most_has_changed_a_new_file_is_written(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(update, "MANY", 10)
    stamped(gold, "one")
    publish(gold, exports)
    change(gold, "update marts.thread_blocks set updated_run = 2 where session_id='s1'")
    assert publish(gold, exports).mode == "incremental"
    tables = ("fct_messages", "thread_blocks", "thread_entries")
    change(gold, *(f"update marts.{name} set updated_run = 3" for name in tables))
    assert publish(gold, exports).mode == "full"
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_the_newest_runs_of_the_pipeline_are_published(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    record = tmp_path / "pipeline.db"
    with closing(sqlite3.connect(record)) as db, db:
        db.execute(
            "create table runs (run_id integer primary key, started_at, ended_at, mode,"
            " watermark, outcome)"
        )
        db.execute(
            "create table stages (run_id, stage, rows, seconds, outcome, detail)"
        )
        for run in range(1, 303):
            db.execute(
                "insert into runs values (?, 'then', null, 'daily', ?, 'done')",
                (run, run * 10),
            )
            for stage in ("extract", "load"):
                db.execute(
                    "insert into stages values (?, ?, 5, 0.25, 'done', 'well')",
                    (run, stage),
                )
    for _ in range(3):
        assert publish(gold, exports, record=record).rows in (0, gold_rows(gold))
        query = "select {} from {}pipeline_runs order by run_id desc, stage"
        what = "count(distinct run_id), count(*), min(run_id), max(watermark)"
        with closing(sqlite3.connect(exports / "conversations.db")) as lite:
            published = lite.execute(query.format(what, "")).fetchall()
            newest = lite.execute(query.format("*", "")).fetchone()
        assert published == [(200, 400, 103, 3020)]
        expected = (
            302,
            "then",
            None,
            "daily",
            3020,
            "done",
            "extract",
            5,
            0.25,
            "done",
            "well",
        )
        assert newest == expected


def gold_rows(gold: Path) -> int:
    with duckdb.connect(str(gold), read_only=True) as reader:
        names = reader.execute(
            "select table_name from duckdb_tables() where schema_name = 'marts'"
        ).fetchall()
        counts = [f"(select count(*) from marts.{name})" for (name,) in names]
        row = reader.execute(f"select {' + '.join(counts)}").fetchone()
        assert row
        (images,) = reader.execute("select count(*) from marts.images").fetchall()
        return int(row[0] + images[0])  # their bytes are rows of their own


def test_a_table_without_a_declared_key_is_compared(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    change(gold, "create table marts.agg_new as select 1 as a")
    publish(gold, exports)
    change(gold, "insert into marts.agg_new values (2), (2), (null)")
    publish(gold, exports)
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_of_images_only_the_bytes_of_new_ones_are_read(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    publish(gold, exports)
    publish(gold, exports)
    with duckdb.connect(str(gold)) as writer:
        add_image(writer, "new", b"new bytes", run=2)
        writer.execute("delete from marts.images where image_key = 'img3'")
        # Whoever reads one of these fails.
        writer.execute("update raw.conversations set entry = '?' where extract_run = 1")
    # The image's name and its bytes.
    assert [publish(gold, exports).rows for _ in range(2)] == [2, 0]
    with closing(sqlite3.connect(exports / "conversations.db")) as lite:
        rows = dict(lite.execute("select image_key, data from image_data"))
    assert rows.pop("new") == b"new bytes"
    assert set(rows) == {f"img{n}" for n in range(50) if n != 3}
    assert set(rows.values()) == {b"\x89PNG\x00\xff"}


@pytest.mark.parametrize("seed", range(3))
def test_any_history_of_changes_ends_as_a_full_export(
    gold: Path, exports: Path, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    publish(gold, exports)
    for run in range(2, 8):
        with duckdb.connect(str(gold)) as writer:
            for _ in range(dice.randint(0, 4)):
                dice.choice(STEPS)(writer, dice, run)
        publish(gold, exports)
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def _replace_session(writer: Writer, dice: random.Random, run: int) -> None:
    number = dice.randint(0, 6)
    remove_session(writer, number)
    add_session(writer, number, dice.randint(0, 6), run)


def _lose_session(writer: Writer, dice: random.Random, _run: int) -> None:
    remove_session(writer, dice.randint(0, 6))


def _rewrite_text(writer: Writer, dice: random.Random, run: int) -> None:
    writer.execute(
        "update marts.thread_blocks set text = ?, updated_run = ? where session_id = ?",
        [f"cafe {dice.random()}", run, f"s{dice.randint(0, 6)}"],
    )


def _retitle(writer: Writer, dice: random.Random, _run: int) -> None:
    writer.execute(
        "update marts.dim_sessions set title = ? where session_id = ?",
        [str(dice.random()), f"s{dice.randint(0, 6)}"],
    )


def _add_image(writer: Writer, dice: random.Random, _run: int) -> None:
    add_image(writer, f"img-{dice.random()}", dice.randbytes(9))


def _lose_image(writer: Writer, dice: random.Random, _run: int) -> None:
    writer.execute(
        "delete from marts.images where image_key = ?", [f"img{dice.randint(0, 49)}"]
    )


STEPS: list[Callable[[Writer, random.Random, int], None]] = [
    _replace_session,
    _replace_session,
    _lose_session,
    _rewrite_text,
    _retitle,
    _add_image,
    _lose_image,
]


def test_readers_see_the_state_before_or_after_and_the_log_is_emptied(
    gold: Path, exports: Path
) -> None:
    publish(gold, exports)
    path = exports / "conversations.db"
    real, before = path.resolve(), path.stat().st_ino
    count = "select count(*) from dim_sessions"
    with reading(path) as reader:
        for number in range(3):
            reader.ask("begin")
            assert reader.ask(count) == [[4 - number]]
            change(gold, f"delete from marts.dim_sessions where session_id='s{number}'")
            assert publish(gold, exports).mode == "incremental"
            assert reader.ask(count) == [[4 - number]]
            reader.ask("commit")
            assert reader.ask(count) == [[3 - number]]
        publish(gold, exports)
        assert (path.resolve(), path.stat().st_ino) == (real, before)
        assert real.with_name(f"{real.name}-wal").stat().st_size == 0
    publish(gold, exports)
    assert not real.with_name(f"{real.name}-wal").exists()


def test_a_reader_that_stays_does_not_make_the_log_grow_for_ever(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(served, "LOG_BYTES", 300_000)
    stamped(gold, "one")
    publish(gold, exports)
    path = exports / "conversations.db"
    former = path.resolve()
    log = former.with_name(f"{former.name}-wal")
    text = "select text from thread_blocks where session_id = 's1'"
    with reading(path) as reader:
        reader.ask("begin")
        there = reader.ask(text)
        modes, sizes = [], []
        for run in range(2, 20):
            change(
                gold,
                f"update marts.thread_blocks set updated_run = {run},"
                f" text = repeat('cafe {run} ', 20000) where session_id = 's1'",
            )
            modes.append(publish(gold, exports).mode)
            sizes.append(log.stat().st_size if log.exists() else 0)
            assert reader.ask(text) == there
        assert modes.count("full") == 1
        assert path.resolve() != former
        assert max(sizes) < 2_000_000
        # It stays until its reader is gone: opened now, it lacks what the log holds.
        assert former.exists()
    assert publish(gold, exports).mode == "incremental"
    assert not list(exports.glob(f"{former.name}*"))
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_an_export_of_the_former_layout_gives_way(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    publish(gold, exports)
    path = exports / "conversations.db"
    real = path.resolve()
    with closing(sqlite3.connect(real)) as db:
        db.execute("pragma journal_mode = delete")
    real.replace(path)
    for name in (".conversations.db.spare", ".analytics.duckdb.spare"):
        (exports / name).write_bytes(b"an earlier export")
    with reading(path) as reader:
        count = "select count(*) from dim_sessions"
        assert reader.ask(count) == [[4]]
        change(gold, "delete from marts.dim_sessions where session_id = 's1'")
        assert publish(gold, exports).mode == "full"
        assert reader.ask(count) == [[4]]
    assert path.is_symlink()
    assert not path.readlink().is_absolute()
    assert not list(exports.glob(".*.spare"))
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_a_damaged_page_is_a_new_file(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    stamped(gold, "one")
    publish(gold, exports)
    with closing(sqlite3.connect(exports / "conversations.db")) as db:
        pages = db.execute(
            "select rootpage from sqlite_master where tbl_name like 'thread_%'"
            " and rootpage > 0"
        ).fetchall()
    with (exports / "conversations.db").open("r+b") as file:
        for (page,) in pages:
            file.seek((page - 1) * 16_384)
            file.write(b"\xff" * 16_384)
    moved = "set updated_run = 2 where session_id = 's2'"
    tables = ("dim_sessions", "thread_blocks", "thread_entries")
    change(gold, *(f"update marts.{name} {moved}" for name in tables))
    assert publish(gold, exports).mode == "full"
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


@pytest.mark.parametrize("damage", ["no database", "missing", "dangling"])
def test_what_cannot_be_changed_is_written_anew(
    gold: Path, exports: Path, tmp_path: Path, damage: str
) -> None:
    publish(gold, exports)
    real = (exports / "conversations.db").resolve()
    if damage == "no database":
        real.write_bytes(b"not a database" * 1000)
    else:
        (real if damage == "dangling" else exports / "conversations.db").unlink()
    assert publish(gold, exports).mode == "full"
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")
    assert len(list(exports.glob("conversations*"))) == 2


# Killed at the nth step: a file or folder brought to the disk, a rename, a statement.
KILLED = """
import os, signal, sys
from pathlib import Path
from cclake_publish import atomic, served, sqlite_writer, export
left = int(sys.argv[1])
def counted(function):
    def run(*args, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **named)
    return run
served.sync_path = atomic.sync_path = counted(atomic.sync_path)
served.discard = counted(served.discard)
Path.replace = counted(Path.replace)
sqlite_writer.Transaction.run = counted(sqlite_writer.Transaction.run)
export.publish(Path(sys.argv[2]), Path(sys.argv[3]), full=sys.argv[4] == "full")
"""


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_killed_at_any_step_the_export_is_old_or_new(
    gold: Path, exports: Path, tmp_path: Path, mode: str
) -> None:
    stamped(gold, "one")
    publish(gold, exports)
    old = contents(exports)
    with duckdb.connect(str(gold)) as writer:
        remove_session(writer, 2)
        add_session(writer, 2, entries=5, run=2)
    stamped(gold, "one")
    publish(gold, tmp_path / "fresh")
    new = contents(tmp_path / "fresh")
    states, step = [], 0
    start = tmp_path / "start"
    shutil.copytree(exports, start, symlinks=True)
    while True:
        step += 5
        shutil.rmtree(exports)
        shutil.copytree(start, exports, symlinks=True)
        command = [str(BIN / "python"), "-c", KILLED, str(step)]
        command += [str(gold), str(exports), mode]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        assert done.returncode in (0, -9), done.stderr
        found = contents(exports)
        assert found in (old, new), step
        states.append(found == new)
        publish(gold, exports)
        assert contents(exports) == new
        assert len(list(exports.glob("conversations*"))) == 2
        assert not list(exports.glob(".*.new*"))
        if done.returncode == 0:
            break
    assert states == sorted(states)
    assert len(states) > 4


def test_the_copy_for_duckdb_is_written_when_it_is_asked_for(
    gold: Path, exports: Path
) -> None:
    def copied() -> int:
        path = exports / "analytics.duckdb"
        with duckdb.connect(str(path), read_only=True) as duck:
            found = duck.execute("select count(*) from marts.dim_sessions").fetchall()
            facts = dict(duck.execute("from marts.export_info").fetchall())
        assert facts["rows.dim_sessions"] == str(found[0][0])
        assert facts["export_id"]
        return int(found[0][0])

    for full in (True, False):
        assert publish(gold, exports, full=full).duckdb_bytes == 0
    publish(gold, exports, copy_hours=1)
    change(gold, "delete from marts.dim_sessions where session_id = 's1'")
    publish(gold, exports, copy_hours=1)
    assert copied() == 4
    assert publish(gold, exports, copy=True).mode == "incremental"
    assert copied() == 3
    change(gold, "delete from marts.dim_sessions where session_id = 's2'")
    os.utime(exports / "analytics.duckdb", (0, 0))
    publish(gold, exports)
    assert copied() == 3
    publish(gold, exports, copy_hours=1)
    assert copied() == 2
    change(gold, "delete from marts.dim_sessions where session_id = 's3'")
    publish(gold, exports, full=True)
    assert copied() == 1
    (exports / "analytics.duckdb").unlink()
    assert publish(gold, exports, full=True).duckdb_bytes == 0


def test_another_layout_makes_the_export_anew(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(gold, exports)
    monkeypatch.setattr("cclake_publish.export.layout", lambda: "another")
    assert publish(gold, exports).mode == "full"
    assert publish(gold, exports).mode == "incremental"


def test_a_failed_update_leaves_the_export_and_the_next_one_succeeds(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    publish(gold, exports)
    publish(gold, exports)
    before = contents(exports)
    change(gold, "update marts.agg_session_metrics set total_tokens = 2::hugeint**70")
    with pytest.raises(duckdb.Error):
        publish(gold, exports)
    assert contents(exports) == before
    change(gold, "update marts.agg_session_metrics set total_tokens = 2")
    assert publish(gold, exports).mode == "incremental"
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")
