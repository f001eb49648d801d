"""A small DuckDB file with gold tables, as dbt leaves one, for tests of its readers."""

import base64
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

TABLES = {
    "dim_sessions": "session_id varchar, host varchar, project_key varchar,"
    " title varchar, started_at timestamptz, ended_at timestamptz,"
    " parent_session_id varchar, models varchar, updated_run bigint",
    "agg_session_metrics": "session_id varchar, prompts bigint, total_tokens hugeint,"
    " cost_usd decimal(18, 8), updated_run bigint",
    "thread_entries": "session_id varchar, position bigint, entry_key varchar,"
    " owner_session_id varchar, is_copy boolean, agent_id varchar, said_at timestamptz, updated_run bigint",
    "fct_messages": "entry_key varchar, session_id varchar, project_key varchar,"
    " host varchar, message_kind varchar, said_at timestamptz, updated_run bigint",
    "thread_blocks": "search_id bigint, session_id varchar, entry_key varchar,"
    " block_no integer, block_kind varchar, text varchar, tool_use_id varchar,"
    " tool_name varchar, tool_input varchar, tags varchar[], image_key varchar,"
    " words varchar, project_key varchar, result_tool varchar, error_kind varchar,"
    " updated_run bigint",
    "images": "image_key varchar, media_type varchar, bytes bigint, doc_id varchar,"
    " part integer, place bigint, extract_run bigint",
    "dim_date": "date_day date, is_weekend boolean",
}


def make_gold(path: Path, sessions: int = 3, entries: int = 4) -> Path:
    """Write a DuckDB file with `sessions` sessions of `entries` entries each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_gold(path.stem, sessions, entries))
    return path


@functools.cache
def _gold(name: str, sessions: int, entries: int) -> bytes:
    """The bytes of such a file: its statements take most of the time of a test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.duckdb"
        with duckdb.connect(str(path)) as gold:
            gold.execute("begin")
            _fill(gold, sessions, entries)
            gold.execute("commit")
        return path.read_bytes()


def _fill(gold: duckdb.DuckDBPyConnection, sessions: int, entries: int) -> None:
    for schema in ("raw", "marts"):
        gold.execute(f"create schema {schema}")
    gold.execute(
        "create table raw.loads (load_id bigint, extract_run bigint,"
        " snapshot_id bigint, rows bigint, loaded_at timestamptz, watermarks varchar)"
    )
    gold.execute("insert into raw.loads values (1, 1, 1, 1, now(), '{\"b1\":7}')")
    gold.execute(
        "create table raw.conversations (doc_id varchar, part integer,"
        " extract_run bigint, entry varchar)"
    )
    for table, columns in TABLES.items():
        gold.execute(f"create table marts.{table} ({columns})")
    for number in range(sessions):
        add_session(gold, number, entries)
    # Bound to the name of the file, as dbt's views are.
    name = gold.execute("select current_database()").fetchall()[0][0]
    gold.execute(
        "create view marts.image_data as"
        " select image_key, from_base64(entry) as data"
        f" from {name}.marts.images join {name}.raw.conversations"
        " using (extract_run, doc_id, part)"
    )
    gold.execute(
        "create view marts.search_documents as"
        " select b.search_id, b.session_id, b.entry_key, b.block_no, m.said_at,"
        f" b.text, b.words from {name}.marts.thread_blocks as b"
        f" join {name}.marts.fct_messages as m using (session_id, entry_key)"
    )
    for number in range(50):
        add_image(gold, f"img{number}", b"\x89PNG\x00\xff")
    insert(gold, "dim_date", [("2026-01-02", False), ("2026-01-03", True)])


def remove_session(gold: duckdb.DuckDBPyConnection, number: int) -> None:
    """Remove all rows of one session."""
    for table, columns in TABLES.items():
        if "session_id" in columns:
            gold.execute(f"delete from marts.{table} where session_id = 's{number}'")


def add_session(
    gold: duckdb.DuckDBPyConnection, number: int, entries: int, run: int = 1
) -> None:
    """Add one session with its thread and its search documents."""
    session, at = f"s{number}", f"2026-01-02 03:04:{number % 60:02d}.567+00"
    project = f"p{number % 2}"
    insert(
        gold,
        "dim_sessions",
        [(session, "testhost", project, f"Title {number}", at, at, None, "opus", run)],
    )
    insert(gold, "agg_session_metrics", [(session, 1, 10 * number, "0.12345678", run)])
    keys = [
        (f"{session}-{entry}", number * 100_000 + entry) for entry in range(entries)
    ]
    insert(
        gold,
        "thread_entries",
        [
            (session, i, key, session, False, None, at, run)
            for i, (key, _) in enumerate(keys, 1)
        ],
    )
    insert(
        gold,
        "thread_blocks",
        [
            (
                n,
                session,
                key,
                0,
                "text",
                f"Café word{n} in {key}",
                key,
                None,
                None,
                ["a", "b"],
                None,
                None,
                project,
                None,
                None,
                run,
            )
            for key, n in keys
        ],
    )
    insert(
        gold,
        "fct_messages",
        [(key, session, project, "testhost", "prompt", at, run) for key, _ in keys],
    )


def add_image(
    gold: duckdb.DuckDBPyConnection, key: str, data: bytes, run: int = 1
) -> None:
    """Add an image, alone in its line."""
    line = (f"doc-{key}", 0, run, base64.b64encode(data).decode())
    gold.execute("insert into raw.conversations values (?, ?, ?, ?)", line)
    insert(gold, "images", [(key, "image/png", len(data), f"doc-{key}", 0, 1, run)])


def insert(
    gold: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[object]]
) -> None:
    """Insert rows into a gold table."""
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        gold.executemany(f"insert into marts.{table} values ({marks})", rows)
