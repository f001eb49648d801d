"""Write the SQLite export: gold, indexes, full-text search and `export_info`."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cclake_publish.export_info import TABLES, Info
from cclake_publish.gold import Gold, Table, quote
from cclake_publish.images import write_images
from cclake_publish.indexes import INDEXES, VIEWS, columns_of
from cclake_publish.rows import create_table, in_order, insert, is_searched
from cclake_publish.search_index import building
from cclake_publish.sqlite_writer import Progress, Transaction, writing


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
    with ExitStack() as stack:
        store_index: Callable[[Transaction], None] | None = None
        for table in filter(is_searched, gold.tables):
            gold.number(table)
            beside = path.with_name(f"{path.name}.fts")
            store_index = stack.enter_context(building(gold, table, beside))
        file = stack.enter_context(writing(path))
        for table in gold.tables:
            create_table(file, table.name, table.in_sqlite)
            for source in in_order(gold, table):
                rows += insert(
                    gold, table.name, table.in_sqlite, source, file, progress
                )
        rows += write_images(gold, file, progress)
        for table in gold.tables:
            _create_indexes(file, table)
        if store_index:
            store_index(file)
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


def _create_indexes(file: Transaction, table: Table) -> None:
    """Create the declared indexes of a table whose columns it has."""
    for name, index in INDEXES:
        columns = columns_of(index)
        if name == table.name and table.has(*columns):
            called = "__".join(("ix", name, *columns))
            file.run(f"create index {quote(called)} on {quote(name)} ({index})")
