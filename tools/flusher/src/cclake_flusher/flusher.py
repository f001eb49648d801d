"""The loop of `flusher run`: queue to MongoDB, batch after batch."""

import select
import sqlite3
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cclake_common.stop import Stop
from cclake_common.visible import visible
from pymongo.errors import PyMongoError

from cclake_flusher import records
from cclake_flusher.backoff import Backoff
from cclake_flusher.delivery import Delivery
from cclake_flusher.generations import Generations
from cclake_flusher.guard import Guard
from cclake_flusher.memory import give_back
from cclake_flusher.mongo import Mongo
from cclake_flusher.queue import Queue
from cclake_flusher.report import look
from cclake_flusher.room import mark_delivered, settle
from cclake_flusher.search import ReaderIndexes
from cclake_flusher.state import State
from cclake_flusher.suspicion import suspect
from cclake_flusher.verdict import describe
from cclake_flusher.wake import Wake

QUIET_S = 2.0
BACKLOG = 1 << 20
CHECK_EVERY_S = 60.0


@dataclass(frozen=True)
class Settings:
    """How the flusher works.

    Attributes:
        path: The buffer.
        host: The name of this machine, for the watermark.
        count: Most lines in one batch.
        size: Most bytes in one batch, give or take one line.
        interval_s: Longest sleep; changes of the buffer wake it before.
    """

    path: Path
    host: str
    count: int = 1000
    size: int = 8_000_000
    interval_s: float = 5.0


class Flusher:
    """Delivers a buffer until it is asked to stop, then what is queued."""

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
        self._guard = Guard()
        self._backoff = Backoff()
        self._queue: Queue | None = None
        self._generations: Generations | None = None
        self._prepared = False
        self._last_lines = self._checked = time.monotonic()
        self._handled = 0  # bytes since memory was given back

    def run(self) -> None:
        """Work until asked to stop; then drain, as long as MongoDB answers."""
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
        """Do what there is to do; false when nothing is left for now."""
        try:
            return self._open() and self._work()
        except PyMongoError as error:
            return self._wait_after("mongo", error)
        except sqlite3.Error as error:
            self._state.buffer_problem = describe(error)
            suspect(self._settings.path, error)
            self._close_queue()
            return self._wait_after("buffer", error)

    def _open(self) -> bool:
        """Have an open queue; false while there is no buffer yet."""
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
        started = time.perf_counter()
        lines = queue.read(self._settings.count, self._settings.size)
        if lines:
            generations.lift(lines)
            outcome, documents = self._delivery.deliver(lines, queue.buffer)
            self._answered()
            self._note_latency([line.at for line in lines])
            queue.acknowledge(lines[-1].seq, outcome)
            self._state.delivered += outcome.delivered
            self._state.duplicates += outcome.duplicates
            self._guard.look(documents)
        self._finish(queue, generations)
        if lines:
            self._last_lines = time.monotonic()
            self._handled += sum(line.len for line in lines)
            self._state.batches += 1
            self._state.batch_s.append(time.perf_counter() - started)
            return True
        return self._idle(queue)

    def _finish(self, queue: Queue, generations: Generations) -> None:
        """Write what depends on the batch, in the order that is safe at any kill.

        What an error of MongoDB left undone is made good by the next call: no row
        leaves the buffer before the watermark is above it.
        """
        checkpoints = queue.undelivered()
        if checkpoints:
            generations.lift(checkpoints)
            records.write_files(self._mongo, checkpoints, queue.buffer)
            self._answered()
        if queue.marked < queue.acked:
            records.move_watermark(
                self._mongo, queue.buffer, self._settings.host, queue.acked
            )
            queue.marked = queue.acked
            self._state.last_sync = time.time()
        if queue.owes:
            settle(queue, self._state)
        if checkpoints:
            mark_delivered(queue, checkpoints, self._state)

    def _idle(self, queue: Queue) -> bool:
        if time.monotonic() - self._checked > CHECK_EVERY_S:
            look(self._settings.path)
            self._checked = time.monotonic()
        quiet = time.monotonic() - self._last_lines > QUIET_S
        if quiet and queue.acked and not self._stop:
            self._indexes.build()
            self._state.index_problem = self._indexes.problem
        if quiet and self._handled > BACKLOG:
            self._handled = 0
            give_back()
        self._guard.write(self._mongo, now=bool(self._stop))
        if queue.is_replaced():
            # What it held has been delivered; the next one is another buffer.
            self._close_queue()
            return self._settings.path.exists()
        return False

    def _answered(self) -> None:
        self._state.answered()
        self._backoff.reset()

    def _note_latency(self, committed: list[float]) -> None:
        now = time.time()
        waited = (max(0.0, now - at) for at in committed)
        self._state.latencies_ms.extend(seconds * 1000 for seconds in waited)

    def _wait_after(self, kind: str, error: Exception) -> bool:
        """Wait before the next try; false, which ends a drain, once asked to stop."""
        wait = self._backoff.next()
        problem = describe(error)
        if problem.split(",")[0] != self._state.problem.split(",")[0]:
            print(f"flusher: {visible(problem)}; trying again", file=sys.stderr)
        self._state.failed(kind, problem, wait)
        if self._stop:
            return False
        select.select([self._stop.fd], [], [], wait)
        return True

    def _close_queue(self) -> None:
        if self._queue is not None:
            self._queue.close()
            self._queue = None
