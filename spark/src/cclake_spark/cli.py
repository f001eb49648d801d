"""Build gold on Spark from the Iceberg table, and write it into Iceberg tables.

Or compare it with DuckDB's.
"""

import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cclake_spark.compare import compare, newest_run
from cclake_spark.engine import INTERRUPTED, Gold, build, engine
from cclake_spark.prices import Unreadable
from cclake_spark.save import save

ROOT = Path(__file__).resolve().parents[3]
TRY_LATER = 75
# Sail 0.7.2 finds no table whose location has other characters.
READABLE = re.compile(r"[A-Za-z0-9_/.:+=@,-]+")
# What says that all files beside it are complete; `publish iceberg` reads it.
FACTS = "build.json"


class Busy(Exception):
    """Another process builds into the same folder."""


def main() -> int:
    """Run a command; return its exit status."""
    parser = argparse.ArgumentParser(prog="just spark", description=__doc__)
    parser.add_argument(
        "command",
        nargs="?",
        choices=("build", "compare"),
        default="build",
        help="build: write gold into Iceberg tables. compare: compare each value with"
        " that in DuckDB, and write nothing.",
    )
    parser.add_argument(
        "--select", nargs="+", help="Models to build, as in dbt; Parquet files only."
    )
    options = parser.parse_args()
    data = Path(os.environ.get("CCLAKE_HOME") or Path.home() / ".claude-sync")
    try:
        with _alone(data):
            return _run(data, options.command == "compare", options.select or [])
    except Busy:
        print("spark: another build is running; wait for its end", file=sys.stderr)
        return TRY_LATER
    except Unreadable as error:
        print(
            f"spark: {error}\n       Correct the file that CCLAKE_PRICES names.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 130
    except subprocess.CalledProcessError as error:  # it has said why
        return error.returncode


def _run(data: Path, comparing: bool, chosen: list[str]) -> int:
    database = Path(os.environ.get("DUCKDB_PATH") or data / "analytics.duckdb")
    if comparing and not database.exists():
        print(f"spark: no gold in DuckDB: {database}", file=sys.stderr)
        return 1
    bronze = _tool("extract", "table", "info", "--json")
    if not READABLE.fullmatch(bronze["location"]):
        print(
            f"spark: Sail cannot open a lake in {bronze['location']!r}\n"
            "       Move it to a path of unaccented letters, digits and _ / . : - only"
            " (ICEBERG_WAREHOUSE_PATH).",
            file=sys.stderr,
        )
        return 1
    gold = Gold(
        bronze=bronze["location"],
        snapshot=bronze["snapshot_id"],
        folder=data / "spark",
        project=ROOT / "dbt",
        up_to_run=newest_run(database) if comparing else None,
    )
    quiet = ["--quiet"] if comparing else []
    with engine(gold) as session:
        marts = build(gold, [*quiet, *(["--select", *chosen] if chosen else [])])
        if marts is None:
            return 1
        if comparing:
            return _compare(session, database)
        folder = gold.folder / "gold"
        folder.mkdir()
        save(session, marts, folder)
    if chosen:
        print(f"gold: {folder} (a part, so it is not written into Iceberg tables)")
        return 0
    marks = json.dumps(bronze["watermarks"], separators=(",", ":"), sort_keys=True)
    facts = {
        "extract_run": bronze["extract_run"],
        "watermarks": marks,
        "engine": "spark",
    }
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    done = _tool("publish", "iceberg", "--parquet", str(folder), "--json")
    tables = done["tables"]
    print(
        f"gold: {sum(tables.values()):,} rows of {len(tables)} tables in the namespace"
        f" {done['namespace']}"
    )
    return 0


def _compare(session: Any, database: Path) -> int:
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


def _tool(name: str, *arguments: str) -> Any:
    """Run a tool of the project; return what it printed.

    Raises:
        CalledProcessError: It failed, and has said why.
    """
    tools = Path(os.environ.get("CCLAKE_BIN") or ROOT / ".venv" / "bin")
    done = subprocess.run(
        [tools / name, *arguments], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Refuse to build while another process builds into the same folder."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "spark.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        yield


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the engine's libraries may keep the process for minutes.
    os._exit(code)
