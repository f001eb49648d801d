"""Processes that work on a lake and are killed, and the documents that they take."""

import contextlib
import multiprocessing
import random
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import lake_workers
from cclake_extract.watermark import state_of
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from documents import documents, store
from harness import PATIENCE
from pymongo.database import Database

BUFFERS = ("a" * 32, "b" * 32, "c" * 32)

# One commit takes 200,000 calls or more, and so does one act of maintenance.
STEPS = 250_000

Work = Callable[[str, str, str], None]


class Writer:
    """Acknowledges documents of three buffers, so that there is always work."""

    AHEAD = 200

    def __init__(self, db: Database[dict[str, Any]], lake: Lake) -> None:
        self.db = db
        self.lake = lake
        self.dice = random.Random(3)
        self.last = dict.fromkeys(BUFFERS, 0)

    def write(self) -> None:
        """Acknowledge more than the table has."""
        marks = state_of(require_table(self.lake)).watermarks
        there = sum(marks.get(buffer, 0) for buffer in BUFFERS)
        while sum(self.last.values()) < there + self.AHEAD:
            self._batch()

    def _batch(self) -> None:
        buffer = self.dice.choice(BUFFERS)
        count = self.dice.randint(1, 60)
        first = self.last[buffer] + 1
        self.last[buffer] += count
        last = self.last[buffer]
        found = list(documents(first, last, buffer=buffer, host=buffer[:1]))
        # A batch that is half acknowledged, and then wholly.
        store(self.db, found, acked=last - count // 2)
        self.db["watermarks"].update_one({"_id": buffer}, {"$set": {"acked_seq": last}})


class Victim:
    """A process that works, says when it has done a part, and may be killed."""

    def __init__(self, work: Work, where: tuple[str, str, str]) -> None:
        self.work, self.where = work, where
        self.dice = random.Random(work.__name__)
        self._start()

    def _start(self) -> None:
        # Starts in milliseconds, so that a kill meets work and not imports.
        processes = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload(["lake_workers"])
        self.steps, theirs = processes.Pipe(duplex=False)
        seed = self.dice.randrange(1 << 30)
        self.process: BaseProcess = processes.Process(
            target=lake_workers.announced,
            args=(self.work, theirs, STEPS, seed, self.where),
        )
        self.process.start()
        theirs.close()

    def works(self) -> None:
        """Wait until it has done a further part of its work."""
        with contextlib.suppress(EOFError):
            while self.steps.poll():
                self.steps.recv_bytes()
            assert self.steps.poll(PATIENCE), f"{self.work.__name__}: does not work"
            self.steps.recv_bytes()
            return
        raise AssertionError(f"{self.work.__name__}: ended by itself")

    def kill(self) -> None:
        self.process.kill()
        self.process.join(PATIENCE)
        self.steps.close()

    def replace(self) -> None:
        """Kill it and start the next one."""
        self.kill()
        self._start()


@contextlib.contextmanager
def working(*victims: Victim) -> Iterator[tuple[Victim, ...]]:
    try:
        yield victims
    finally:
        for victim in victims:
            victim.kill()
