"""A reader of a SQLite file in another process.

Two SQLite libraries in one process undo each other's locks: publish has its own.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CODE = """
import json, sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, isolation_level=None)
for line in sys.stdin:
    print(json.dumps(db.execute(json.loads(line)).fetchall()), flush=True)
"""


class Reader:
    """A connection in another process, only for reading."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, sql: str) -> list[Any]:
        """Return the rows of a statement, as lists."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(sql) + "\n")
        self._process.stdin.flush()
        found: list[Any] = json.loads(self._process.stdout.readline())
        return found


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Open a file by its name, in another process, for a while."""
    command = [sys.executable, "-c", _CODE, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Reader(process)
        assert process.stdin
        process.stdin.close()
