"""Write the SQLite export: gold, indexes, full-text search and `export_info`."""

from pathlib import Path

from cclake_publish.columns import declared, expression
from cclake_publish.export_info import TABLES, Info
from cclake_publish.gold import Column, Gold, Table, quote
from cclake_publish.images import write_images
from cclake_publish.indexes import (
    INDEXES,
    PRIMARY_KEYS,
    SEARCH,
    SEARCHED,
    SEARCHED_COLUMNS,
    VIEWS,
    columns_of,
)
from cclake_publish.sqlite_writer import Progress, Transaction, writing

CHUNK = 10_000
SEARCH_MEMORY = 16 << 20


def write_all(gold: Gold, path: Path, info: Info, progress: Progress) -> int:
    """Write the whole export into a new file.

    Args:
        gold: The gold tables.
        path: The file; it must not exist.
        info: The rows besides gold.
        progress: Called with a table's name and a number of rows just written.

    Returns:
        The number of rows.

    Raises:
        Error: SQLite could not write.
    """
    rows = 0
    with writing(path) as file:
        for table in gold.tables:
            create_table(file, table.name, table.in_sqlite)
            rows += _copy_rows(gold, table, file, progress)
        rows += write_images(gold, file, progress)
        for table in gold.tables:
            _create_indexes(file, table)
            if is_searched(table):
                _create_search(file)
        for view, sql in VIEWS.items():
            if gold.has(view):
                file.run(f"create view {quote(view)} as {sql}")
        for table in TABLES:
            create_table(file, table.name, table.columns)
        write_info(info, file)
    return rows


def write_info(info: Info, file: Transaction) -> None:
    """Write the rows of an export besides gold."""
    for table in TABLES:
        file.run(f"delete from {quote(table.name)}")
        for batch in info.rows(table).to_batches():
            file.insert(table.name, batch)


def is_searched(table: Table) -> bool:
    """Return whether full-text search finds the rows of a table."""
    return table.name == SEARCHED and table.has(*SEARCHED_COLUMNS)


def create_table(file: Transaction, name: str, columns: tuple[Column, ...]) -> None:
    """Create one table; its rows keep the order in which they are inserted."""
    key = PRIMARY_KEYS.get(name)
    described = ", ".join(
        f"{quote(column.name)} {declared(column)}"
        + (" PRIMARY KEY" if column.name == key else "")
        for column in columns
    )
    file.run(f"create table {quote(name)} ({described})")


def _copy_rows(gold: Gold, table: Table, file: Transaction, progress: Progress) -> int:
    """Copy all rows of a table, a chunk at a time; return their number."""
    sources = [gold.source(table.name)]
    if is_searched(table):
        gold.number(table)
        # In the order of the key, SQLite fills each page before it begins another.
        sources = [
            f"{gold.numbered(table, piece)} order by search_id"
            for piece in gold.ranges(table, "search_id")
        ]
    return sum(
        insert(gold, table.name, table.in_sqlite, source, file, progress)
        for source in sources
    )


def insert(
    gold: Gold,
    name: str,
    columns: tuple[Column, ...],
    source: str,
    file: Transaction,
    progress: Progress = lambda _table, _rows: None,
) -> int:
    """Insert what DuckDB has in `source` into a table; return their number."""
    values = ", ".join(
        f"{expression(column)} as {quote(column.name)}" for column in columns
    )
    found = gold.connection.cursor().execute(f"select {values} from {source}")
    inserted = 0
    for batch in found.to_arrow_reader(CHUNK):
        file.insert(name, batch)
        progress(name, batch.num_rows)
        inserted += batch.num_rows
    return inserted


def _create_indexes(file: Transaction, table: Table) -> None:
    """Create the declared indexes of a table whose columns it has."""
    for name, index in INDEXES:
        columns = columns_of(index)
        if name == table.name and table.has(*columns):
            called = "__".join(("ix", name, *columns))
            file.run(f"create index {quote(called)} on {quote(name)} ({index})")


def _create_search(file: Transaction) -> None:
    """Create the full-text index over the texts of the blocks."""
    for statement in SEARCH:
        file.run(statement)
    # Words gathered in memory before they are written: fewer merges.
    file.run(
        "insert into search_fts (search_fts, rank)"
        f" values ('hashsize', {SEARCH_MEMORY})"
    )
    file.run("insert into search_fts (search_fts) values ('rebuild')")
