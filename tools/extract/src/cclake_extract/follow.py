"""Extracting as long as it runs: whenever MongoDB acknowledges more."""

import time
from collections.abc import Callable

from cclake_archive.client import Document
from cclake_archive.watermarks import acknowledged
from cclake_common.stop import Stop
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

POLL_S = 0.5
PAUSE_S = 2.0


def follow(
    database: Database[Document],
    work: Callable[[], object],
    stop: Stop,
    interval: float,
) -> None:
    """Call `work` at once, and again whenever a watermark has moved.

    Args:
        database: Where `watermarks` is.
        work: One extraction; a lost connection to MongoDB is tried again.
        stop: Ends the waiting, never an extraction.
        interval: Least seconds between two extractions: each is a commit.
    """
    while not stop:
        started = time.monotonic()
        try:
            before = acknowledged(database)
            work()
            pause(stop, interval - (time.monotonic() - started))
            wait_for_change(database, before, stop)
        except PyMongoError:
            pause(stop, PAUSE_S)


def wait_for_change(
    database: Database[Document], before: dict[str, int], stop: Stop
) -> None:
    """Return when a watermark differs from `before`, or at a stop.

    A replica set tells; a standalone is asked for its few watermarks.
    """
    try:
        with database["watermarks"].watch(max_await_time_ms=int(POLL_S * 1000)) as feed:
            while not stop and acknowledged(database) == before:
                while not stop and feed.try_next() is None:
                    pass
    except OperationFailure:
        while not stop and acknowledged(database) == before:
            pause(stop, POLL_S)


def pause(stop: Stop, seconds: float) -> None:
    """Sleep, but not through a stop."""
    end = time.monotonic() + seconds
    while not stop and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
