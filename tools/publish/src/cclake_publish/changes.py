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
_KNOWN = 'memory.main."known_sessions"'
_MOVED = 'memory.main."moved_sessions"'


@dataclass(frozen=True)
class Changed:
    """The changed units of a table.

    Attributes:
        unit: The columns of the unit.
        name: SQL name of a table in memory that lists them.
        count: How many there are.
        named: None of their columns is null, so that plain equality finds them.
        above: Their rows in gold have an `updated_run` above this; None: any, as the
            table lags behind its sessions, or one of them is gone.
        from_run: Their rows in the export have one from this on; None: any, as the
            export's table lags behind.
    """

    unit: tuple[str, ...]
    name: str
    count: int
    named: bool = False
    above: int | None = None
    from_run: int | None = None

    def in_gold(self, row: str, unit: str) -> str:
        """SQL: `row` of the gold table belongs to a changed `unit`."""
        # A number is taken into the scan, which then skips most of the table.
        newer = "" if self.above is None else f" and {row}.{RUN} > {self.above}"
        return self._matches(row, unit) + newer

    def in_export(self, row: str, unit: str) -> str:
        """SQL: `row` of the table of the export belongs to a changed `unit`."""
        newer = "" if self.from_run is None else f" and {row}.{RUN} >= {self.from_run}"
        return self._matches(row, unit) + newer

    def _matches(self, row: str, unit: str) -> str:
        same = "=" if self.named else "is not distinct from"
        return " and ".join(
            f"{row}.{quote(c)} {same} {unit}.{quote(c)}" for c in self.unit
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


@dataclass(frozen=True)
class Moved:
    """The sessions that have moved on since an export are listed.

    Attributes:
        now: The newest `updated_run` of the sessions in gold.
        then: That of the sessions in the export.
    """

    now: int
    then: int


def list_moved(gold: Gold, export: str) -> Moved | None:
    """List the sessions that have moved on, or are no more, since an export.

    Args:
        gold: The gold tables; the list becomes a table in memory there.
        export: Full SQL name of `dim_sessions` in the export.

    Returns:
        None where gold does not tell: sessions have to be compared one by one.
    """
    sessions = next((t for t in gold.tables if t.name == SESSIONS), None)
    if not (sessions and sessions.has("session_id", RUN)):
        return None
    now, run = gold.source(SESSIONS), gold.connection.execute
    # Kept as it was: the export's own is brought up to date before other tables.
    run(f"create or replace table {_KNOWN} as select session_id, {RUN} from {export}")
    moved = Moved(now=_newest(gold, now), then=_newest(gold, _KNOWN))
    run(
        f"create or replace table {_MOVED} as"
        f" select session_id from {now} where {RUN} > {moved.then}"
        f" union select o.session_id from {_KNOWN} as o where not exists"
        f" (select 1 from {now} as n where n.session_id = o.session_id)"
    )
    return moved


def find_moved(gold: Gold, table: Table, export: str, moved: Moved) -> Changed:
    """The changed sessions of a table, after `list_moved`.

    Rows of a later run than the export's newest count as well: a run of dbt that
    ended early may have brought `dim_sessions` further than this table.

    Args:
        gold: The gold tables.
        table: The table.
        export: Full SQL name of the same table in the export.
        moved: What `list_moved` gave.
    """
    name = "memory.main." + quote(f"changed_{table.name}")
    here = gold.source(table.name)
    ours, known = _newest(gold, here), _newest(gold, export)
    gold.connection.execute(
        f"create or replace table {name} as select session_id from {_MOVED}"
        f" union select session_id from {here} where {RUN} > {known}"
    )
    query = f"select count(*), count(session_id) from {name}"
    rows, named = gold.connection.execute(query).fetchone() or (0, 0)
    is_level = ours >= moved.now and not _lists_gone(gold, name)
    return Changed(
        unit=("session_id",),
        name=name,
        count=rows,
        named=rows == named,
        above=min(known, moved.then) if is_level else None,
        from_run=_from_run(gold, name, moved) if known >= moved.then else None,
    )


def _lists_gone(gold: Gold, changed: str) -> bool:
    """Whether a session is no more; it may have left rows of any run."""
    sessions = gold.source(SESSIONS)
    gone = f"select 1 from {changed} anti join {sessions} using (session_id) limit 1"
    return gold.connection.execute(gone).fetchone() is not None


def _from_run(gold: Gold, changed: str, moved: Moved) -> int | None:
    """What the runs of changed rows in the export begin with.

    The rows of a session are from the run that its row in `dim_sessions` names; a
    session that is not there yet has no rows, or newer ones.
    """
    query = (
        f"select coalesce(min({RUN}), {moved.then + 1}) from {_KNOWN}"
        f" semi join {changed} using (session_id)"
    )
    row = gold.connection.execute(query).fetchone()
    return int(row[0]) if row else None


def _newest(gold: Gold, table: str) -> int:
    query = f"select coalesce(max({RUN}), -1) from {table}"
    row = gold.connection.execute(query).fetchone()
    return int(row[0]) if row else -1


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
        return not column.type.startswith("VARCHAR")
    return True
