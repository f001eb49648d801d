"""Run a stage as a process: read stdout by lines, show and keep stderr."""

import codecs
import os
import pty
import re
import select
import selectors
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from cclake_common.settings import mask
from cclake_common.stop import Stop, die_with_parent
from cclake_common.visible import visible_lines

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]")
_TAIL_BYTES = 16_384
_TAIL_LINES = 12

OnLine = Callable[[str], bool]


class StageProcess:
    """A running process of a stage; it ends when this process does.

    On a terminal, its stderr is a terminal too, so that it draws its own bars.

    Args:
        argv: Its command line.
        env: Its environment.
        draws: Whether it draws bars. If not, its text is shown without control
            characters.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        draws: bool = True,
    ) -> None:
        self._tail: deque[bytes] = deque(maxlen=64)
        self._text = None if draws else codecs.getincrementaldecoder("utf-8")("replace")
        shown = sys.stderr.isatty()
        reader, writer = pty.openpty() if shown and draws else os.pipe()
        columns = str(shutil.get_terminal_size().columns)
        try:
            self.process = subprocess.Popen(
                argv,
                env=dict(env) | ({"COLUMNS": columns} if shown else {}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=writer,
                # In a group of its own, it gets a Ctrl-C once, from us.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        finally:
            os.close(writer)
        self._err = reader
        self._shown = shown

    def send(self, line: str, shown: bool = True) -> None:
        """Write one line to its stdin.

        Args:
            line: Without its end.
            shown: Whether the user sees what it then writes to stderr.
        """
        self._shown = shown and sys.stderr.isatty()
        stdin = self._pipe(self.process.stdin)
        stdin.write(line.encode() + b"\n")
        stdin.flush()

    def follow(self, on_line: OnLine, stop: Stop | None = None) -> bool:
        """Read its output until it ends, or until `on_line` returns true.

        Args:
            on_line: Called with each line of stdout; a true result ends the reading.
            stop: If given, a request to stop is passed on to the process.

        Returns:
            Whether `on_line` returned true; if not, stdout has ended.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        stdout, pending = self._pipe(self.process.stdout).fileno(), ""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(self._err, selectors.EVENT_READ)
            if stop:
                self._pass_on()
            elif stop is not None:
                selector.register(stop.fd, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if stop is not None and key.fd == stop.fd:
                        selector.unregister(stop.fd)
                        self._pass_on()
                    elif key.fd == self._err:
                        if not self._relay():
                            selector.unregister(self._err)
                    else:
                        data = os.read(stdout, 65_536)
                        *lines, pending = (pending + decoder.decode(data)).split("\n")
                        if any(on_line(line) for line in lines):
                            return True
                        if not data:
                            return bool(pending) and on_line(pending)

    def close(self) -> int:
        """Close its stdin, and wait for its end.

        Returns:
            Its exit code, negative for a signal.
        """
        if self.process.stdin:
            self.process.stdin.close()
        while self.process.poll() is None:
            if select.select([self._err], [], [], 0.05)[0] and not self._relay():
                break
        code = self.process.wait()
        self._drain()
        os.close(self._err)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def tail(self) -> str:
        """Return the last lines that it wrote to stderr, passwords masked."""
        text = b"".join(self._tail)[-_TAIL_BYTES:].decode(errors="replace")
        plain = _ANSI.sub("", text).replace("\r", "\n")
        lines = [line.rstrip() for line in plain.split("\n") if line.strip()]
        return mask("\n".join(lines[-_TAIL_LINES:]))

    def _relay(self) -> bool:
        try:
            data = os.read(self._err, 65_536)
        except OSError:  # the end, or a pty whose other side is closed
            return False
        self._tail.append(data)
        if self._shown and data:
            shown = data
            if self._text is not None:
                plain = _ANSI.sub("", self._text.decode(data))
                shown = visible_lines(plain).encode()
            os.write(sys.stderr.fileno(), shown)
        return bool(data)

    def _drain(self) -> None:
        """Read the rest of stderr, without waiting for more."""
        os.set_blocking(self._err, False)
        while self._relay():
            pass

    def _pass_on(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream
