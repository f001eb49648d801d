"""The SQLite export: every gold table, indexes, full-text search and `export_info`."""

from pathlib import Path

from cclake_publish.bulk import Bulk, Progress, bulk
from cclake_publish.changes import Changed
from cclake_publish.columns import declared, expression
from cclake_publish.duckdb_export import name_of
from cclake_publish.gold import Gold, Table, quote
from cclake_publish.images import write_images
from cclake_publish.indexes import INDEXES, PRIMARY_KEYS, SEARCH, columns_of
from cclake_publish.told import TABLES

CHUNK = 10_000
SEARCH_MEMORY = 16 << 20
SEARCHED = "search_documents"


def write_all(gold: Gold, path: Path, progress: Progress) -> int:
    """Write the whole export into a new file.

    Args:
        gold: The gold tables, with the DuckDB export attached.
        path: The file; it must not exist.
        progress: Called with a table's name and a number of rows just written.

    Returns:
        The number of rows.

    Raises:
        Error: SQLite could not write.
    """
    rows = 0
    with bulk(path) as file:
        for table in gold.tables:
            create_table(file, table)
            rows += copy_rows(gold, table, file, progress)
        rows += write_images(gold, file, progress)
        for table in gold.tables:
            create_indexes(file, table)
        create_search(file, gold.tables)
        write_told(gold, file)
    return rows


def write_told(gold: Gold, file: Bulk) -> None:
    """Copy what stands in the DuckDB export besides gold."""
    for table in TABLES:
        file.run(f"drop table if exists {quote(table.name)}")
        create_table(file, table)
        insert(gold, table, name_of(table.name), file)


def create_table(file: Bulk, table: Table) -> None:
    """Create one table; its rows keep the order in which they are inserted."""
    key = PRIMARY_KEYS.get(table.name)
    columns = ", ".join(
        f"{quote(column.name)} {declared(column)}"
        + (" PRIMARY KEY" if column.name == key else "")
        for column in table.columns
    )
    file.run(f"create table {quote(table.name)} ({columns})")


def copy_rows(
    gold: Gold,
    table: Table,
    file: Bulk,
    progress: Progress,
    changed: Changed | None = None,
) -> int:
    """Copy rows of a table, a chunk at a time.

    Args:
        gold: The gold tables.
        table: The table.
        file: The export.
        progress: Called after each chunk.
        changed: Only rows of these units; None: all rows.

    Returns:
        The number of rows.
    """
    source, key = gold.source(table.name), PRIMARY_KEYS.get(table.name)
    if changed:
        chosen = f"semi join {changed.name} as c on {changed.in_gold('t', 'c')}"
        pieces = [f"(select t.* from {source} as t {chosen})"]
    elif key and table.has(key):
        # In the order of the key SQLite fills each page before it begins another.
        ranges = gold.ranges(table, key)
        pieces = [f"{source} where {part} order by {quote(key)}" for part in ranges]
    else:
        pieces = [source]
    return sum(insert(gold, table, piece, file, progress) for piece in pieces)


def insert(
    gold: Gold,
    table: Table,
    source: str,
    file: Bulk,
    progress: Progress = lambda _table, _rows: None,
) -> int:
    """Insert what DuckDB has in `source`, with the table's columns; gives the rows."""
    values = ", ".join(
        f"{expression(column)} as {quote(column.name)}" for column in table.columns
    )
    found = gold.connection.cursor().execute(f"select {values} from {source}")
    inserted = 0
    for batch in found.to_arrow_reader(CHUNK):
        file.insert(table.name, batch)
        progress(table.name, batch.num_rows)
        inserted += batch.num_rows
    return inserted


def create_indexes(file: Bulk, table: Table) -> None:
    """Create the declared indexes of a table whose columns it has."""
    for name, index in INDEXES:
        columns = columns_of(index)
        if name == table.name and table.has(*columns):
            file.run(
                f"create index {quote('__'.join(('ix', name, *columns)))}"
                f" on {quote(name)} ({', '.join(map(quote, columns))})"
            )


def create_search(file: Bulk, tables: tuple[Table, ...]) -> None:
    """Create the full-text index over the search documents, if there are any."""
    if not any(
        t.name == SEARCHED and t.has("search_id", "text", "words") for t in tables
    ):
        return
    for statement in SEARCH:
        file.run(statement)
    # Words gathered in memory before they are written: fewer merges.
    file.run(
        "insert into search_fts (search_fts, rank)"
        f" values ('hashsize', {SEARCH_MEMORY})"
    )
    file.run("insert into search_fts (search_fts) values ('rebuild')")


def drop_search(file: Bulk) -> None:
    """Drop the full-text index."""
    file.run("drop table if exists search_fts")
    file.run("drop view if exists search_texts")
