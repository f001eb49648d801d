import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cclake_publish import generations, update, warming
from cclake_publish.export import publish
from gold_tables import add_image, add_session, make_gold, remove_session

Writer = duckdb.DuckDBPyConnection
NEVER_EQUAL = {"published_at", "export_id"}


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    return make_gold(tmp_path / "analytics.duckdb", sessions=4, entries=3)


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "exports"


def change(gold: Path, *statements: str) -> None:
    with duckdb.connect(str(gold)) as writer:
        for statement in statements:
            writer.execute(statement)


def contents(exports: Path) -> dict[str, list[Any]]:
    """Every row of both files, in an order that does not depend on storage."""
    found: dict[str, list[Any]] = {}
    with closing(sqlite3.connect(exports / "conversations.db")) as lite:
        for (name,) in lite.execute(
            "select name from sqlite_master where type = 'table' and name not like"
            " 'search_fts_%' and name not like 'sqlite_%' order by name"
        ).fetchall():
            rows = lite.execute(f"select * from {name}").fetchall()
            found[f"sqlite.{name}"] = sorted(
                (r for r in rows if r[0] not in NEVER_EQUAL), key=repr
            )
        found["indexes"] = lite.execute(
            "select sql from sqlite_master where type = 'index' and sql is not null"
            " order by name"
        ).fetchall()
        found["hits"] = lite.execute(
            "select rowid from search_fts where search_fts match 'cafe' order by rowid"
        ).fetchall()
        # rank 1: compare the index with the texts that it was made from
        lite.execute(
            "insert into search_fts (search_fts, rank) values ('integrity-check', 1)"
        )
        assert lite.execute("pragma integrity_check").fetchall() == [("ok",)]
    with duckdb.connect(str(exports / "analytics.duckdb"), read_only=True) as duck:
        for (name,) in duck.execute(
            "select table_name from duckdb_tables() order by table_name"
        ).fetchall():
            rows = duck.execute(f"select * from marts.{name}").fetchall()
            found[f"duckdb.{name}"] = sorted(
                (r for r in rows if r[0] not in NEVER_EQUAL), key=repr
            )
    return found


def assert_equals_a_full_export(gold: Path, exports: Path, fresh: Path) -> None:
    assert publish(gold, fresh, full=True).mode == "full"
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
    publish(gold, exports)
    for path in exports.iterdir():
        path.chmod(0o644)  # as an earlier version made them
    publish(gold, exports)
    for name in ("conversations.db", "analytics.duckdb"):
        assert (exports / name).stat().st_mode & 0o777 == 0o600


def test_nothing_new_writes_no_row(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    for _ in range(3):
        assert publish(gold, exports).rows == 0


def test_only_the_rows_of_a_changed_session_are_written(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    publish(gold, exports)
    publish(gold, exports)
    with duckdb.connect(str(gold)) as writer:
        remove_session(writer, 2)
        add_session(writer, 2, entries=5, run=2)
    # 5 entries in 3 tables; the sessions's own row and metrics are as before.
    assert publish(gold, exports).rows == 15
    # The spare export is one publication behind: it gets the same rows.
    assert publish(gold, exports).rows == 15
    assert publish(gold, exports).rows == 0
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


@pytest.mark.parametrize(
    "statement",
    [
        "update marts.dim_sessions set title = 'new' where session_id = 's1'",
        "update marts.dim_sessions set session_id = null where session_id = 's1'",
        "update marts.agg_session_metrics set cost_usd = 7 where session_id = 's1'",
        "update marts.search_documents set text = 'cafe au lait', updated_run = 2"
        " where session_id = 's1'",
        "update marts.search_documents set words = 'd\u200bata', updated_run = 2"
        " where session_id = 's1'",
        "update marts.search_documents set search_id = search_id + 7, updated_run = 2"
        " where session_id = 's3'",
        "delete from marts.thread_entries where session_id = 's1'",
        "delete from marts.search_documents",
        "insert into marts.images select 'new', * exclude (image_key)"
        " from marts.images where image_key = 'img3'",
        "update marts.images set extract_run = 2; update raw.conversations"
        " set extract_run = 2",
        "delete from marts.images where image_key = 'img3'",
        "delete from marts.dim_date",
        "alter table marts.dim_date add column holiday varchar default 'no'",
        "alter table marts.search_documents add column lang varchar",
        "alter table marts.thread_blocks alter column block_no type bigint",
        "drop view marts.image_data; drop table marts.images",
        "drop view marts.image_data",
        "drop table marts.agg_session_metrics",
        "create table marts.agg_new as select 1 as a, 'x' as b",
        "insert into marts.dim_sessions select * from marts.dim_sessions",
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


def stamped(gold: Path, build: str) -> None:
    """Do what dbt does: sessions know their run, and tables name their build."""
    tables = ("search_documents", "thread_blocks", "thread_entries")
    stamps = [f"comment on table marts.{name} is '{build}'" for name in tables]
    add = "alter table marts.dim_sessions add column if not exists updated_run bigint"
    newest = "select max(updated_run) from marts.thread_entries as t"
    newest += " where t.session_id = s.session_id"
    change(
        gold,
        add,
        f"update marts.dim_sessions as s set updated_run = ({newest})",
        *stamps,
    )


def test_of_one_build_only_the_sessions_of_later_runs_are_looked_at(
    gold: Path, exports: Path, tmp_path: Path
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
        "delete from marts.search_documents where session_id = 's3'",
        "delete from marts.dim_sessions where session_id = 's3'",
    )
    # Three entries and documents of s2 and its row; three entries and blocks of s3.
    assert publish(gold, exports).rows == 13
    found = contents(exports)
    for engine in ("sqlite", "duckdb"):
        positions = {(row[0], row[1]) for row in found[f"{engine}.thread_entries"]}
        assert ("s1", 99) not in positions
        assert ("s2", 77) in positions
        blocks = {row[0] for row in found[f"{engine}.thread_blocks"]}
        assert blocks == {"s0", "s1", "s3"}
        documents = {row[1] for row in found[f"{engine}.search_documents"]}
        assert documents == {"s0", "s1", "s2"}


def test_only_new_rows_are_looked_up_before_they_are_written(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[int] = []
    monkeypatch.setattr(
        update, "warm", lambda *given: looked_up.append(warming.warm(*given))
    )
    stamped(gold, "one")
    publish(gold, exports)
    moved = "set updated_run = 2 where session_id = 's2'"
    tables = ("dim_sessions", "search_documents", "thread_blocks", "thread_entries")
    change(gold, *(f"update marts.{name} {moved}" for name in tables))
    for _ in range(3):
        publish(gold, exports)
    # The calls of 3 blocks, in each of the two generations.
    assert looked_up == [3, 3, 0]


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


def test_another_build_of_a_table_is_copied_whole(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    stamped(gold, "one")
    publish(gold, exports)
    change(gold, "update marts.search_documents set text = 'no run tells of this'")
    stamped(gold, "two")
    assert publish(gold, exports).mode == "incremental"
    assert publish(gold, exports).rows == 36  # so is the spare: three tables of 12
    assert publish(gold, exports).rows == 0
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_a_full_publication_leaves_a_spare_so_that_the_next_copies_nothing(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copied: list[Path] = []
    copy = generations.copy_file

    def count(source: Path, target: Path) -> None:
        copied.append(source)
        copy(source, target)

    monkeypatch.setattr(generations, "copy_file", count)
    publish(gold, exports)
    assert len(copied) == 2
    for _ in range(3):
        publish(gold, exports)
    publish(gold, exports, full=True)
    publish(gold, exports)
    assert len(copied) == 2
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
            told = lite.execute(query.format(what, "")).fetchall()
            newest = lite.execute(query.format("*", "")).fetchone()
        with duckdb.connect(str(exports / "analytics.duckdb"), read_only=True) as duck:
            assert (
                duck.execute(query.split(" order")[0].format(what, "marts.")).fetchall()
                == told
            )
            assert duck.execute(query.format("*", "marts.")).fetchone() == newest
        assert told == [(200, 400, 103, 3020)]
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


def test_a_table_without_a_declared_key_is_replaced(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    change(gold, "create table marts.agg_new as select 1 as a")
    publish(gold, exports)
    change(gold, "insert into marts.agg_new values (2), (2), (null)")
    publish(gold, exports)
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_search_can_come_and_go(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    change(gold, "alter table marts.search_documents rename to kept")
    publish(gold, exports)
    with closing(sqlite3.connect(exports / "conversations.db")) as lite:
        assert lite.execute(
            "select count(*) from sqlite_master where name like 'search_fts%'"
        ).fetchone() == (0,)
    change(gold, "alter table marts.kept rename to search_documents")
    publish(gold, exports)
    assert len(contents(exports)["hits"]) == 12


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
    # The image's name and its bytes; the spare export gets them a run later.
    assert [publish(gold, exports).rows for _ in range(3)] == [2, 2, 0]
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
        "update marts.search_documents set text = ?, updated_run = ?"
        " where session_id = ?",
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


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_two_generations_take_turns(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    first = inode(exports / "conversations.db")
    publish(gold, exports)
    second = inode(exports / "conversations.db")
    assert inode(generations.spare(exports).lite) == first
    publish(gold, exports)
    assert inode(exports / "conversations.db") == first
    assert inode(generations.spare(exports).lite) == second


@pytest.fixture
def spare_with_reader(gold: Path, exports: Path) -> Iterator[sqlite3.Connection]:
    publish(gold, exports)
    with closing(sqlite3.connect(exports / "conversations.db")) as reader:
        reader.execute("select count(*) from dim_sessions").fetchone()
        publish(gold, exports)
        yield reader


def test_a_generation_that_somebody_reads_is_never_written(
    gold: Path, exports: Path, spare_with_reader: sqlite3.Connection, tmp_path: Path
) -> None:
    read = inode(generations.spare(exports).lite)
    change(gold, "delete from marts.dim_sessions")
    done = publish(gold, exports)
    assert done.mode == "incremental"
    assert inode(exports / "conversations.db") != read
    count = "select count(*) from dim_sessions"
    assert spare_with_reader.execute(count).fetchone() == (4,)
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_a_spare_that_is_the_current_export_is_never_written(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        publish(gold, exports)
    # As a kill leaves it between the link to the old file and the rename of the new.
    spare, current = generations.spare(exports), generations.current(exports)
    spare.lite.unlink()
    os.link(current.lite, spare.lite)
    held, before = inode(current.lite), current.lite.read_bytes()
    with current.lite.open("rb") as read:
        change(gold, "delete from marts.dim_sessions where session_id = 's1'")
        publish(gold, exports)
        assert inode(current.lite) != held
        assert read.read() == before
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_a_spare_with_a_damaged_page_is_made_anew(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    stamped(gold, "one")
    for _ in range(2):
        publish(gold, exports)
    lite = generations.spare(exports).lite
    with closing(sqlite3.connect(lite)) as db:
        pages = db.execute(
            "select rootpage from sqlite_master where tbl_name like 'thread_%'"
        ).fetchall()
    with lite.open("r+b") as file:
        for (page,) in pages:
            file.seek((page - 1) * 8_192)
            file.write(b"\xff" * 8_192)
    moved = "set updated_run = 2 where session_id = 's2'"
    tables = ("dim_sessions", "search_documents", "thread_blocks", "thread_entries")
    change(gold, *(f"update marts.{name} {moved}" for name in tables))
    assert publish(gold, exports).mode == "full"
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


@pytest.mark.parametrize("broken", ["spare", "current", "both"])
def test_a_broken_generation_is_not_built_upon(
    gold: Path, exports: Path, tmp_path: Path, broken: str
) -> None:
    publish(gold, exports)
    publish(gold, exports)
    pairs = {
        "spare": generations.spare(exports),
        "current": generations.current(exports),
    }
    for name, pair in pairs.items():
        if broken in (name, "both"):
            pair.duck.write_bytes(b"not a database" * 1000)
    mode = publish(gold, exports).mode
    assert mode == ("full" if broken == "both" else "incremental")
    assert_equals_a_full_export(gold, exports, tmp_path / "fresh")


def test_files_of_two_exports_are_not_a_pair(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    publish(gold, exports)
    spare, current = generations.spare(exports), generations.current(exports)
    spare.duck.unlink()
    os.link(current.duck, spare.duck)
    current.duck.unlink()
    assert publish(gold, exports).mode == "full"


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
