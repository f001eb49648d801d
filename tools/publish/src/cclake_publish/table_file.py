"""Write one gold table as a file, or to standard output."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

import duckdb
from cclake_common.failure import Failure

from cclake_publish.atomic import replacing
from cclake_publish.gold import literal, open_gold

Format = Literal["parquet", "csv", "jsonl"]
STDOUT = ("-", "/dev/stdout")
_OPTIONS = {
    "parquet": "format parquet, compression zstd",
    "csv": "format csv, header",
    "jsonl": "format json",
}
_ENDINGS: dict[str, Format] = {
    ".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip


def format_of(out: Path, given: Format | None) -> Format:
    """Return the format of a file: the given one, else that of its name's ending.

    Standard output gets CSV.

    Raises:
        Failure: The ending is not that of a format.
    """
    if given:
        return given
    if str(out) in STDOUT:
        return "csv"
    form = _ENDINGS.get(out.suffix.lower())
    if form is None:
        raise Failure(
            f"unknown format: {out.name}",
            f"End it with {', '.join(_ENDINGS)}, or use --format.",
            code=2,
        )
    return form


def print_table(duckdb_path: Path, name: str, form: Format) -> int:
    """Write one gold table to standard output; return the number of rows.

    Raises:
        Failure: No such table, or there is no room for a temporary file.
    """
    with tempfile.TemporaryDirectory(prefix="cclake-") as folder:
        file = Path(folder, "table")
        rows = write_table(duckdb_path, name, form, file)
        with file.open("rb") as written:
            shutil.copyfileobj(written, sys.stdout.buffer)
    return rows


def write_table(duckdb_path: Path, name: str, form: Format, out: Path) -> int:
    """Write one gold table into a file, atomically.

    Args:
        duckdb_path: The database that dbt writes, or the DuckDB export.
        name: The table.
        form: The format of the file.
        out: The file.

    Returns:
        The number of rows.

    Raises:
        Failure: There is no such table, or the file cannot be written.
    """
    out = out.resolve()  # a link stays, and points to the new file
    if out.exists() and not out.is_file():
        raise Failure(f"{out} is not a file", "Name one with --out.")
    if not out.parent.is_dir():
        raise Failure(f"{out.parent} is not a folder", "Create it first.")
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
