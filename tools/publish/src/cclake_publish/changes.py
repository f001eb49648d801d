"""What has changed in gold since an export: found by unit, cheaply.

A unit is what is replaced together: all rows of a session where dbt rebuilds a
table by session, else the rows of one key. Two states of a unit are the same
when they have as many rows and the same checksum over them. For tables by
session the checksum leaves texts out: dbt never changes a text without changing
`updated_run`, and reading all texts would cost as much as copying them.
"""

from dataclasses import dataclass

from cclake_publish.gold import Column, Gold, Table, quote
from cclake_publish.indexes import BY_SESSION, INDEXES, columns_of


@dataclass(frozen=True)
class Changed:
    """The changed units of a table.

    Attributes:
        unit: The columns of the unit.
        name: SQL name of a table in memory that lists them.
        count: How many there are.
    """

    unit: tuple[str, ...]
    name: str
    count: int

    def matches(self, left: str, right: str) -> str:
        """SQL: a row of `left` belongs to a changed unit of `right`."""
        return " and ".join(
            f"{left}.{quote(c)} is not distinct from {right}.{quote(c)}"
            for c in self.unit
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
