"""Where reports read: the DuckDB export, opened only for reading."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cclake_common.failure import Failure

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]


class Gold:
    """The gold tables of an export."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query, each as a dictionary."""
        found = self._connection.execute(sql, list(values))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@contextmanager
def open_gold(export_dir: Path) -> Iterator[Gold]:
    """Open the DuckDB export.

    Args:
        export_dir: The folder of the exports.

    Raises:
        Failure: There is no export, it cannot be read, or it lacks a table.
    """
    path = export_dir / "analytics.duckdb"
    if not path.exists():
        raise Failure(f"{path} does not exist", "Run `pipeline run` first.")
    import duckdb  # a tenth of a second: not before there is something to read

    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            # A missing table is missing, whatever Python variable has its name.
            connection.execute("set python_enable_replacements = false")
            yield Gold(connection)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        first = str(error).splitlines()[0]
        raise Failure(
            f"{path} is not as this report needs it: {first}",
            "Run `pipeline run --full` to write it anew.",
        ) from error
    except duckdb.IOException as error:
        raise Failure(
            f"cannot read {path}: {str(error).splitlines()[0]}",
            "`publish --full` writes it anew.",
        ) from error
