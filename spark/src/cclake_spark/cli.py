"""Build gold on Spark from the Iceberg table, and compare it with DuckDB's."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from cclake_spark.compare import compare, newest_run
from cclake_spark.engine import Gold, build, engine

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Run a command; return its exit status."""
    parser = argparse.ArgumentParser(prog="just spark", description=__doc__)
    parser.add_argument(
        "command",
        nargs="?",
        choices=("build", "compare"),
        default="build",
        help="build: write gold as Parquet files. compare: also compare each"
        " value with that in DuckDB.",
    )
    parser.add_argument("--select", nargs="+", help="Models to build, as in dbt.")
    options = parser.parse_args()
    data = Path(os.environ.get("CCLAKE_HOME") or Path.home() / ".claude-sync")
    database = Path(os.environ.get("DUCKDB_PATH") or data / "analytics.duckdb")
    comparing = options.command == "compare"
    if comparing and not database.exists():
        print(f"spark: no gold in DuckDB: {database}", file=sys.stderr)
        return 1
    gold = Gold(
        bronze=_bronze(),
        folder=data / "spark",
        project=ROOT / "dbt",
        up_to_run=newest_run(database) if comparing else None,
    )
    chosen = ["--select", *options.select] if options.select else []
    quiet = ["--quiet"] if comparing else []
    with engine(gold) as session:
        if not build(gold, [*quiet, *chosen]):
            return 1
        if not comparing:
            print(f"gold: {gold.folder}")
            return 0
        different = 0
        for table in compare(session, database):
            result = table.problem or "equal"
            columns = f": {', '.join(table.differing)}" if table.differing else ""
            print(
                f"{table.name:<40}{table.rows:>9} rows  {table.columns:>3} columns  "
                f"{result}{columns}",
                flush=True,
            )
            different += bool(table.problem)
    print(f"{different} tables differ" if different else "all tables are equal")
    return 1 if different else 0


def _bronze() -> str:
    """Return the location of the Iceberg table, as `extract` has it."""
    extract = os.environ.get("CCLAKE_EXTRACT", str(ROOT / ".venv" / "bin" / "extract"))
    done = subprocess.run(
        [extract, "table", "info", "--json"], check=True, stdout=subprocess.PIPE
    )
    return str(json.loads(done.stdout)["location"])


if __name__ == "__main__":
    sys.exit(main())
