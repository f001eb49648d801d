"""Copy rows of gold into a table of SQLite, a chunk at a time."""

from collections.abc import Iterator

import pyarrow as pa

from cclake_publish.columns import declared, expression
from cclake_publish.gold import Column, Gold, Table, quote
from cclake_publish.indexes import PRIMARY_KEYS, SEARCHED, SEARCHED_COLUMNS
from cclake_publish.sqlite_writer import Progress, Transaction

CHUNK = 10_000


def create_table(file: Transaction, name: str, columns: tuple[Column, ...]) -> None:
    """Create one table; its rows keep the order in which they are inserted."""
    key = PRIMARY_KEYS.get(name)
    described = ", ".join(
        f"{quote(column.name)} {declared(column)}"
        + (" PRIMARY KEY" if column.name == key else "")
        for column in columns
    )
    file.run(f"create table {quote(name)} ({described})")


def is_searched(table: Table) -> bool:
    """Return whether full-text search finds the rows of a table."""
    return table.name == SEARCHED and table.has(*SEARCHED_COLUMNS)


def in_order(gold: Gold, table: Table) -> list[str]:
    """Return what to select all rows of a table from, piece by piece.

    Blocks come in the order of their key, for which they must be numbered: so SQLite
    fills each page before it begins another.
    """
    if not is_searched(table):
        return [gold.source(table.name)]
    return [
        f"{gold.numbered(table, piece)} order by search_id"
        for piece in gold.ranges(table, "search_id")
    ]


def insert(
    gold: Gold,
    name: str,
    columns: tuple[Column, ...],
    source: str,
    file: Transaction,
    progress: Progress = lambda _table, _rows: None,
) -> int:
    """Insert what DuckDB has in `source` into a table; return their number."""
    inserted = 0
    for batch in batches(gold, columns, source):
        file.insert(name, batch)
        progress(name, batch.num_rows)
        inserted += batch.num_rows
    return inserted


def batches(
    gold: Gold, columns: tuple[Column, ...], source: str
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `source`, with values as SQLite stores them."""
    values = ", ".join(
        f"{expression(column)} as {quote(column.name)}" for column in columns
    )
    found = gold.connection.cursor().execute(f"select {values} from {source}")
    yield from found.to_arrow_reader(CHUNK)
