"""Bringing an earlier export up to date: only what has changed is written."""

from pathlib import Path

from cclake_publish import changes, duckdb_export, sqlite_export
from cclake_publish.bulk import Bulk, Progress, bulk
from cclake_publish.changes import Changed, Moved
from cclake_publish.columns import expression
from cclake_publish.gold import Gold, Table, quote
from cclake_publish.images import update_images
from cclake_publish.indexes import BY_SESSION
from cclake_publish.sqlite_export import SEARCHED
from cclake_publish.warming import warm


def update_all(gold: Gold, path: Path, progress: Progress) -> int:
    """Bring both files of an export up to date; the DuckDB one is attached.

    Args:
        gold: The gold tables, with the DuckDB export attached.
        path: The SQLite export.
        progress: Called with a table's name and a number of rows just written.

    Returns:
        The number of rows written to SQLite.
    """
    before = duckdb_export.columns(gold)
    found = _all_changes(gold, before)
    warm(gold, path, found)
    with bulk(path) as file:
        rows = update_images(gold, file, progress)
        for name in set(before) - {table.name for table in gold.tables}:
            _drop(gold, file, name)
        for table, changed in found:
            if changed is None:
                rows += _replace_whole(gold, table, file, progress)
            elif changed.count:
                rows += _replace_units(gold, table, changed, file, progress)
        sqlite_export.write_told(gold, file)
    return rows


def _all_changes(
    gold: Gold, before: dict[str, list[tuple[str, str]]]
) -> list[tuple[Table, Changed | None]]:
    """The changed units of each table; None where it has to be replaced whole."""
    same = {t.name for t in gold.tables if before.get(t.name) == _described(t)}
    moved = None
    if changes.SESSIONS in same:
        moved = changes.list_moved(gold, duckdb_export.name_of(changes.SESSIONS))
    builds = duckdb_export.builds(gold) if moved else {}
    return [
        (t, _changed(gold, t, builds, moved) if t.name in same else None)
        for t in gold.tables
    ]


def _described(table: Table) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in table.columns]


def _changed(
    gold: Gold, table: Table, builds: dict[str, str], moved: Moved | None
) -> Changed | None:
    there = duckdb_export.name_of(table.name)
    by_run = table.name in BY_SESSION and table.has("session_id", changes.RUN)
    if by_run and table.build and moved:
        if builds.get(table.name) != table.build:
            return None
        return changes.find_moved(gold, table, there, moved)
    return changes.find(gold, table, there)


def _drop(gold: Gold, file: Bulk, name: str) -> None:
    duckdb_export.drop_table(gold, name)
    if name == SEARCHED:
        sqlite_export.drop_search(file)
    file.run(f"drop table if exists {quote(name)}")


def _replace_whole(gold: Gold, table: Table, file: Bulk, progress: Progress) -> int:
    if table.name == SEARCHED:
        sqlite_export.drop_search(file)
    file.run(f"drop table if exists {quote(table.name)}")
    sqlite_export.create_table(file, table)
    rows = sqlite_export.copy_rows(gold, table, file, progress)
    sqlite_export.create_indexes(file, table)
    if table.name == SEARCHED:
        sqlite_export.create_search(file, (table,))
    duckdb_export.copy_table(gold, table)
    return rows


def _replace_units(
    gold: Gold,
    table: Table,
    changed: Changed,
    file: Bulk,
    progress: Progress,
) -> int:
    _list_units(gold, table, changed, file)
    target = quote(table.name)
    # The list is the outer loop, so that each unit is found by its index.
    gone = f"select t.rowid from temp.gone as g cross join {target} as t on " + (
        " and ".join(f"t.{quote(c)} is g.{quote(c)}" for c in changed.unit)
    )
    searched = table.name == SEARCHED and _has_search(file)
    if searched:
        file.run(
            "create temp table said as select search_id, coalesce(words, text) as text"
            f" from {target} where rowid in ({gone})"
        )
    file.run(f"delete from {target} where rowid in ({gone})")
    rows = sqlite_export.copy_rows(gold, table, file, progress, changed)
    if searched:
        _update_search(file, gone)
    file.run("drop table temp.gone")
    duckdb_export.update_table(gold, table, changed)
    return rows


def _list_units(gold: Gold, table: Table, changed: Changed, file: Bulk) -> None:
    columns = [c for name in changed.unit for c in table.columns if c.name == name]
    values = ", ".join(f"{expression(c)} as {quote(c.name)}" for c in columns)
    units = gold.connection.execute(f"select {values} from {changed.name}")
    file.keep("gone", units.to_arrow_reader())


def _has_search(file: Bulk) -> bool:
    query = "select 1 from sqlite_master where name = 'search_fts'"
    return bool(file.run(query))


def _update_search(file: Bulk, now: str) -> None:
    """Bring the full-text index in line; most texts of a session stay as they were.

    An index with external content has to be told the texts that leave it.
    """
    file.run(
        "insert into search_fts (search_fts, rowid, text)"
        " select 'delete', s.search_id, s.text from temp.said as s where not exists"
        " (select 1 from search_texts as d"
        " where d.search_id = s.search_id and d.text = s.text)"
    )
    file.run("create unique index temp.said_id on said (search_id)")
    file.run(
        "insert into search_fts (rowid, text) select d.search_id, d.text"
        f" from search_texts as d where d.search_id in ({now}) and not exists"
        " (select 1 from temp.said as s"
        " where s.search_id = d.search_id and s.text = d.text)"
    )
    file.run("drop table temp.said")
