"""Reading by one process, or by several where there is much; pieces come in order."""

import os
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cclake_extract.child import Start
from cclake_extract.process import Process
from cclake_extract.reader import Piece, Reader
from cclake_extract.shares import Share
from cclake_extract.work import Work

AHEAD = 2
"""Shares in hand per process, with those that wait for an older one."""


@dataclass(frozen=True)
class Crew:
    """How many processes may read, and the address of MongoDB for the others."""

    uri: str = ""
    processes: int = 1

    @classmethod
    def of(cls, uri: str, processes: int | None) -> "Crew":
        """So many processes; where nothing is said two, or one on one core."""
        return cls(uri, processes or min(2, cores()))


ALONE = Crew()


def cores() -> int:
    """On how many cores this process may run."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pieces(
    shares: Iterator[Share], reader: Reader, starts: list[Start]
) -> Generator[tuple[Share, Piece]]:
    """Read shares here and in a further process for each of `starts`.

    What is not taken over is removed: close the iterator when it is left early.

    Raises:
        PyMongoError: MongoDB fails.
        OSError: A file can't be written.
        Failure: A process has ended.
    """
    work = Work(shares, AHEAD * (1 + len(starts)))
    with _others(work, reader, starts):
        while True:
            while work.tasks and work.tasks[0].piece.done():
                task = work.tasks[0]
                piece = task.piece.result()
                work.done()
                assert task.share
                yield task.share, piece
            if (task_here := work.take(wait=False)) and task_here.share:
                task_here.piece.set_result(reader.read(task_here.share))
            elif work.tasks:
                work.tasks[0].piece.exception()  # waits for it
            else:
                return


@contextmanager
def _others(work: Work, reader: Reader, starts: list[Start]) -> Iterator[None]:
    """Further processes that take shares, each with a thread that talks to it."""
    others: list[Process] = []
    threads: list[threading.Thread] = []
    try:
        for start in starts:
            others.append(Process(start))
            threads.append(
                threading.Thread(target=_serve, args=(work, others[-1], reader))
            )
            threads[-1].start()
        yield
    finally:
        work.end()
        for other in others:
            other.end()
        for thread in threads:
            thread.join()
        for other in others:
            other.close()
        for piece in work.finished():
            reader.discard(piece)


def _serve(work: Work, other: Process, reader: Reader) -> None:
    while task := work.take():
        if not task.run(lambda share: other.read(share, reader.advance)):
            return
