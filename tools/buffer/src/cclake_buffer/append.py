"""The loop of `buffer append`: read records from a pipe, commit transactions."""

import contextlib
import select
import sqlite3
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cclake_common.memory import BACKLOG, trim
from cclake_common.stop import Stop

from cclake_buffer.batch import Batch, check_continuity
from cclake_buffer.limits import Limits
from cclake_buffer.locks import HostLocks
from cclake_buffer.reader import LineReader
from cclake_buffer.records import Record, parse
from cclake_buffer.recovery import commit_with_retry, damaged, find_damage, removed
from cclake_buffer.store import Store

CHECK_EVERY_S = 1.0


@dataclass
class Appender:
    """Move records from a pipe into the buffer.

    Attributes:
        rows: Number of lines after which to commit even if more are waiting.
        size: Number of bytes after which to commit even if more are waiting.
        allow_gaps: Whether to accept runs that leave out bytes of their file.
        drain_s: Maximum seconds to wait for the end of the pipe after SIGTERM.
        committed: Number of lines committed.
        ignored: Number of records of unknown kinds, by kind.
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
    batch: Batch = field(default_factory=Batch)
    committed: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    _stats: bytes = b""
    _handled: int = 0  # bytes since memory was trimmed
    _drain_until: float = 0.0

    def run(self) -> int:
        """Append until the pipe ends; drop lines without a checkpoint.

        Returns:
            The number of lines committed.

        Raises:
            Failure: The pipe contains something other than records, or a gap; or
                the buffer's file was removed or is damaged.
        """
        self._store_stats("")  # stats of an earlier tailer are out of date
        while not self.reader.ended:
            if not self._wait():
                break
            self._take_all(self.reader.read())
            if self._is_due():
                self._commit()
        self._commit()
        return self.committed

    def _is_due(self) -> bool:
        batch = self.batch
        if not batch.checkpoints and not self._stats:
            return False
        full = len(batch.rows) >= self.rows or batch.size >= self.size
        return full or not self.reader.has_more()

    def _take_all(self, lines: list[bytes]) -> None:
        """Take lines in a frame of its own, which keeps none of them alive."""
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        record, entry = parse(line)
        match record.kind:
            case "line":
                self.batch.add(record, entry, "line")
            case "chunk":
                self.batch.add(record, entry, "chunk")
            case "checkpoint":
                self._close_run(record, line)
            case "stats":
                self._stats = line
            case other:
                self.ignored[other] = self.ignored.get(other, 0) + 1

    def _close_run(self, record: Record, line: bytes) -> None:
        self.locks.hold(record.host)
        run = self.batch.close_run(record, line)
        if not self.allow_gaps:
            check_continuity(run, record, self.store.position(record.file))
        self.store.set_position(record.file, record.gen, record.off)

    def _commit(self) -> None:
        if self.store.is_moved():
            raise removed(self.store.path)
        if self.batch.checkpoints:
            commit_with_retry(self.store, self.batch, self.limits, self.stop)
            self.committed += len(self.batch.rows)
            self._handled += self.batch.size
            self.batch.clear()
        if self._stats:
            self._store_stats(self._stats.decode("utf-8", "replace"))
            self._stats = b""
        self.limits.wait_for_space(self.stop)

    def _store_stats(self, stats: str) -> None:
        # Stats are not needed for correctness: a full disk must not end reading here.
        with contextlib.suppress(sqlite3.OperationalError):
            self.store.set_meta("tailer_stats", stats)
            self.store.set_meta("tailer_stats_at", time.time())

    def _wait(self) -> bool:
        """Wait for bytes; return False if the producer does not end after SIGTERM."""
        while True:
            if self.stop:
                return self._wait_for_end()
            ready = select.select([self.reader, self.stop.fd], [], [], CHECK_EVERY_S)[0]
            if self.reader in ready:
                return True
            if not self.stop:
                self._maintain()

    def _wait_for_end(self) -> bool:
        self._drain_until = self._drain_until or time.monotonic() + self.drain_s
        left = self._drain_until - time.monotonic()
        if left > 0 and select.select([self.reader], [], [], left)[0]:
            return True
        print(
            "buffer: the tailer is still running; stopping without it", file=sys.stderr
        )
        return False

    def _maintain(self) -> None:
        """Check the buffer's file, and maintain it, while the pipe is quiet."""
        if self.store.is_moved():
            raise removed(self.store.path)
        suspect = Path(f"{self.store.path}.suspect")
        if suspect.exists():
            # The flusher met damage, in pages that a commit may not touch for long.
            suspect.unlink(missing_ok=True)
            if problem := find_damage(self.store.path):
                self.store.close()
                raise damaged(self.store.path, problem)
        self.limits.maintain()
        if self._handled > BACKLOG:
            self._handled = 0
            trim()
