"""The DuckDB export: a copy of the gold schema that readers have for themselves."""

from pathlib import Path

from cclake_publish.gold import SCHEMA, Gold, literal, quote

_ALIAS = "__export"


def write_all(gold: Gold, path: Path) -> None:
    """Copy every gold table, exactly as it is, into a new DuckDB file.

    Args:
        gold: The gold tables.
        path: The file; it must not exist.
    """
    run = gold.connection.execute
    run(f"attach {literal(path)} as {_ALIAS} (storage_version 'v1.2.0')")
    try:
        run(f"create schema {_ALIAS}.{SCHEMA}")
        for table in gold.tables:
            target = f"{_ALIAS}.{SCHEMA}.{quote(table.name)}"
            run(f"create table {target} as from {gold.source(table.name)}")
        run(f"checkpoint {_ALIAS}")
    finally:
        run(f"detach {_ALIAS}")
