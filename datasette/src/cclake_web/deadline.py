"""Limit the time of a page for its work besides SQL."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_END: ContextVar[float] = ContextVar("cclake_deadline", default=float("inf"))


@contextmanager
def within(seconds: float) -> Iterator[float]:
    """Make `check` fail after some seconds; yield that time (time.monotonic)."""
    end = time.monotonic() + seconds
    token = _END.set(end)
    try:
        yield end
    finally:
        _END.reset(token)


def check() -> None:
    """Raise an error if the time is over.

    Raises:
        sqlite3.OperationalError: "interrupted", as for a query that takes too long.
    """
    if time.monotonic() > _END.get():
        raise sqlite3.OperationalError("interrupted")
