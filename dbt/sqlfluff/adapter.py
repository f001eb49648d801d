"""Stand in for dbt's `adapter` in the templater of sqlfluff: it lints DuckDB's SQL."""

from typing import Any

from jinja2 import pass_context


@pass_context
def dispatch(context: Any, name: str, package: str) -> Any:
    """Return the macro for DuckDB."""
    return context.resolve(f"duckdb__{name}")
