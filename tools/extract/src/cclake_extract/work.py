"""Shares in hand: given out to threads, taken back in their order."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from cclake_extract.reader import Piece
from cclake_extract.shares import Share


class Task:
    """A share, and what becomes of it."""

    def __init__(self, share: Share | None) -> None:
        self.share = share
        self.piece: Future[Piece] = Future()

    def run(self, read: Callable[[Share], Piece]) -> bool:
        """Read it; a failure waits for this share's turn, and gives False."""
        assert self.share
        try:
            self.piece.set_result(read(self.share))
        except BaseException as error:
            self.piece.set_exception(error)
            return False
        return True


class Work:
    """The shares that are still to be read.

    Args:
        shares: All of them, in the order of their commits.
        ahead: How many may be in hand at once.
    """

    def __init__(self, shares: Iterator[Share], ahead: int) -> None:
        self._shares = shares
        self._ahead = ahead
        self._change = threading.Condition()
        self._over = False
        self.tasks: deque[Task] = deque()

    def take(self, wait: bool = True) -> Task | None:
        """The next share; None when there is none, or too many are in hand."""
        with self._change:
            while wait and not self._over and len(self.tasks) >= self._ahead:
                self._change.wait()
            if self._over or len(self.tasks) >= self._ahead:
                return None
            try:
                task = Task(next(self._shares))
            except StopIteration:
                self._over = True
                return None
            except Exception as error:
                self._over = True
                task = Task(None)
                task.piece.set_exception(error)
                self.tasks.append(task)
                return None
            self.tasks.append(task)
            return task

    def done(self) -> None:
        """Take the oldest one out of hand."""
        with self._change:
            self.tasks.popleft()
            self._change.notify_all()

    def end(self) -> None:
        """Give out no more."""
        with self._change:
            self._over = True
            self._change.notify_all()

    def finished(self) -> list[Piece]:
        """What was made and not taken out of hand."""
        return [
            task.piece.result()
            for task in self.tasks
            if task.piece.done() and not task.piece.exception()
        ]
