import json
import os
import resource
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from cclake_common.failure import INTERRUPTED, TRY_LATER, Failure
from cclake_common.settings import half_of_memory
from cclake_publish import export as export_module
from cclake_publish import gold as gold_module
from cclake_publish import images
from cclake_publish.atomic import publisher_lock
from cclake_publish.export import publish
from cclake_publish.sqlite_writer import Transaction
from gold_tables import add_image, make_gold
from harness import BIN, PATIENCE, wait_for
from sqlite_reader import reading


def query(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as export:
        return export.execute(sql, values).fetchall()


def test_every_gold_table_is_in_both_exports(gold: Path, exports: Path) -> None:
    done = publish(gold, exports, copy=True)
    assert done.tables["thread_entries"] == 12
    with duckdb.connect(str(exports / "analytics.duckdb"), read_only=True) as copy:
        for table, rows in done.tables.items():
            (in_sqlite,) = query(
                exports / "conversations.db", f"select count(*) from {table}"
            )
            in_duckdb = copy.execute(f"select count(*) from marts.{table}").fetchone()
            assert in_sqlite == in_duckdb == (rows,)
        schemas = copy.execute(
            "select distinct schema_name from duckdb_tables()"
        ).fetchall()
    assert schemas == [("marts",)]
    # The bytes of images are in SQLite only.
    assert done.rows == sum(done.tables.values()) + done.tables["images"]


def test_values_have_the_types_that_the_contract_names(
    gold: Path, exports: Path
) -> None:
    publish(gold, exports)
    lite = exports / "conversations.db"
    assert query(lite, "select started_at from dim_sessions where session_id='s1'") == [
        ("2026-01-02T03:04:01.567Z",)
    ]
    assert query(
        lite,
        "select cost_usd, typeof(cost_usd), total_tokens, typeof(total_tokens)"
        " from agg_session_metrics where session_id = 's2'",
    ) == [(0.12345678, "real", 20, "integer")]
    assert query(lite, "select distinct is_copy from thread_entries") == [(0,)]
    assert query(lite, "select distinct tags from thread_blocks") == [('["a","b"]',)]
    assert query(lite, "select data from image_data limit 1") == [(b"\x89PNG\x00\xff",)]
    assert query(lite, "select date_day, is_weekend from dim_date") == [
        ("2026-01-02", 0),
        ("2026-01-03", 1),
    ]


def test_a_sum_that_sqlite_cannot_hold_is_refused(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    before = (exports / "conversations.db").read_bytes()
    with duckdb.connect(str(gold)) as writer:
        writer.execute(
            "update marts.agg_session_metrics set total_tokens = 2::hugeint**70"
        )
    with pytest.raises(duckdb.Error):
        publish(gold, exports)
    assert (exports / "conversations.db").read_bytes() == before


def test_timestamps_do_not_depend_on_the_time_zone(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    run_publish(gold, exports)
    assert query(
        exports / "conversations.db", "select min(started_at) from dim_sessions"
    ) == [("2026-01-02T03:04:00.567Z",)]


def test_words_are_found_whatever_their_case_and_accents(
    gold: Path, exports: Path
) -> None:
    publish(gold, exports)
    found = query(
        exports / "conversations.db",
        "select d.session_id, snippet(search_fts, 0, '[', ']', '…', 4)"
        " from search_fts join search_documents d on d.search_id = search_fts.rowid"
        " where search_fts match ?",
        "CAFE word100002",
    )
    assert found == [("s1", "[Café] [word100002] in s1…")]


def test_every_join_of_a_thread_uses_an_index(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    plan = query(
        exports / "conversations.db",
        "explain query plan select * from thread_entries e"
        " join thread_blocks b"
        " on b.session_id = e.owner_session_id and b.entry_key = e.entry_key"
        " left join images i using (image_key)"
        " left join image_data d using (image_key)"
        " where e.session_id = 's1' order by e.position",
    )
    steps = [row[3] for row in plan]
    assert all("USING INDEX" in step for step in steps), steps


def test_the_export_says_what_it_is(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    info = dict(query(exports / "conversations.db", "select * from export_info"))
    assert info["schema_version"] == "2"
    assert info["extract_run"] == "1"
    assert json.loads(info["watermarks"]) == {"b1": 7}
    assert info["rows.thread_blocks"] == "12"
    assert info["published_at"].endswith("Z")


def test_an_export_without_a_known_load_is_made_all_the_same(
    gold: Path, exports: Path
) -> None:
    with duckdb.connect(str(gold)) as writer:
        writer.execute("drop table raw.loads")
    assert publish(gold, exports).extract_run is None
    lite = exports / "conversations.db"
    assert query(lite, "select value from export_info where name = 'watermarks'") == [
        ("",)
    ]


def test_the_sqlite_file_is_sound_and_stands_alone(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    lite = exports / "conversations.db"
    assert query(lite, "pragma integrity_check") == [("ok",)]
    assert query(lite, "pragma journal_mode") == [("wal",)]
    assert query(lite, "pragma page_size") == [(16384,)]
    publish(gold, exports, full=True)
    names = {entry.name for entry in exports.iterdir()}
    real = lite.readlink().name
    assert names == {lite.name, real, ".publish.lock"}


def test_a_reader_keeps_its_file_while_a_new_one_appears(
    gold: Path, exports: Path
) -> None:
    publish(gold, exports)
    path = exports / "conversations.db"
    with reading(path) as reader:
        count = "select count(*) from dim_sessions"
        assert reader.ask(count) == [[3]]
        make_gold(gold, sessions=5)
        publish(gold, exports, full=True)
        assert reader.ask(count) == [[3]]
    assert query(path, count) == [(5,)]


def test_a_copy_made_while_it_is_written_is_whole(
    gold: Path, exports: Path, tmp_path: Path
) -> None:
    publish(gold, exports)
    path, copy = exports / "conversations.db", tmp_path / "copy.db"
    with reading(path) as reader:
        reader.ask("begin")
        reader.ask("select * from dim_sessions")
        make_gold(gold, sessions=5)
        publish(gold, exports)  # stays in the log, which the reader holds
        query(path, f"vacuum into '{copy}'")
    assert query(copy, "select count(*) from dim_sessions") == [(5,)]
    assert query(copy, "select count(*) from search_fts where search_fts match 'cafe'")


def test_views_among_the_marts_are_published_as_tables(
    gold: Path, exports: Path
) -> None:
    with duckdb.connect(str(gold)) as writer:
        writer.execute(
            "create view marts.dim_models as"
            " select distinct models as model from analytics.marts.dim_sessions"
        )
    publish(gold, exports)
    assert query(exports / "conversations.db", "select * from dim_models") == [
        ("opus",)
    ]


def test_what_a_dead_publisher_left_is_removed(gold: Path, exports: Path) -> None:
    exports.mkdir()
    for name in (".conversations.db.new", ".conversations.db.new-journal"):
        (exports / name).write_bytes(b"half an export")
    publish(gold, exports)
    assert not list(exports.glob(".*.new*"))
    assert query(exports / "conversations.db", "select count(*) from images") == [(50,)]


@pytest.mark.fault
def test_a_killed_publisher_leaves_the_last_export(gold: Path, exports: Path) -> None:
    publish(gold, exports)
    before = (exports / "conversations.db").read_bytes()
    with duckdb.connect(str(gold)) as writer:
        writer.execute(
            "create table marts.many as select md5(range::varchar) as name,"
            " repeat(md5(range::varchar), 20) as text from range(500000)"
        )
    process = subprocess.Popen(
        [BIN / "publish", "--full"], env=environment(gold, exports)
    )
    new = exports / ".conversations.db.new"
    wait_for(lambda: new.exists() and new.stat().st_size > 5_000_000, "it writes")
    process.kill()
    process.wait(PATIENCE)
    assert (exports / "conversations.db").read_bytes() == before
    publish(gold, exports)
    assert query(exports / "conversations.db", "select count(*) from many") == [
        (500_000,)
    ]


def test_a_missing_or_empty_database_is_one_clear_line(
    tmp_path: Path, exports: Path
) -> None:
    done = run_publish(tmp_path / "absent.duckdb", exports, check=False)
    assert done.returncode == 1
    assert "absent.duckdb does not exist" in done.stderr
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    done = run_publish(tmp_path / "empty.duckdb", exports, check=False)
    assert "holds no gold tables" in done.stderr
    assert "Traceback" not in done.stderr


def test_gold_that_dbt_has_not_finished_is_not_published(
    gold: Path, exports: Path
) -> None:
    publish(gold, exports)
    with duckdb.connect(str(gold)) as writer:
        writer.execute("create schema intermediate")
        writer.execute(
            "create table intermediate.build_state as"
            " select false as is_whole, true as was_whole"
        )
    identity = "select value from export_info where name = 'export_id'"
    before = query(exports / "conversations.db", identity)
    with pytest.raises(Failure, match="gold is incomplete") as failed:
        publish(gold, exports)
    assert "pipeline run" in failed.value.hint
    assert query(exports / "conversations.db", identity) == before
    with duckdb.connect(str(gold)) as writer:
        writer.execute("update intermediate.build_state set is_whole = true")
    publish(gold, exports)
    assert query(exports / "conversations.db", identity) != before


def test_images_are_read_a_few_megabytes_at_a_time(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(str(gold)) as writer:
        add_image(writer, "large", bytes(5000))
        writer.execute("update marts.images set doc_id = 'doc-img7' where part = 0 and"
                       " image_key in ('img8', 'img9')")  # fmt: skip
    monkeypatch.setattr(images, "BATCH_BYTES", 60)
    batches = []
    publish(gold, exports, progress=lambda name, rows: batches.append((name, rows)))
    seen = [rows for table, rows in batches if table == "image_data"]
    # Images of 6 bytes; three share a line, which weighs as much as they all.
    assert (sum(seen), max(seen), seen.count(1)) == (51, 10, 1)
    rows = dict(query(exports / "conversations.db", "select * from image_data"))
    assert rows.pop("large") == bytes(5000)
    assert set(rows.values()) == {b"\x89PNG\x00\xff"}


def test_many_images_need_little_memory(gold: Path, exports: Path) -> None:
    """200 MB of images with 150 MB for DuckDB, and more is not asked for."""
    with duckdb.connect(str(gold)) as writer:
        writer.execute("delete from marts.images")
        writer.execute(
            "insert into raw.conversations select 'big' || range, 0, 2,"
            " repeat(to_base64(unhex(md5(range::varchar)) || 'ab'::blob), 114_000)"
            " from range(100)"
        )
        writer.execute(
            "insert into marts.images select doc_id, 'image/png', 2_052_000, doc_id, 0,"
            " 1, 2 from raw.conversations where extract_run = 2"
        )
    code = (
        "import re, sys; from pathlib import Path;"
        "from cclake_publish import export;"
        "export.half_of_memory = lambda: '1MB'; export.MEMORY = '150MB';"
        "export.publish(Path(sys.argv[1]), Path(sys.argv[2]));"
        "status = Path('/proc/self/status').read_text();"
        "print(re.search(r'VmHWM:\\s*(\\d+)', status)[1])"
    )
    done = subprocess.run(
        [BIN / "python", "-c", code, gold, exports], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    total = "select count(*), sum(length(data)) from image_data"
    assert query(exports / "conversations.db", total) == [(100, 100 * 2_052_000)]
    assert int(done.stdout) // 1024 < 550


def test_texts_are_written_in_the_order_of_their_key(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    select = "select * from marts.thread_blocks order by search_id"
    with duckdb.connect(str(gold), read_only=True) as reader:
        expected = [row[0] for row in reader.execute(select).fetchall()]
    monkeypatch.setattr(gold_module, "RANGE_ROWS", 2)
    inserted: dict[Transaction, list[int]] = {}  # by the file: table, index
    insert = Transaction.insert

    def record(file: Transaction, table: str, rows: pa.RecordBatch) -> None:
        if table == "thread_blocks":
            inserted.setdefault(file, []).extend(rows.column("search_id").to_pylist())
        insert(file, table, rows)

    monkeypatch.setattr(Transaction, "insert", record)
    publish(gold, exports)
    assert list(inserted.values()) == [expected, expected]
    assert len(expected) > 6


@pytest.mark.fault
def test_a_full_disk_is_one_clear_line_and_the_last_export_stays(
    gold: Path, exports: Path
) -> None:
    publish(gold, exports)
    before = (exports / "conversations.db").stat()
    # The kernel refuses every byte beyond this, as a full disk does.
    limit = (64 * 1024, 64 * 1024)
    done = subprocess.run(
        [BIN / "publish", "--full", "--duckdb", gold, "--export-dir", exports],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("publish: cannot write the exports: ")
    assert "Check free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert (exports / "conversations.db").stat() == before
    assert not list(exports.glob(".*.new*"))


@pytest.mark.fault
@pytest.mark.parametrize("part", ["the log", "the file"])
def test_a_full_disk_leaves_the_changed_export_readable_and_whole(
    gold: Path, exports: Path, part: str
) -> None:
    publish(gold, exports)
    lite = exports / "conversations.db"
    length = "select sum(length(text)) from thread_blocks"
    before = query(lite, length)
    with duckdb.connect(str(gold)) as writer:
        writer.execute(
            "update marts.thread_blocks set text = (select string_agg(md5(range::varchar"
            " || entry_key), ' ') from range(100))"
        )
    # What is written goes to the log first, which grows with it, and then to the file.
    limit = 64 * 1024 if part == "the log" else lite.stat().st_size
    done = subprocess.run(
        [BIN / "publish", "--duckdb", gold, "--export-dir", exports],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    log = Path(f"{lite.resolve()}-wal")
    if part == "the log":
        assert done.returncode == 1
        assert done.stderr.startswith("publish: cannot write the exports: ")
        assert query(lite, length) == before
        assert query(lite, "select count(*) from search_fts('whole')") == [(0,)]
    else:
        assert done.returncode == 0, done.stderr
        assert log.stat().st_size > 0  # the file has no room for it yet
        assert query(lite, length) == [(12 * (100 * 33 - 1),)]
    assert query(lite, "pragma integrity_check") == [("ok",)]
    publish(gold, exports)
    assert query(lite, length) == [(12 * (100 * 33 - 1),)]
    assert query(lite, "pragma integrity_check") == [("ok",)]
    assert log.stat().st_size == 0


def test_a_folder_that_cannot_be_made_is_one_line(gold: Path) -> None:
    done = subprocess.run(
        [BIN / "publish", "--duckdb", gold, "--export-dir", "/proc/exports"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("publish: cannot write the exports: ")
    assert "Traceback" not in done.stderr


def test_an_interrupted_publication_leaves_the_last_export(
    gold: Path, exports: Path
) -> None:
    publish(gold, exports)
    before = (exports / "conversations.db").stat()
    with duckdb.connect(str(gold)) as writer:
        writer.execute(
            "create table marts.many as select md5(range::varchar) as name,"
            " repeat(md5(range::varchar), 20) as text from range(400000)"
        )
    new = exports / ".conversations.db.new"
    running = subprocess.Popen(
        [BIN / "publish", "--full", "--duckdb", gold, "--export-dir", exports],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: new.exists() and new.stat().st_size > 10_000_000)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=PATIENCE)
    assert (running.returncode, said) == (INTERRUPTED, "")
    assert (exports / "conversations.db").stat() == before
    assert not list(exports.glob(".*.new*"))


def test_temporary_files_go_when_a_publication_is_interrupted(exports: Path) -> None:
    with pytest.raises(KeyboardInterrupt), publisher_lock(exports) as scratch:
        scratch.mkdir()
        raise KeyboardInterrupt
    assert not scratch.exists()


def test_where_memory_is_short_more_of_it_is_taken(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(str(gold)) as writer:
        writer.execute(
            "create table marts.long_texts as"
            " select range as number, repeat(md5(range::varchar), 2000) as text"
            " from range(3000)"
        )
    taken = []
    opened = gold_module.open_gold

    def open_gold(path: Path, scratch: Path, memory: str) -> Any:
        taken.append(memory)
        return opened(path, scratch, memory)

    monkeypatch.setattr(export_module, "MEMORY", "20MB")
    monkeypatch.setattr(export_module, "open_gold", open_gold)
    assert publish(gold, exports).tables["long_texts"] == 3000
    assert taken[0] == "20MB"
    assert taken[1:] == [half_of_memory()]


def test_a_locked_database_is_a_reason_to_try_later(
    gold: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = subprocess.Popen(
        [
            BIN / "python",
            "-c",
            f"import duckdb; c = duckdb.connect({str(gold)!r}); print(1, flush=True);"
            " input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout
    writer.stdout.readline()
    monkeypatch.setattr(gold_module, "LOCK_PATIENCE_S", 0.3)
    with pytest.raises(Failure, match="locked by another process") as refused:
        publish(gold, exports)
    writer.communicate(b"\n", timeout=PATIENCE)
    assert refused.value.code == TRY_LATER


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_a_table_can_be_had_as_a_file(gold: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / f"sessions.{form}"
    done = subprocess.run(
        [BIN / "publish", "table", "dim_sessions", "--out", out, "--json"],
        env=environment(gold, tmp_path),
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["rows"] == 3
    assert duckdb.sql(f"select count(*) from '{out}'").fetchone() == (3,)


@pytest.mark.parametrize("out", ["-", "/dev/stdout"])
def test_a_table_goes_to_standard_output(gold: Path, tmp_path: Path, out: str) -> None:
    command: list[str | Path] = [BIN / "publish", "table", "dim_sessions", "--out", out]
    env = environment(gold, tmp_path)
    printed = subprocess.run(command, env=env, check=True, capture_output=True)
    assert printed.stdout.startswith(b"session_id,")
    assert printed.stdout.count(b"\n") == 4
    binary = [*command, "--format", "parquet"]
    printed = subprocess.run(binary, env=env, check=True, capture_output=True)
    assert printed.stdout[:4] == printed.stdout[-4:] == b"PAR1"
    refused = subprocess.run([*command, "--json"], env=env, capture_output=True)
    assert refused.returncode == 2
    assert not list(tmp_path.glob("*dev*"))


def test_a_name_that_does_not_say_a_format_is_refused(
    gold: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [BIN / "publish", "table", "dim_sessions", "--out", tmp_path / "x.txt"],
        env=environment(gold, tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "End it with .parquet, .csv, .jsonl, .ndjson" in done.stderr


def test_only_files_are_replaced_by_a_table(gold: Path, tmp_path: Path) -> None:
    link, file, pipe = tmp_path / "link.csv", tmp_path / "file.csv", tmp_path / "pipe"
    file.write_text("old")
    link.symlink_to(file)
    os.mkfifo(pipe)
    command: list[str | Path] = [
        BIN / "publish",
        "table",
        "dim_sessions",
        "--format",
        "csv",
        "--out",
    ]
    env = environment(gold, tmp_path)
    subprocess.run([*command, link], env=env, check=True)
    assert link.is_symlink()
    assert file.read_text().startswith("session_id")
    refused = subprocess.run([*command, pipe], env=env, capture_output=True, text=True)
    assert refused.returncode == 1
    assert f"{pipe} is not a file" in refused.stderr


def test_an_unknown_table_names_the_known_ones(gold: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    done = subprocess.run(
        [BIN / "publish", "table", "dim_nothing", "--out", out],
        env=environment(gold, tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "dim_sessions" in done.stderr
    assert not out.exists()


def test_the_command_prints_one_json_line(gold: Path, exports: Path) -> None:
    done = run_publish(gold, exports, "--json")
    printed = json.loads(done.stdout)
    tables = printed["tables"]
    assert printed["rows"] == sum(tables.values()) + tables["images"] > 50
    assert printed["sqlite_bytes"] == (exports / "conversations.db").stat().st_size
    assert done.stderr == ""


def environment(gold: Path, exports: Path) -> dict[str, str]:
    return os.environ | {"DUCKDB_PATH": str(gold), "EXPORT_DIR": str(exports)}


def run_publish(
    gold: Path, exports: Path, *options: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "publish", *options],
        env=environment(gold, exports),
        check=check,
        capture_output=True,
        text=True,
    )
