"""The second process, as `extract` sees it."""

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Callable

from cclake_common.failure import TRY_LATER, Failure
from pymongo.errors import PyMongoError

from cclake_extract.child import Start, Trouble, send
from cclake_extract.reader import Piece
from cclake_extract.shares import Share

END_S = 10


class Process:
    """Reads one share at a time in a process of its own.

    It has no terminal and a process group of its own: a Ctrl-C or the signal of a
    supervisor reaches `extract` alone, which then ends it. Make it in a thread that
    stays: on Linux it dies with that.
    """

    def __init__(self, start: Start) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cclake_extract.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        with contextlib.suppress(BrokenPipeError):  # the first answer tells
            self._send(start)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def read(self, share: Share, advance: Callable[[int], None]) -> Piece:
        """What `Reader.read` does, over there.

        Raises:
            PyMongoError: MongoDB fails.
            OSError: A file can't be written.
            Failure: The process has ended.
        """
        assert self._process.stdout
        try:
            self._send(share)
            while isinstance(answer := pickle.load(self._process.stdout), int):
                advance(answer)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError) as error:
            raise self._ended() from error
        if isinstance(answer, Trouble):
            raise (PyMongoError if answer.is_mongo else OSError)(answer.text)
        piece: Piece = answer
        return piece

    def end(self) -> None:
        """End it; half a file is removed by itself, unless it does not answer."""
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Close the pipes; only when nobody reads from them any more."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe
                pipe.close()

    def _send(self, message: object) -> None:
        assert self._process.stdin
        send(self._process.stdin, message)

    def _ended(self) -> Failure:
        code = self._process.wait(END_S)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        return Failure(
            f"the second process of the extraction {how}",
            "run it again: it goes on where it was; with --processes 1 it needs none",
            TRY_LATER,
        )
