"""Bring the served export up to date: only rows that differ are written.

All changes are one transaction: readers see the export before or after it.
"""

from dataclasses import dataclass

from cclake_publish import sqlite_export
from cclake_publish.columns import expression
from cclake_publish.export_info import Info
from cclake_publish.gold import Gold, Table, literal, quote
from cclake_publish.images import NAMES, update_images
from cclake_publish.indexes import BY_SESSION, SEARCHED
from cclake_publish.rows import is_searched
from cclake_publish.sqlite_writer import Progress, Transaction

RUN = "updated_run"
SESSIONS = "dim_sessions"
# When more rows than this have to be compared, and more than a part of the table, a
# new file costs less than changing the old one.
MANY, PART = 50_000, 3
MOVED = 'memory.main."moved"'
# A block keeps its number if that is at most this far above its number in gold.
NEAR = 1 << 14
KEY = 4  # columns by which rows are matched before they are compared


@dataclass(frozen=True)
class Moved:
    """The changes since an export.

    Attributes:
        whole: The tables that have to be compared as a whole; for the others, the
            table `MOVED` in memory lists the sessions (`name`, `session_id`).
        rows: How many rows of gold have to be compared.
    """

    whole: frozenset[str]
    rows: int


def find(gold: Gold, known: dict[str, str], gone: list[str]) -> Moved | None:
    """Find what has changed since an export.

    Args:
        gold: The gold tables.
        known: `export_info` of the export.
        gone: Sessions of the export that gold no longer has.

    Returns:
        None if so much has changed that a new file costs less.
    """
    run = gold.connection.execute
    run(f"create or replace table {MOVED} (name varchar, session_id varchar)")
    whole = {t.name for t in gold.tables if not _by_session(t, known)}
    whole -= {
        table
        for table, digest in gold.digests.items()
        if known.get(f"digest.{table}") == digest
    }
    rows = sum(table.rows for table in gold.tables if table.name in whole)
    for table in gold.tables:
        if _by_session(table, known):
            run(f"insert into {MOVED} {_moved(gold, table, known)}")
            own = literal(table.name)
            for one in gone:
                run(f"insert into {MOVED} values ({own}, {literal(one)})")
            found = run(f"select count(*) from {_in_gold(gold, table)}").fetchone()
            rows += int(found[0]) if found else 0
    if rows > MANY and rows > sum(table.rows for table in gold.tables) // PART:
        return None
    return Moved(frozenset(whole), rows)


def _by_session(table: Table, known: dict[str, str]) -> bool:
    """Return whether the changed sessions of a table are known by their runs alone."""
    names = (table.name, SESSIONS)
    runs = all(known.get(f"run.{name}") for name in names)
    return table.name in BY_SESSION and bool(table.build) and runs


def _moved(gold: Gold, table: Table, known: dict[str, str]) -> str:
    """Return SQL for the sessions of later runs than those of an export.

    The runs of `dim_sessions` count as well, since a session may have lost all its rows
    in this table.
    """
    columns = f"select {literal(table.name)} as name, session_id"
    later = [
        f"{columns} from {gold.source(name)} where {RUN} > {int(known[f'run.{name}'])}"
        for name in (table.name, SESSIONS)
    ]
    return " union ".join(later)


def _in_gold(gold: Gold, table: Table) -> str:
    """Return SQL for the rows of the changed sessions of a table.

    DuckDB passes the sessions on to the scan only where they are compared with `=`, and
    does not read parts of the table whose rows are all older than these sessions.
    """
    source = gold.source(table.name)
    listed = f"(select session_id from {MOVED} where name = {literal(table.name)})"
    oldest = gold.first_run(listed)
    recent = "" if oldest is None else f" where t.{RUN} >= {oldest}"
    return (
        f"(select t.* from {source} as t semi join {listed} as m"
        f" on t.session_id = m.session_id{recent} union all"
        f" select t.* from {source} as t where t.session_id is null"
        f" and exists (select 1 from {listed} as m where m.session_id is null))"
    )


def update_all(
    gold: Gold, moved: Moved, info: Info, file: Transaction, progress: Progress
) -> int:
    """Write what has changed.

    Args:
        gold: The gold tables.
        moved: The result of `find`.
        info: The rows besides gold.
        file: The export, in a transaction.
        progress: Called with a table's name and a number of rows just written.

    Returns:
        The number of rows written.
    """
    rows = 0
    if NAMES in moved.whole:
        rows += update_images(gold, file, progress)
    for table in gold.tables:
        if table.name in moved.whole:
            written = _update(gold, table, gold.source(table.name), "", file)
        elif table.name in gold.digests:
            continue
        else:
            written = _update_sessions(gold, table, file)
        progress(table.name, written)
        rows += written
    sqlite_export.write_info(info, file)
    return rows


def _update_sessions(gold: Gold, table: Table, file: Transaction) -> int:
    listed = (
        f"select distinct session_id from {MOVED} where name = {literal(table.name)}"
    )
    file.keep("moved", gold.connection.execute(listed).to_arrow_reader())
    rows = 0
    if file.run("select 1 from temp.moved limit 1"):
        of = "from temp.moved as m cross join {} as t on t.session_id is m.session_id"
        rows = _update(gold, table, _in_gold(gold, table), of, file)
    file.run("drop table temp.moved")
    return rows


def _update(gold: Gold, table: Table, source: str, of: str, file: Transaction) -> int:
    """Make rows of a table those that gold has in `source`.

    Args:
        gold: The gold tables.
        table: The table.
        source: SQL of the rows in gold.
        of: SQL that gives the same part of the export's table as `t`; empty: all.
        file: The export.
    """
    target = quote(table.name)
    there = of.format(target) if of else f"from {target} as t"
    columns = table.in_sqlite
    names = [column.name for column in columns]
    values = ", ".join(f"{expression(c)} as {quote(c.name)}" for c in columns)
    found = gold.connection.execute(f"select {values} from {source}")
    file.keep("new", found.to_arrow_reader())
    if is_searched(table):
        _number(file)
    file.run(f"create index temp.new_key on new ({', '.join(map(quote, names[:KEY]))})")
    same = " and ".join(f"n.{quote(name)} is t.{quote(name)}" for name in names)
    file.run(
        "create temp table same as select t.rowid as there, n.rowid as here"
        f" {there} cross join temp.new as n on {same}"
    )
    file.run(
        f"create temp table gone as select t.rowid as there {there}"
        f" {'where' if not of else 'and'} t.rowid not in"
        " (select s.there from temp.same as s)"
    )
    _delete(file, table, "temp.gone")
    rows = _insert(file, table, "rowid not in (select s.here from temp.same as s)")
    # Rows that are equal in all columns match each other twice: then replace all rows.
    if file.run(f"select count(*) {there}") != file.run("select count(*) from new"):
        file.run("delete from temp.gone")
        file.run(f"insert into temp.gone select t.rowid {there}")
        _delete(file, table, "temp.gone")
        rows = _insert(file, table, "true")
    for name in ("new", "same", "gone"):
        file.run(f"drop table temp.{name}")
    return rows


def _delete(file: Transaction, table: Table, gone: str) -> None:
    chosen = f"in (select g.there from {gone} as g)"
    if is_searched(table):
        # An index with external content needs the old texts to remove them.
        file.run(
            "insert into search_fts (search_fts, rowid, text, marks) select 'delete',"
            f" search_id, text, marks from search_texts where search_id {chosen}"
        )
    file.run(f"delete from {quote(table.name)} where rowid {chosen}")


def _insert(file: Transaction, table: Table, condition: str) -> int:
    names = ", ".join(quote(column.name) for column in table.in_sqlite)
    target = quote(table.name)
    file.run(
        f"insert into {target} ({names}) select {names} from temp.new where {condition}"
    )
    ((rows,),) = file.run(f"select count(*) from temp.new where {condition}")
    if is_searched(table):
        file.run(
            "insert into search_fts (rowid, text, marks) select search_id, text, marks"
            " from search_texts where search_id in"
            f" (select search_id from temp.new where {condition})"
        )
    return int(rows)


def _number(file: Transaction) -> None:
    """Give each block a unique number, if possible the one that it had before."""
    same = "o.session_id is n.session_id and o.entry_key is n.entry_key"
    same += " and o.block_no is n.block_no"
    near = f"o.search_id between n.search_id and n.search_id + {NEAR}"
    file.run(
        "create temp table kept as select min(n.rowid) as row, o.search_id as number"
        f" from temp.new as n cross join {SEARCHED} as o on {same} and {near}"
        " group by o.search_id"
    )
    file.run(
        "create temp table free as select row, place + max(number - place) over"
        " (order by place) as number from (select rowid as row, search_id as number,"
        " row_number() over (order by search_id, rowid) as place from temp.new"
        " where rowid not in (select k.row from temp.kept as k))"
    )
    taken = f"""
        select f.row from temp.free as f join {SEARCHED} as o on o.search_id = f.number
        union
        select row from (
            select row, row_number() over (partition by number order by row) as place
            from temp.free
        ) where place > 1
    """
    step = 1
    while file.run(f"select 1 from ({taken}) limit 1"):
        file.run(f"create temp table taken as {taken}")
        file.run(
            f"update temp.free set number = number + {step}"
            " where row in (select t.row from temp.taken as t)"
        )
        file.run("drop table temp.taken")
        step *= 2  # soon past all numbers of a second that has very many
    for numbers in ("kept", "free"):
        file.run(
            "update temp.new set search_id = a.number"
            f" from temp.{numbers} as a where a.row = new.rowid"
        )
        file.run(f"drop table temp.{numbers}")
