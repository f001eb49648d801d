"""Map the types of gold to SQLite: a declared type and an SQL expression each."""

from cclake_publish.gold import Column, quote

_INTEGERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
    "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
}  # fmt: skip
_ISO = "'%Y-%m-%dT%H:%M:%S.%gZ'"


def declared(column: Column) -> str:
    """Return the type that the SQLite column is declared with."""
    kind = column.type
    if kind in _INTEGERS or kind == "BOOLEAN":
        return "INTEGER"
    if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return "REAL"
    return "BLOB" if kind == "BLOB" else "TEXT"


def expression(column: Column) -> str:
    """Return the DuckDB expression for the value that SQLite stores.

    Timestamps become ISO 8601 in UTC with milliseconds, money REAL, lists and
    structs JSON text.
    """
    name, kind = quote(column.name), column.type
    if kind in _INTEGERS or kind == "BOOLEAN":
        # Integers of SQLite have 64 bits: a larger sum must fail here.
        return f"cast({name} as bigint)"
    if declared(column) == "REAL":
        return f"cast({name} as double)"
    if kind.startswith("TIMESTAMP"):
        # By microseconds, so that the time zone of the session does not matter.
        return f"strftime(make_timestamp(epoch_us({name})), {_ISO})"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return f"cast(to_json({name}) as varchar)"
    if kind in ("VARCHAR", "BLOB"):
        return name
    return f"cast({name} as varchar)"
