"""Bringing an earlier export up to date: only what has changed is written."""

import sqlite3
from contextlib import closing
from pathlib import Path

from cclake_publish import changes, duckdb_export, sqlite_export
from cclake_publish.changes import Changed
from cclake_publish.columns import expression
from cclake_publish.gold import Gold, Table, quote
from cclake_publish.indexes import BY_SESSION
from cclake_publish.sqlite_export import SEARCHED, Progress, Told


def update_all(gold: Gold, path: Path, told: Told, progress: Progress) -> int:
    """Bring both files of an export up to date; the DuckDB one is attached.

    Args:
        gold: The gold tables, with the DuckDB export attached.
        path: The SQLite export.
        told: What stands in it besides gold.
        progress: Called with a table's name and a number of rows just written.

    Returns:
        The number of rows written to SQLite.
    """
    before = duckdb_export.columns(gold)
    builds = _moved_sessions(gold, before)
    rows = 0
    with closing(sqlite_export.bulk_connection(path)) as export:
        for name in set(before) - {table.name for table in gold.tables}:
            _drop(gold, export, name)
        for table in gold.tables:
            changed = None
            if before.get(table.name) == _described(table):
                changed = _changed(gold, table, builds)
            if changed is None:
                rows += _replace_whole(gold, table, export, progress)
            elif changed.count:
                rows += _replace_units(gold, table, changed, export, progress)
        sqlite_export.write_told(export, told)
        sqlite_export.finish(export)
    return rows


def _described(table: Table) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in table.columns]


def _moved_sessions(
    gold: Gold, before: dict[str, list[tuple[str, str]]]
) -> dict[str, str]:
    """The builds of the export's tables, where gold tells which sessions moved."""
    name = changes.SESSIONS
    if not any(
        t.name == name and before.get(name) == _described(t) for t in gold.tables
    ):
        return {}
    if not changes.list_moved(gold, duckdb_export.name_of(name)):
        return {}
    return duckdb_export.builds(gold)


def _changed(gold: Gold, table: Table, builds: dict[str, str]) -> Changed | None:
    """The changed units; None where the table has to be replaced whole."""
    there = duckdb_export.name_of(table.name)
    by_run = table.name in BY_SESSION and table.has("session_id", changes.RUN)
    if by_run and table.build and builds:
        if builds.get(table.name) != table.build:
            return None
        return changes.find_moved(gold, table, there)
    return changes.find(gold, table, there)


def _drop(gold: Gold, export: sqlite3.Connection, name: str) -> None:
    duckdb_export.drop_table(gold, name)
    if name == SEARCHED:
        export.execute("drop table if exists search_fts")
    export.execute(f"drop table if exists {quote(name)}")


def _replace_whole(
    gold: Gold, table: Table, export: sqlite3.Connection, progress: Progress
) -> int:
    if table.name == SEARCHED:
        export.execute("drop table if exists search_fts")
    export.execute(f"drop table if exists {quote(table.name)}")
    sqlite_export.create_table(export, table)
    rows = sqlite_export.copy_rows(gold, table, export, progress)
    sqlite_export.create_indexes(export, table)
    if table.name == SEARCHED:
        sqlite_export.create_search(export, (table,))
    duckdb_export.copy_table(gold, table)
    return rows


def _replace_units(
    gold: Gold,
    table: Table,
    changed: Changed,
    export: sqlite3.Connection,
    progress: Progress,
) -> int:
    _list_units(gold, table, changed, export)
    target = quote(table.name)
    # The list is the outer loop, so that each unit is found by its index.
    gone = f"select t.rowid from temp.gone as g cross join {target} as t on " + (
        " and ".join(f"t.{quote(c)} is g.{quote(c)}" for c in changed.unit)
    )
    searched = table.name == SEARCHED and _has_search(export)
    if searched:
        export.execute(
            "create temp table said as select search_id, text"
            f" from {target} where rowid in ({gone})"
        )
    export.execute(f"delete from {target} where rowid in ({gone})")
    rows = sqlite_export.copy_rows(gold, table, export, progress, changed)
    if searched:
        _update_search(export, gone)
    export.execute("drop table temp.gone")
    duckdb_export.update_table(gold, table, changed)
    return rows


def _list_units(
    gold: Gold, table: Table, changed: Changed, export: sqlite3.Connection
) -> None:
    columns = [c for name in changed.unit for c in table.columns if c.name == name]
    values = ", ".join(map(expression, columns))
    units = gold.connection.execute(f"select {values} from {changed.name}").fetchall()
    names = ", ".join(map(quote, changed.unit))
    export.execute(f"create temp table gone ({names})")
    marks = ", ".join("?" * len(changed.unit))
    export.executemany(f"insert into temp.gone values ({marks})", units)


def _has_search(export: sqlite3.Connection) -> bool:
    query = "select 1 from sqlite_master where name = 'search_fts'"
    return export.execute(query).fetchone() is not None


def _update_search(export: sqlite3.Connection, now: str) -> None:
    """Bring the full-text index in line; most texts of a session stay as they were.

    An index with external content has to be told the texts that leave it.
    """
    export.execute(
        "insert into search_fts (search_fts, rowid, text)"
        " select 'delete', s.search_id, s.text from temp.said as s where not exists"
        f" (select 1 from {SEARCHED} as d"
        " where d.search_id = s.search_id and d.text = s.text)"
    )
    export.execute("create unique index temp.said_id on said (search_id)")
    export.execute(
        "insert into search_fts (rowid, text) select d.search_id, d.text"
        f" from {SEARCHED} as d where d.rowid in ({now}) and not exists"
        " (select 1 from temp.said as s"
        " where s.search_id = d.search_id and s.text = d.text)"
    )
    export.execute("drop table temp.said")
