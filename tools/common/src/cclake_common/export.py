"""Open the SQLite export for reading."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cclake_common.failure import Failure
from cclake_common.sqlite import WAIT_S, connect_readonly

NAME = "conversations.db"


@contextmanager
def open_export(
    export_dir: Path, wait_s: float = WAIT_S
) -> Iterator[sqlite3.Connection]:
    """Open one state of the SQLite export; publishing does not change it meanwhile.

    Args:
        export_dir: The folder of the exports.
        wait_s: Maximum time to wait for a lock, in seconds.

    Raises:
        Failure: There is no export, it cannot be read, or it lacks a table.
    """
    path = export_dir / NAME
    if not path.exists():
        raise Failure(f"{path} does not exist", "Run `pipeline run` first.")
    try:
        with closing(connect_readonly(path.resolve(), wait_s)) as connection:
            connection.execute("begin")
            yield connection
    except sqlite3.OperationalError as error:
        if "no such" not in str(error):
            raise Failure(f"cannot read {path}: {error}") from error
        raise Failure(
            f"{path} does not have the layout that this command reads: {error}",
            "Run `pipeline run --full` to rewrite it.",
        ) from error
    except sqlite3.DatabaseError as error:
        raise Failure(
            f"cannot read {path}: {error}", "Run `publish --full` to rewrite it."
        ) from error
