"""What has changed in gold since an export: found by unit, cheaply.

A unit is what is replaced together: all rows of a session where dbt rebuilds a
table by session, else the rows of one key.

Where a table by session is of the build that the export was copied from, the
sessions that a later extraction has touched are known by `updated_run`: nothing
else is read. Otherwise two states of a unit are the same when they have as many
rows and the same checksum over them. For tables by session the checksum leaves
texts out, which would cost as much to read as to copy.
"""

from dataclasses import dataclass

from cclake_publish.gold import Column, Gold, Table, quote
from cclake_publish.indexes import BY_SESSION, INDEXES, columns_of

RUN = "updated_run"
SESSIONS = "dim_sessions"
_MOVED = 'memory.main."moved_sessions"'


@dataclass(frozen=True)
class Changed:
    """The changed units of a table.

    Attributes:
        unit: The columns of the unit.
        name: SQL name of a table in memory that lists them.
        count: How many there are.
        named: None of their columns is null, so that plain equality finds them.
    """

    unit: tuple[str, ...]
    name: str
    count: int
    named: bool = False

    def matches(self, left: str, right: str) -> str:
        """SQL: a row of `left` belongs to a changed unit of `right`."""
        # DuckDB takes an equality into the scan, and skips what it does not need.
        same = "=" if self.named else "is not distinct from"
        return " and ".join(
            f"{left}.{quote(c)} {same} {right}.{quote(c)}" for c in self.unit
        )


def unit_of(table: Table) -> tuple[str, ...]:
    """The unit of a table; empty where none is declared: it is replaced whole."""
    if table.name in BY_SESSION:
        declared = [BY_SESSION[table.name]]
    else:
        declared = [index for name, index in INDEXES if name == table.name][:1]
    for index in declared:
        columns = columns_of(index)
        if table.has(*columns):
            return columns
    return ()


def find(gold: Gold, table: Table, export: str) -> Changed | None:
    """List the units that differ between gold and an export.

    Args:
        gold: The gold tables; the list becomes a table in memory there.
        table: The table.
        export: Full SQL name of the same table in the export.

    Returns:
        The changed units; None where the table has no unit.
    """
    unit = unit_of(table)
    if not unit:
        return None
    name = "memory.main." + quote(f"changed_{table.name}")
    either = ", ".join(
        f"coalesce(n.{quote(c)}, o.{quote(c)}) as {quote(c)}" for c in unit
    )
    same = " and ".join(f"n.{quote(c)} is not distinct from o.{quote(c)}" for c in unit)
    run = gold.connection.execute
    run(
        f"create or replace table {name} as select {either}"
        f" from ({_states(table, unit, gold.source(table.name))}) as n"
        f" full join ({_states(table, unit, export)}) as o on {same}"
        " where n.state is distinct from o.state"
    )
    row = run(f"select count(*) from {name}").fetchone()
    return Changed(unit, name, int(row[0]) if row else 0)


def list_moved(gold: Gold, export: str) -> bool:
    """List the sessions that have moved on, or are no more, since an export.

    Args:
        gold: The gold tables; the list becomes a table in memory there.
        export: Full SQL name of `dim_sessions` in the export.

    Returns:
        Whether gold tells; else sessions have to be compared one by one.
    """
    sessions = next((t for t in gold.tables if t.name == SESSIONS), None)
    if not (sessions and sessions.has("session_id", RUN)):
        return False
    now = gold.source(SESSIONS)
    gold.connection.execute(
        f"create or replace table {_MOVED} as"
        f" select session_id from {now} where {RUN} >"
        f" (select coalesce(max({RUN}), -1) from {export})"
        f" union select o.session_id from {export} as o where not exists"
        f" (select 1 from {now} as n where n.session_id = o.session_id)"
    )
    return True


def find_moved(gold: Gold, table: Table, export: str) -> Changed:
    """The changed sessions of a table, after `list_moved`.

    Rows of a later run than the export's newest count as well: a run of dbt that
    ended early may have brought `dim_sessions` further than this table.
    """
    name = "memory.main." + quote(f"changed_{table.name}")
    gold.connection.execute(
        f"create or replace table {name} as select session_id from {_MOVED}"
        f" union select session_id from {gold.source(table.name)} where {RUN} >"
        f" (select coalesce(max({RUN}), -1) from {export})"
    )
    query = f"select count(*), count(session_id) from {name}"
    rows, named = gold.connection.execute(query).fetchone() or (0, 0)
    return Changed(("session_id",), name, rows, named=rows == named)


def _states(table: Table, unit: tuple[str, ...], source: str) -> str:
    columns = ", ".join(map(quote, unit))
    checked = [c for c in table.columns if _is_checked(table, c)]
    checksum = ", ".join(quote(c.name) for c in checked) or "1"
    return (
        f"select {columns}, struct_pack(n := count(*),"
        f" sum := sum(hash({checksum})::hugeint)) as state"
        f" from {source} group by {columns}"
    )


def _is_checked(table: Table, column: Column) -> bool:
    if table.name in BY_SESSION:
        # Numbers, times and truth values, which are small.
        return not column.type.startswith(("VARCHAR", "BLOB"))
    return column.type != "BLOB"  # a blob's key is made of its content
