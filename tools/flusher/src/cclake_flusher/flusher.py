"""The loop of `flusher run`: deliver the queue to MongoDB, batch by batch."""

import select
import sqlite3
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cclake_common.memory import BACKLOG, trim
from cclake_common.stop import Stop
from cclake_common.visible import visible
from pymongo.errors import PyMongoError

from cclake_flusher import metadata
from cclake_flusher.backoff import Backoff
from cclake_flusher.delivery import Delivery
from cclake_flusher.error_policy import describe
from cclake_flusher.generations import Generations
from cclake_flusher.health import read_buffer
from cclake_flusher.indexes import ReaderIndexes
from cclake_flusher.mongo import Mongo
from cclake_flusher.queue import (
    Queue,
    delete_acknowledged,
    mark_delivered,
    mark_suspect,
)
from cclake_flusher.schema_drift import SchemaDrift
from cclake_flusher.state import State
from cclake_flusher.text_index import Texts
from cclake_flusher.wake import Wake

QUIET_S = 2.0
# After a backlog the pipeline needs the machine more than the readers' indexes do.
SETTLED_S = 60.0
CHECK_EVERY_S = 60.0


@dataclass(frozen=True)
class Settings:
    """Settings of the flusher.

    Attributes:
        path: The buffer.
        host: The name of this machine, for the watermark.
        count: Maximum number of lines in a batch.
        size: Maximum number of bytes in a batch, which one line may exceed.
        interval_s: Maximum seconds of sleep; a change of the buffer ends it.
    """

    path: Path
    host: str
    count: int = 1000
    size: int = 8_000_000
    interval_s: float = 5.0


def is_settled(now: float, last_lines: float, last_full: float | None) -> bool:
    """Return whether the readers' indexes may be built now.

    Args:
        now: The time, in seconds.
        last_lines: When lines were last delivered, or the flusher started.
        last_full: When a full batch was; None if none was.
    """
    quiet = now - last_lines > QUIET_S
    return quiet and (last_full is None or now - last_full > SETTLED_S)


class Flusher:
    """Deliver a buffer until asked to stop, then the rest of its queue."""

    def __init__(
        self,
        settings: Settings,
        mongo: Mongo,
        indexes: ReaderIndexes,
        state: State,
        stop: Stop,
    ) -> None:
        self._settings = settings
        self._mongo = mongo
        self._indexes = indexes
        self._state = state
        self._stop = stop
        self._delivery = Delivery(mongo, state)
        self._texts = Texts(mongo)
        self._drift = SchemaDrift()
        self._backoff = Backoff()
        self._queue: Queue | None = None
        self._generations: Generations | None = None
        self._prepared = False
        self._last_lines = self._checked = time.monotonic()
        self._last_full: float | None = None  # full batches are a backlog
        self._handled = 0  # bytes since memory was returned to the OS

    def run(self) -> None:
        """Deliver until asked to stop; then drain the queue while MongoDB answers."""
        wake = Wake(self._settings.path, self._stop)
        while not self._stop:
            wake.drain()
            if not self._step():
                wake.wait(self._settings.interval_s)
        wake.close()
        while self._step():
            pass
        self._close_queue()

    def _step(self) -> bool:
        """Deliver one batch; return False if nothing is left for now."""
        try:
            return self._open() and self._work()
        except PyMongoError as error:
            return self._wait_after("mongo", error)
        except sqlite3.Error as error:
            self._state.buffer_problem = describe(error)
            mark_suspect(self._settings.path, error)
            self._close_queue()
            return self._wait_after("buffer", error)

    def _open(self) -> bool:
        """Open the queue; return False while there is no buffer yet."""
        if self._queue is None:
            if not self._settings.path.exists():
                return False
            self._queue = Queue(self._settings.path)
            self._generations = Generations(self._mongo, self._queue)
            self._state.buffer_problem = ""
        return True

    def _work(self) -> bool:
        queue, generations = self._queue, self._generations
        assert queue is not None
        assert generations is not None
        if not self._prepared:
            self._mongo.prepare()
            self._answered()
            self._prepared = True
        self._texts.open(queue.buffer, queue.acked)
        started = time.perf_counter()
        lines = queue.read(self._settings.count, self._settings.size)
        if lines:
            generations.apply_bases(lines)
            has_text = not self._indexes.built
            outcome, documents = self._delivery.deliver(lines, queue.buffer, has_text)
            self._answered()
            # What was there already may have been inserted without.
            if has_text and self._texts.seq >= queue.acked and not outcome.duplicates:
                self._texts.seq = lines[-1].seq
            self._note_latency([line.at for line in lines])
            queue.acknowledge(lines[-1].seq, outcome)
            self._state.delivered += outcome.delivered
            self._state.duplicates += outcome.duplicates
            self._drift.count(key for each in documents for key in each.unknown)
        self._finish(queue, generations)
        if lines:
            self._last_lines = time.monotonic()
            size = sum(line.len for line in lines)
            if len(lines) >= self._settings.count or size >= self._settings.size:
                self._last_full = self._last_lines
            self._handled += size
            self._state.batches += 1
            self._state.batch_s.append(time.perf_counter() - started)
            return True
        return self._idle(queue)

    def _finish(self, queue: Queue, generations: Generations) -> None:
        """Write what depends on the batch, in an order that is safe at any kill.

        After an error of MongoDB, the next call completes the work. No row is deleted
        from the buffer before the watermark has passed it.
        """
        checkpoints = queue.undelivered()
        if checkpoints:
            generations.apply_bases(checkpoints)
            metadata.write_files(self._mongo, checkpoints, queue.buffer)
            self._answered()
        if queue.watermark < queue.acked:
            metadata.move_watermark(
                self._mongo,
                queue.buffer,
                self._settings.host,
                queue.acked,
                self._texts.seq,
            )
            queue.watermark = queue.acked
            self._state.last_sync = time.time()
        if queue.has_acknowledged:
            delete_acknowledged(queue, self._state)
        if checkpoints:
            mark_delivered(queue, checkpoints, self._state)

    def _idle(self, queue: Queue) -> bool:
        if time.monotonic() - self._checked > CHECK_EVERY_S:
            read_buffer(self._settings.path)
            self._checked = time.monotonic()
        now = time.monotonic()
        quiet = now - self._last_lines > QUIET_S
        settled = is_settled(now, self._last_lines, self._last_full)
        if settled and queue.acked and not self._stop:
            self._indexes.build()
            self._state.index_problem = self._indexes.problem
        if quiet and self._handled > BACKLOG:
            self._handled = 0
            trim()
        self._drift.write(self._mongo, now=bool(self._stop))
        may_fill = quiet and self._indexes.built and not self._stop
        if may_fill and self._texts.fill(queue.watermark):
            return True
        if queue.is_replaced():
            # Its lines have been delivered; the file at the path is another buffer.
            self._close_queue()
            return self._settings.path.exists()
        return False

    def _answered(self) -> None:
        self._state.mongo_answered()
        self._backoff.reset()

    def _note_latency(self, committed: list[float]) -> None:
        now = time.time()
        waited = (max(0.0, now - at) for at in committed)
        self._state.latencies_ms.extend(seconds * 1000 for seconds in waited)

    def _wait_after(self, kind: str, error: Exception) -> bool:
        """Wait before the next attempt; return False if asked to stop."""
        wait = self._backoff.next()
        problem = describe(error)
        if problem.split(",")[0] != self._state.problem.split(",")[0]:
            print(f"flusher: {visible(problem)}; trying again", file=sys.stderr)
        self._state.attempt_failed(kind, problem, wait)
        if self._stop:
            return False
        select.select([self._stop.fd], [], [], wait)
        return True

    def _close_queue(self) -> None:
        if self._queue is not None:
            self._queue.close()
            self._queue = None
