"""Record who took something out of the pages or revealed secrets: `audit.jsonl`.

It is a file of its own, not the log of the server: only its user can read it, nothing
rotates it away unnoticed, and a line that cannot be written refuses its request.
"""

import errno
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

LONGEST = 400  # characters of a value


class Audit:
    """The file; each event is one line of JSON.

    Args:
        path: The file, which the first event creates.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()

    def write(self, **fields: Any) -> bool:
        """Append an event with the time; return whether it was written completely."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"time": now} | {
            name: value[:LONGEST] if isinstance(value, str) else value
            for name, value in fields.items()
            if value not in ("", None)
        }
        # Escaped, so that no name can begin a line or change what a terminal shows.
        line = json.dumps(record).replace("\x7f", "\\u007f").encode() + b"\n"
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            print(f"web: cannot write {self.path}: {error.strerror}", file=sys.stderr)
            return False
        return True

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self.path, flags, 0o600)
        try:
            end = os.fstat(file).st_size
            if os.write(file, line) != len(line):
                os.ftruncate(file, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)
