"""Find the data directory, dbt and the console scripts."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import Failure
from cclake_common.settings import in_home


@dataclass(frozen=True)
class Paths:
    """The paths of a pipeline, and the environment of its stages."""

    home: Path
    dbt: Path
    target: str
    mongo_uri: str
    mongo_db: str

    @property
    def record(self) -> Path:
        """The database with the log of runs."""
        return self.home / "pipeline.db"

    def exports(self) -> str:
        """Return the files that each run updates; empty while one is missing."""
        folder = in_home("EXPORT_DIR", "exports")
        files = [
            in_home("DUCKDB_PATH", "analytics.duckdb"),
            folder / "conversations.db",
        ]
        there = all(file.exists() for file in files)
        return " ".join(map(str, files)) if there else ""

    def stores(self) -> str:
        """Return a name for the state of lake, gold and exports; empty if unknown.

        A change made by another process changes the time of a file.
        """
        lake = in_home("ICEBERG_WAREHOUSE_PATH", "iceberg")
        files = [lake / "catalog.db", *map(Path, self.exports().split())]
        try:
            seen = [(str(file), file.stat()) for file in files]
        except OSError:  # another catalog, or a missing file
            return ""
        return " ".join(f"{n} {s.st_ino} {s.st_size} {s.st_mtime_ns}" for n, s in seen)

    def environment(self) -> dict[str, str]:
        """Return the environment of every stage, without telemetry."""
        return os.environ | {
            "CCLAKE_HOME": str(self.home),
            "MONGO_URI": self.mongo_uri,
            "MONGO_DB": self.mongo_db,
            "DUCKDB_PATH": str(in_home("DUCKDB_PATH", "analytics.duckdb")),
            "DBT_TARGET": self.target,
            "DBT_TARGET_PATH": str(in_home("DBT_TARGET_PATH", "dbt-target")),
            "DBT_LOG_PATH": str(in_home("DBT_LOG_PATH", "logs/dbt")),
            "DO_NOT_TRACK": "1",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }


def script(name: str) -> str:
    """Return the path of the console script of a tool, beside this Python or on PATH.

    Raises:
        Failure: It is not installed.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise Failure(f"the tool {name} is not installed", "Run `./just up`.")
    return found
