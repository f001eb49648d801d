"""Give the engine the user's price list, as DuckDB reads it."""

import csv
import os
from pathlib import Path

import duckdb
from pyspark.sql import SparkSession


class Unreadable(Exception):
    """The user's price list is no CSV file."""


def name_own(session: SparkSession, project: Path) -> None:
    """Name the list of CCLAKE_PRICES `own_prices`: text, with the columns of the seed.

    Without such a file it has no rows.

    Raises:
        Unreadable: It is no CSV file.
    """
    with (project / "seeds" / "model_prices.csv").open(newline="") as seed:
        columns = next(csv.reader(seed))
    rows = read(os.environ.get("CCLAKE_PRICES", ""), columns)
    kinds = ", ".join(f"{column} string" for column in columns)
    session.createDataFrame(rows, kinds).createOrReplaceTempView("own_prices")


def read(path: str, columns: list[str]) -> list[tuple[str | None, ...]]:
    """Return these columns of a CSV file; a column that it does not have is null.

    Raises:
        Unreadable: It is no CSV file.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        return []
    # DuckDB would take these characters for a pattern.
    exact = "".join(f"[{one}]" if one in "[*?" else one for one in str(file))
    with duckdb.connect() as db:
        try:
            found = db.read_csv(exact, header=True, all_varchar=True)
            there = {name.lower() for name in found.columns}
            chosen = [f'"{name}"' if name in there else "null" for name in columns]
            return found.project(", ".join(chosen)).fetchall()
        except duckdb.Error as error:
            said = str(error).splitlines()[0]
            raise Unreadable(f"cannot read the prices in {file}: {said}") from error
