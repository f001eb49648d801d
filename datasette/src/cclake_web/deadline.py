"""The time that a page may take, for all that is done for it besides SQL."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_END: ContextVar[float] = ContextVar("cclake_deadline", default=float("inf"))


@contextmanager
def within(seconds: float) -> Iterator[float]:
    """Have `check` fail after some seconds; gives the moment on the monotonic clock."""
    end = time.monotonic() + seconds
    token = _END.set(end)
    try:
        yield end
    finally:
        _END.reset(token)


def check() -> None:
    """Give up where the time is over.

    Raises:
        sqlite3.OperationalError: "interrupted", as of a question that takes too long.
    """
    if time.monotonic() > _END.get():
        raise sqlite3.OperationalError("interrupted")
