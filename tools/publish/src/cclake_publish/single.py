"""One gold table as a Parquet or CSV file."""

from pathlib import Path
from typing import Literal

import duckdb
from cclake_common.failure import Failure

from cclake_publish.atomic import replacing
from cclake_publish.gold import literal, open_gold

Format = Literal["parquet", "csv"]
_OPTIONS = {"parquet": "format parquet, compression zstd", "csv": "format csv, header"}


def write_table(duckdb_path: Path, name: str, form: Format, out: Path) -> int:
    """Write one gold table into a file, which appears whole or not at all.

    Args:
        duckdb_path: The database that dbt writes, or the DuckDB export.
        name: The table.
        form: The format of the file.
        out: The file.

    Returns:
        The number of rows.

    Raises:
        Failure: No such table, or the file cannot be written.
    """
    out = out.resolve()  # a link stays a link, to the new file
    if out.exists() and not out.is_file():
        raise Failure(f"{out} is no file", "Name one with --out.")
    if not out.parent.is_dir():
        raise Failure(f"{out.parent} is not a folder", "Make it first.")
    with open_gold(duckdb_path, out.parent / f".{out.name}.tmp") as gold:
        names = [table.name for table in gold.tables]
        if name not in names:
            raise Failure(
                f"there is no gold table {name}", f"One of: {', '.join(names)}"
            )
        try:
            with replacing(out) as new:
                gold.connection.execute(
                    f"copy (from {gold.source(name)}) to {literal(new)}"
                    f" ({_OPTIONS[form]})"
                )
        except (OSError, duckdb.IOException) as error:
            raise Failure(f"cannot write {out}: {error}") from error
        return next(table.rows for table in gold.tables if table.name == name)
