"""A second process that reads shares of the documents; `extract` starts it.

It is sent a `Start` and then `Share`s, pickled, and answers each with counts of
documents while it reads, and then with a `Piece` or a `Trouble`. It ends with its
input, and with its parent.
"""

import gc
import os
import pickle
import signal
import sys
from dataclasses import dataclass
from typing import IO, NoReturn

from cclake_archive.client import Document, connect
from cclake_common.stop import die_with_parent
from pymongo.errors import PyMongoError

from cclake_extract.parquet import Destination
from cclake_extract.reader import Reader

TOLD = 2_000


@dataclass(frozen=True)
class Start:
    """What the process needs to know for all shares."""

    uri: str
    database: str
    destination: Destination
    extra: Document | None


@dataclass(frozen=True)
class Trouble:
    """An error of the kinds that `extract` explains, in words."""

    is_mongo: bool
    text: str


class Counts:
    """Tells the parent how many documents were read, but not of each few."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._count = 0

    def add(self, count: int) -> None:
        """Note documents."""
        self._count += count
        if self._count >= TOLD:
            self.tell()

    def tell(self) -> None:
        """Send what was noted."""
        send(self._out, self._count)
        self._count = 0


def serve(source: IO[bytes], out: IO[bytes]) -> None:
    """Read shares until the input ends."""
    start: Start = pickle.load(source)
    counts = Counts(out)
    with connect(start.uri, "extract") as client:
        reader = Reader(
            client[start.database], start.destination, counts.add, start.extra
        )
        while True:
            try:
                share = pickle.load(source)
            except EOFError:
                return
            try:
                answer: object = reader.read(share)
            except (PyMongoError, OSError) as error:
                answer = Trouble(isinstance(error, PyMongoError), str(error))
            counts.tell()
            send(out, answer)


def send(out: IO[bytes], message: object) -> None:
    """Send one message."""
    pickle.dump(message, out)
    out.flush()


def stop(_number: int, _frame: object) -> NoReturn:
    """End as by an exception, so that half a file is removed."""
    raise SystemExit(1)


def main() -> None:
    """Serve the parent; a Ctrl-C is the parent's to answer."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)
    gc.set_threshold(100_000)
    code = 1
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # whatever a library prints is no message
        try:
            serve(sys.stdin.buffer, out)
            code = 0
        except (BrokenPipeError, EOFError, SystemExit):
            pass  # the parent is gone, or has had enough
        os._exit(code)  # without waiting for the threads of libraries


if __name__ == "__main__":
    main()
