"""Keep the tables of unpublished lines up to date.

`refresh` reads the lines above the watermarks of the export from MongoDB, each once.
Published lines are deleted from the tables before each reading.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cclake_archive.live.base import Base, base_of
from cclake_archive.live.lines import Lines, Unreachable
from cclake_archive.live.reading import Line, line_of
from cclake_archive.live.tables import Tables

EVERY = 0.2  # seconds between two queries of MongoDB
# After a slow query, the pause is its duration times this factor, since the pipeline
# needs the machine more while there is a backlog.
REST, REST_OF_BACKLOG = 1, 8
PATIENCE = 0.25  # seconds after which a query is slow
LONGEST_PAUSE = 15.0  # seconds between two queries while MongoDB does not answer
BATCH = 100  # lines that are added at once, while readers wait


class Limits(NamedTuple):
    """The maximum that is kept, and read at once.

    Attributes:
        lines: Number of lines.
        size: Number of their bytes.
    """

    lines: int = 10_000
    size: int = 48_000_000


class Opener(Protocol):
    """The part of the export that the overlay uses."""

    def connect(self) -> sqlite3.Connection:
        """Open the export read-only."""


@dataclass(frozen=True)
class Status:
    """The state of the overlay, for a reader.

    Attributes:
        away: Whether MongoDB does not answer.
        missed: Whether it is away, and should answer.
        cut: Whether some lines exceed the maximum and are not shown.
    """

    away: bool = False
    missed: bool = False
    cut: bool = False


class Overlay:
    """The lines above the export, for all readers in one process.

    Args:
        lines: Where they are.
        tool: The tool that a message on standard error names.
        expected: Whether to report a missing MongoDB; a copied export has none.
        limits: How many are kept.
    """

    def __init__(
        self,
        lines: Lines,
        tool: str,
        expected: bool = True,
        limits: Limits = Limits(),  # noqa: B008 - immutable
    ) -> None:
        self._lines, self._tool, self._limits = lines, tool, limits
        self._expected = expected
        self._lock = threading.RLock()
        self._tables: Tables | None = None
        self._base: Base | None = None
        self._held: list[Line] = []
        self._read: dict[str, int] = {}  # by buffer, how far
        self._left: dict[str, int] = {}  # by buffer, the highest that was left out
        self._next = float("-inf")
        self._pause = 1.0
        self._away = False
        self.is_slow = False  # whether the last query of MongoDB was

    @property
    def status(self) -> Status:
        """The state of the overlay."""
        return Status(self._away, self._away and self._expected, bool(self._left))

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next query of MongoDB."""
        return time.monotonic() >= self._next

    @contextmanager
    def over(self, export: sqlite3.Connection) -> Iterator[Tables | None]:
        """Provide the tables of the lines that a reading of the export lacks."""
        with self._lock:
            self._settle(export)
            yield self._tables

    def refresh(self, export: Opener) -> None:
        """Read what is new in MongoDB; if it does not answer, `status` says so."""
        begin = time.monotonic()
        pause = EVERY
        try:
            acked = self._lines.acknowledged()
            self.is_slow = time.monotonic() - begin > PATIENCE
            if any(seq > self._read.get(buffer, -1) for buffer, seq in acked.items()):
                with closing(export.connect()) as connection:
                    self._take(connection, acked)
            self._away, self._pause = False, 1.0
        except Unreachable:
            self._away = self.is_slow = True
            pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        except sqlite3.Error as error:
            self._say(f"cannot read lines that are not published yet: {error}")
            pause = LONGEST_PAUSE
        end = time.monotonic()
        rest = 0 if self._away else REST_OF_BACKLOG if self._left else REST
        self._next = end + max(pause, rest * (end - begin))

    def _take(self, export: sqlite3.Connection, acked: dict[str, int]) -> None:
        with self._lock:
            base = self._settle(export)
        for buffer, upto in acked.items():
            above = max(self._read.get(buffer, 0), base.marks.get(buffer, 0))
            if upto > above:
                found, left = self._lines.newest(buffer, above, upto, *self._limits)
                self._add(export, list(filter(None, map(line_of, found))))
                if left:
                    self._left[buffer] = left
            self._read[buffer] = upto

    def _add(self, export: sqlite3.Connection, lines: Sequence[Line]) -> None:
        with self._lock:
            kept = _newest([*self._held, *lines], self._limits)
            dropped = len(self._held) + len(lines) - len(kept)
            for line in [*self._held, *lines][:dropped]:
                self._left[line.buffer] = max(self._left.get(line.buffer, 0), line.seq)
            if dropped:
                self._rebuild(export, [])
                lines = kept
        for start in range(0, len(lines), BATCH):
            with self._lock:
                self._enter(export, lines[start : start + BATCH])
            time.sleep(0)  # let readers go first

    def _enter(self, export: sqlite3.Connection, lines: Sequence[Line]) -> None:
        assert self._base
        new = [one for one in lines if not self._base.has(one.buffer, one.seq)]
        if not new:
            return
        if self._tables is None:
            self._tables = Tables(export)
        try:
            self._tables.add(export, new)
        except (sqlite3.Error, ValueError, TypeError) as error:
            # They are left out until they are published.
            self._say(f"{len(new)} lines can't be shown: {error!r}")
            self._rebuild(export, self._held)
        else:
            self._held += new

    def _say(self, text: str) -> None:
        print(f"{self._tool}: {text}", file=sys.stderr)

    def _settle(self, export: sqlite3.Connection) -> Base:
        """Delete the lines that a reading of the export has."""
        base = base_of(export)
        if base != self._base:
            if self._base and base.is_behind(self._base.marks):
                self._held, self._read, self._left = [], {}, {}
            self._base = base
            self._left = {b: n for b, n in self._left.items() if not base.has(b, n)}
            self._rebuild(
                export, [one for one in self._held if not base.has(one.buffer, one.seq)]
            )
        return base

    def _rebuild(self, export: sqlite3.Connection, lines: Sequence[Line]) -> None:
        old, self._tables, self._held = self._tables, None, []
        self._enter(export, lines)
        if old:
            old.close()


def _newest(lines: list[Line], limits: Limits) -> list[Line]:
    """Return the newest lines within the limits, in order."""
    size, count = 0, 0
    for line in reversed(lines[-limits.lines :]):
        size += line.size
        if size > limits.size:
            break
        count += 1
    return lines[len(lines) - count :]
