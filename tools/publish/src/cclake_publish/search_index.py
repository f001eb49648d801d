"""Build the full-text index in a file of its own, while the tables are written.

SQLite inserts with one thread, and the index takes as long as all tables together. So
a second thread builds it, and what FTS5 has stored is then copied into the export.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cclake_publish.gold import Gold, Table, literal, quote
from cclake_publish.indexes import SEARCH, SEARCHED, SEARCHED_COLUMNS
from cclake_publish.rows import batches, create_table, in_order
from cclake_publish.sqlite_writer import Transaction, opened

MEMORY = 16 << 20
"""Bytes of words that FTS5 gathers before it writes them: fewer merges."""
STORED = ("data", "idx", "docsize", "config")
"""The tables in which FTS5 keeps an index, by the ends of their names."""


@contextmanager
def building(
    gold: Gold, table: Table, path: Path
) -> Iterator[Callable[[Transaction], None]]:
    """Build the index over a table in another thread.

    Args:
        gold: The gold tables; the blocks are numbered.
        table: The table with the texts.
        path: A file for the index, which the caller deletes; it must not exist.

    Yields:
        A function that waits for the index and stores it in an export, which has the
        table.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        built = thread.submit(_build, gold, table, path, stop)
        try:
            yield lambda file: _copy(built, path, file)
        finally:
            stop.set()


def _build(gold: Gold, table: Table, path: Path, stop: threading.Event) -> None:
    """Index the texts of one chunk of rows after the other; keep no rows."""
    columns = tuple(one for one in table.in_sqlite if one.name in SEARCHED_COLUMNS)
    with opened(path) as file:
        file.run("begin")
        create_table(file, SEARCHED, columns)
        for statement in SEARCH:
            file.run(statement)
        file.run(
            f"insert into search_fts (search_fts, rank) values ('hashsize', {MEMORY})"
        )
        for source in in_order(gold, table):
            for batch in batches(gold, columns, source):
                if stop.is_set():
                    return
                file.insert(SEARCHED, batch)
                file.run(
                    "insert into search_fts (rowid, text, marks) select search_id,"
                    " text, marks from search_texts order by search_id"
                )
                file.run(f"delete from {quote(SEARCHED)}")
        file.run("commit")


def _copy(built: Future[None], path: Path, file: Transaction) -> None:
    built.result()
    for statement in SEARCH:
        file.run(statement)
    file.run(f"attach {literal(path)} as built")
    for name in STORED:
        file.run(f"delete from search_fts_{name}")
        file.run(f"insert into search_fts_{name} select * from built.search_fts_{name}")
