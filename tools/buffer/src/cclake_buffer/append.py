"""The loop of `buffer append`: pipe in, transactions out."""

import contextlib
import select
import sqlite3
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cclake_common.stop import Stop

from cclake_buffer.aside import is_damaged
from cclake_buffer.limits import Limits
from cclake_buffer.locks import HostLocks
from cclake_buffer.patience import commit_patiently, damaged, taken_away
from cclake_buffer.pending import Pending, check_continuity
from cclake_buffer.reader import LineReader
from cclake_buffer.records import Record, parse
from cclake_buffer.store import Store

LOOK_AFTER_S = 1.0


@dataclass
class Appender:
    """Takes records from a pipe into the buffer.

    Attributes:
        rows: Commit after so many lines even when more is waiting.
        size: Commit after so many bytes even when more is waiting.
        allow_gaps: Accept runs that leave out bytes of their file.
        drain_s: How long to wait for the end of the pipe after SIGTERM.
    """

    store: Store
    reader: LineReader
    stop: Stop
    limits: Limits
    locks: HostLocks
    rows: int = 2000
    size: int = 8 << 20
    allow_gaps: bool = False
    drain_s: float = 10.0
    pending: Pending = field(default_factory=Pending)
    committed: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    _stats: bytes = b""
    _drain_until: float = 0.0

    def run(self) -> int:
        """Append until the pipe ends; lines without a checkpoint are dropped.

        Returns:
            The number of lines committed.

        Raises:
            Failure: The pipe holds something else than records, a gap, or the
                buffer's file was taken away or is damaged.
        """
        self._tell_stats("")  # those of an earlier tailer say nothing about now
        while not self.reader.ended:
            if not self._wait():
                break
            self._take_all(self.reader.read())
            if self._is_due():
                self._commit()
        self._commit()
        return self.committed

    def _is_due(self) -> bool:
        pending = self.pending
        if not pending.checkpoints and not self._stats:
            return False
        full = len(pending.rows) >= self.rows or pending.size >= self.size
        return full or not self.reader.has_more()

    def _take_all(self, lines: list[bytes]) -> None:
        """Take lines; none is held here longer than its row is."""
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        record, entry = parse(line)
        match record.kind:
            case "line":
                self.pending.add(record, entry, "line")
            case "chunk":
                self.pending.add(record, entry, "chunk")
            case "checkpoint":
                self._close_run(record, line)
            case "stats":
                self._stats = line
            case other:
                self.ignored[other] = self.ignored.get(other, 0) + 1

    def _close_run(self, record: Record, line: bytes) -> None:
        self.locks.hold(record.host)
        run = self.pending.close_run(record, line)
        if not self.allow_gaps:
            check_continuity(run, record, self.store.known(record.file))
        self.store.saw(record.file, record.gen, record.off)

    def _commit(self) -> None:
        if self.store.is_moved():
            raise taken_away(self.store.path)
        if self.pending.checkpoints:
            commit_patiently(self.store, self.pending, self.limits, self.stop)
            self.committed += len(self.pending.rows)
            self.pending.clear()
        if self._stats:
            self._tell_stats(self._stats.decode("utf-8", "replace"))
            self._stats = b""
        self.limits.wait_for_room(self.stop)

    def _tell_stats(self, stats: str) -> None:
        # Nothing hangs on them: a full disk must not end the reading here.
        with contextlib.suppress(sqlite3.OperationalError):
            self.store.set_meta("tailer_stats", stats)
            self.store.set_meta("tailer_stats_at", time.time())

    def _wait(self) -> bool:
        """Wait for bytes; false when the producer does not end after SIGTERM."""
        while True:
            if self.stop:
                return self._wait_for_the_end()
            ready = select.select([self.reader, self.stop.fd], [], [], LOOK_AFTER_S)[0]
            if self.reader in ready:
                return True
            if not self.stop:
                self._look_after()

    def _wait_for_the_end(self) -> bool:
        self._drain_until = self._drain_until or time.monotonic() + self.drain_s
        left = self._drain_until - time.monotonic()
        if left > 0 and select.select([self.reader], [], [], left)[0]:
            return True
        print("buffer: the tailer goes on; stopping without its end", file=sys.stderr)
        return False

    def _look_after(self) -> None:
        """What a quiet moment is for."""
        if self.store.is_moved():
            raise taken_away(self.store.path)
        suspicion = Path(f"{self.store.path}.suspect")
        if suspicion.exists():
            # The flusher has met damage that a commit may not meet for long.
            suspicion.unlink(missing_ok=True)
            if problem := is_damaged(self.store.path):
                self.store.close()
                raise damaged(self.store.path, problem)
        self.limits.look_after()
