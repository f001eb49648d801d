"""Define the schema `raw` of the warehouse, which load writes and dbt reads."""

from dataclasses import dataclass

import duckdb

# name and type of each bronze column, in the order of their field ids from 1.
COLUMNS = {
    "doc_id": "VARCHAR NOT NULL",
    "part": "INTEGER NOT NULL",
    "record_kind": "VARCHAR",
    "host": "VARCHAR",
    "buffer": "VARCHAR",
    "seq": "BIGINT",
    "extract_run": "BIGINT",
    "project_id": "VARCHAR",
    "source_file": "VARCHAR",
    "file_key": "VARCHAR",
    "gen": "INTEGER",
    "off": "BIGINT",
    "len": "BIGINT",
    "session_id": "VARCHAR",
    "type": "VARCHAR",
    "subtype": "VARCHAR",
    "uuid": "VARCHAR",
    "parent_uuid": "VARCHAR",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "ingested_at": "TIMESTAMP WITH TIME ZONE",
    "message_id": "VARCHAR",
    "request_id": "VARCHAR",
    "model": "VARCHAR",
    "is_sidechain": "BOOLEAN",
    "agent_id": "VARCHAR",
    "version": "VARCHAR",
    "cwd": "VARCHAR",
    "git_branch": "VARCHAR",
    "error": "VARCHAR",
    "entry": "VARCHAR USING COMPRESSION zstd",
    "raw": "BLOB",
}

CREATE_LOADS = """
create table if not exists raw.loads (
    load_id bigint not null,
    extract_run bigint not null,
    snapshot_id bigint,
    table_uuid varchar,
    rows bigint not null,
    removed bigint not null,
    mode varchar not null,
    loaded_at timestamp with time zone not null,
    watermarks varchar
)
"""


def create(db: duckdb.DuckDBPyConnection, empty: bool = False) -> None:
    """Create `raw.conversations` if it is missing; with `empty`, recreate it."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    verb = "create or replace table" if empty else "create table if not exists"
    db.execute(f"{verb} raw.conversations ({columns})")


def prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Create the schema and its tables if they are missing."""
    db.execute("create schema if not exists raw")
    create(db)
    db.execute(CREATE_LOADS)
    # A file of an earlier version lacks it.
    db.execute("alter table raw.loads add column if not exists watermarks varchar")
    present = {row[0] for row in db.execute("describe raw.conversations").fetchall()}
    for name, kind in COLUMNS.items():
        if name not in present:
            kind = kind.removesuffix(" NOT NULL")
            db.execute(f'alter table raw.conversations add column "{name}" {kind}')


def is_complete(db: duckdb.DuckDBPyConnection) -> bool:
    """Return whether `raw.conversations` has every column of this version."""
    present = {row[0] for row in db.execute("describe raw.conversations").fetchall()}
    return present >= COLUMNS.keys()


@dataclass(frozen=True)
class Position:
    """The state that a load brought the table to."""

    run: int = 0
    snapshot_id: int | None = None
    table_uuid: str | None = None
    load_id: int = 0
    born: str | None = None
    removal: int = 0


def position(db: duckdb.DuckDBPyConnection) -> Position:
    """Return the state after the newest load."""
    found = db.execute(
        "select extract_run, snapshot_id, table_uuid, load_id,"
        " (select strftime(min(loaded_at) at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
        " from raw.loads),"
        " (select coalesce(max(load_id) filter (where removed > 0), 0) from raw.loads)"
        " from raw.loads order by load_id desc limit 1"
    ).fetchone()
    return Position(*found) if found else Position()


def runs(
    db: duckdb.DuckDBPyConnection, relation: str = "raw.conversations"
) -> dict[int, tuple[int, int]]:
    """Return the number of rows of each extraction run, and a checksum of their keys.

    Two simultaneous rebuilds can give one run number to different rows.
    """
    found = db.execute(
        "select extract_run, count(*), sum(hash(doc_id, part)::hugeint)"
        f" from {relation} group by extract_run"
    ).fetchall()
    return {run: (rows, checksum) for run, rows, checksum in found}


def count(db: duckdb.DuckDBPyConnection) -> int:
    """Return the number of rows in `raw.conversations`."""
    found = db.execute("select count(*) from raw.conversations").fetchone()
    return int(found[0]) if found else 0
