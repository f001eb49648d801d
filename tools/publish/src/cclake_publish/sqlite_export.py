"""The SQLite export: every gold table, indexes, full-text search and `export_info`."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cclake_publish import runs
from cclake_publish.changes import Changed
from cclake_publish.columns import declared, expression
from cclake_publish.gold import Gold, Table, quote
from cclake_publish.indexes import INDEXES, ROWID_KEYS, columns_of

CHUNK = 5_000
PAGE_SIZE = 8_192
SEARCH_MEMORY = 16 << 20
SEARCHED = "search_documents"

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Told:
    """What stands in an export besides gold.

    Attributes:
        info: The rows of `export_info`.
        runs: The rows of `pipeline_runs`.
    """

    info: dict[str, str]
    runs: runs.Rows


def write_all(gold: Gold, path: Path, told: Told, progress: Progress) -> int:
    """Write the whole export into a new file.

    Args:
        gold: The gold tables.
        path: The file; it must not exist.
        told: What stands in it besides gold.
        progress: Called with a table's name and a number of rows just written.

    Returns:
        The number of rows.
    """
    rows = 0
    with closing(bulk_connection(path)) as export:
        for table in gold.tables:
            create_table(export, table)
            rows += copy_rows(gold, table, export, progress)
        for table in gold.tables:
            create_indexes(export, table)
        create_search(export, gold.tables)
        write_told(export, told)
        finish(export)
    return rows


def write_told(export: sqlite3.Connection, told: Told) -> None:
    """Write what stands in an export besides gold."""
    write_info(export, told.info)
    runs.write_sqlite(export, told.runs)


def bulk_connection(path: Path) -> sqlite3.Connection:
    """A connection for writing a file that nobody else sees yet."""
    export = sqlite3.connect(path, isolation_level=None)
    for pragma in (
        f"page_size = {PAGE_SIZE}",
        "journal_mode = off",
        "synchronous = off",
        "locking_mode = exclusive",
        "cache_size = -65536",
    ):
        export.execute(f"pragma {pragma}").fetchall()
    export.execute("begin")
    return export


def create_table(export: sqlite3.Connection, table: Table) -> None:
    """Create one table; its rows keep the order in which they are inserted."""
    key = ROWID_KEYS.get(table.name)
    columns = ", ".join(
        f"{quote(column.name)} "
        + ("INTEGER PRIMARY KEY" if column.name == key else declared(column))
        for column in table.columns
    )
    export.execute(f"create table {quote(table.name)} ({columns})")


def copy_rows(
    gold: Gold,
    table: Table,
    export: sqlite3.Connection,
    progress: Progress,
    changed: Changed | None = None,
) -> int:
    """Copy rows of a table, a chunk at a time.

    Args:
        gold: The gold tables.
        table: The table.
        export: The export.
        progress: Called after each chunk.
        changed: Only rows of these units; None: all rows.

    Returns:
        The number of rows.
    """
    source = f"select * from {gold.source(table.name)} as t"
    if changed:
        source += f" semi join {changed.name} as c on {changed.matches('t', 'c')}"
    select = ", ".join(expression(column) for column in table.columns)
    rows = gold.connection.cursor().execute(f"select {select} from ({source})")
    marks = ", ".join("?" * len(table.columns))
    insert = f"insert into {quote(table.name)} values ({marks})"
    copied = 0
    while chunk := rows.fetchmany(CHUNK):
        export.executemany(insert, chunk)
        progress(table.name, len(chunk))
        copied += len(chunk)
    return copied


def create_indexes(export: sqlite3.Connection, table: Table) -> None:
    """Create the declared indexes of a table whose columns it has."""
    for name, index in INDEXES:
        columns = columns_of(index)
        if name == table.name and table.has(*columns):
            export.execute(
                f"create index {quote('__'.join(('ix', name, *columns)))}"
                f" on {quote(name)} ({', '.join(map(quote, columns))})"
            )


def create_search(export: sqlite3.Connection, tables: tuple[Table, ...]) -> None:
    """Create the full-text index over the search documents, if there are any."""
    if not any(t.name == SEARCHED and t.has("search_id", "text") for t in tables):
        return
    export.execute(
        f'create virtual table search_fts using fts5(text, content="{SEARCHED}",'
        " content_rowid=search_id, tokenize='unicode61 remove_diacritics 2')"
    )
    # Words gathered in memory before they are written: fewer merges.
    tune = "insert into search_fts (search_fts, rank) values ('hashsize', ?)"
    export.execute(tune, (SEARCH_MEMORY,))
    export.execute("insert into search_fts (search_fts) values ('rebuild')")


def write_info(export: sqlite3.Connection, info: dict[str, str]) -> None:
    """Write the table `export_info` anew."""
    export.execute("drop table if exists export_info")
    export.execute("create table export_info (name TEXT PRIMARY KEY, value TEXT)")
    export.executemany("insert into export_info values (?, ?)", info.items())


def finish(export: sqlite3.Connection) -> None:
    """Commit, gather the planner's statistics and leave an ordinary file behind."""
    export.execute("commit")
    export.execute("pragma analysis_limit = 1000")
    export.execute("analyze")
    export.execute("pragma journal_mode = delete").fetchall()
