"""Open the DuckDB file, which has one writer at a time."""

import time
from pathlib import Path

import duckdb
from cclake_common.failure import TRY_LATER, Failure

PAUSE_S = 0.25
STORAGE = "v1.2.0"
"""Format of a new file: the first one that compresses the lines with zstd."""
LOCKED = "Could not set lock"
# DuckDB names a database by its file, and can't tell it from a schema of that name.
TAKEN = ("raw", "staging", "intermediate", "marts", "main", "temp", "system")


def open_database(
    path: Path, memory: str, wait: float = 30.0, read: bool = False
) -> duckdb.DuckDBPyConnection:
    """Open the file; wait while another process holds it.

    Args:
        path: The file; created with its folder if missing.
        memory: DuckDB's memory limit, such as `1GB`.
        wait: Maximum seconds to wait for the lock.
        read: Open it read-only.

    Raises:
        Failure: The file stays locked, or is not a DuckDB file of this version, or its
            name or the limit is invalid.
    """
    if path.stem.lower() in TAKEN:
        raise Failure(
            f"{path} can't be used: {path.stem} is the name of a schema in it",
            "Set DUCKDB_PATH to a file of another name, such as analytics.duckdb.",
            code=2,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    while True:
        try:
            return duckdb.connect(
                str(path),
                read,
                {"memory_limit": memory, "storage_compatibility_version": STORAGE},
            )
        except duckdb.ParserException as error:
            raise Failure(
                f"{memory!r} is not a memory limit: {str(error).splitlines()[0]}",
                "Set --memory-limit or CCLAKE_LOAD_MEMORY to a size such as 500MB.",
                code=2,
            ) from error
        except duckdb.IOException as error:
            if LOCKED not in str(error):
                raise Failure(
                    f"{path} can't be opened: {str(error).splitlines()[0]}",
                    "Move it away; `just pipeline` rebuilds it from the lake.",
                ) from error
            if time.monotonic() > deadline:
                raise Failure(
                    f"{path} is in use by another process{_holder(error)}",
                    "End it and run load again; readers should open the exports.",
                    TRY_LATER,
                ) from error
            time.sleep(PAUSE_S)


def _holder(error: duckdb.Error) -> str:
    _, found, rest = str(error).partition("(PID ")
    return f" (PID {rest.split(')')[0]})" if found else ""
