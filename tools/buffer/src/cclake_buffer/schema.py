"""The tables of the buffer, and the settings of every connection to it."""

import os
import sqlite3
import time
import uuid
from pathlib import Path

from cclake_common import sqlite
from cclake_common.failure import TRY_LATER, Failure

SCHEMA_VERSION = 1
PAGE_SIZE = 16384
COUNTERS = ("lines_read", "bytes_read", "delivered", "duplicates", "dead")

# Some distributions turn secure_delete on, which makes deletes three times as slow.
# On macOS only fullfsync waits for the disk; elsewhere it does nothing.
# A WAL checkpoint every 256 pages (4 MB) and the size limit keep the WAL small.
PRAGMAS = """
pragma synchronous = full;
pragma fullfsync = on;
pragma secure_delete = off;
pragma wal_autocheckpoint = 256;
pragma journal_size_limit = 67108864;
pragma busy_timeout = 30000;
"""

TABLES = """
create table queue (
    seq integer primary key autoincrement,
    host text not null, path text not null, file text not null,
    gen integer not null, off integer not null, len integer not null,
    kind text not null, at real not null, body blob not null
);
create table files (
    file text primary key, host text not null, root text, path text not null,
    gen integer not null, off integer not null, size integer, state text,
    checkpoint text not null, at real not null,
    delivered integer not null default 0,
    seq integer not null default 0
);
create index files_undelivered on files (seq) where delivered = 0;
create table dead_letters (
    id integer primary key, seq integer not null,
    host text not null, path text not null, file text not null,
    gen integer not null, off integer not null, len integer not null,
    kind text not null, reason text not null, code integer,
    attempts integer not null, at real not null, body blob not null
);
create table generations (file text primary key, base integer not null)
    without rowid;
create table counters (name text primary key, value integer not null) without rowid;
create table meta (name text primary key, value) without rowid;
"""

PENDING_ENTRIES = """
select seq as id, host, path as file_path, file, gen, off as position, len, kind,
    datetime(at, 'unixepoch') as created_at, body as content, 0 as synced
from queue
"""
FILE_POSITIONS = """
select path as file_path, off as position, size, gen, state, host, file,
    datetime(at, 'unixepoch') as updated_at
from files
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the buffer for reading and writing; transactions are explicit.

    Raises:
        sqlite3.Error: The file is damaged, or not a database.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(PRAGMAS)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_readonly(path: Path) -> sqlite3.Connection | None:
    """Open the buffer for reading only; return None if there is none yet."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    return sqlite.connect_readonly(path, wait_s=30)


def create(path: Path) -> sqlite3.Connection:
    """Open the buffer; create it if there is none.

    A new file is renamed into place once it is complete. The caller holds the setup
    lock.

    Raises:
        Failure: A newer cclake created it, or its folder can't be written.
        sqlite3.Error: The file is damaged, or not a database.
    """
    if not path.exists() or path.stat().st_size == 0:
        try:
            _create_file(path)
        except OSError as error:
            raise Failure(
                f"cannot write the buffer {path}: {error.strerror}",
                "Name another place with --sqlite-path or SQLITE_PATH.",
            ) from error
    connection = connect(path)
    _check_version(connection, path)
    return connection


def _create_file(path: Path) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    # Conversations are private: only the user may read the file, from the start.
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        _create_tables(connection)
    finally:
        connection.close()
    new.rename(path)


def _create_tables(connection: sqlite3.Connection) -> None:
    """Set the file's pragmas, which must precede the first table, and create all."""
    connection.execute(f"pragma page_size = {PAGE_SIZE}")
    connection.execute("pragma auto_vacuum = incremental")
    connection.execute("pragma journal_mode = wal")
    connection.execute("begin immediate")
    for statement in TABLES.split(";"):
        connection.execute(statement)
    connection.executemany(
        "insert into counters values (?, 0)", [(name,) for name in COUNTERS]
    )
    connection.executemany(
        "insert into meta values (?, ?)",
        [
            ("schema_version", SCHEMA_VERSION),
            ("buffer_id", uuid.uuid4().hex),
            ("created_at", time.time()),
        ],
    )
    connection.execute(f"create view pending_entries as {PENDING_ENTRIES}")
    connection.execute(f"create view file_positions as {FILE_POSITIONS}")
    connection.execute("commit")


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    row = connection.execute("select value from meta where name = 'schema_version'")
    version = int(row.fetchone()[0])
    if version > SCHEMA_VERSION:
        raise Failure(
            f"{path} has schema version {version}; this version of `buffer` supports "
            f"{SCHEMA_VERSION}",
            "Update cclake, or name another buffer with SQLITE_PATH.",
            TRY_LATER,
        )
