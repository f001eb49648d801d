"""A TCP proxy on the loopback interface that does what networks do."""

import contextlib
import socket
import ssl
import threading
import time
from types import TracebackType

from harness import PATIENCE, free_port


class Proxy:
    """Forwards connections to a port of this machine.

    Args:
        target: The port.
        tls: Speaks TLS with the clients, and plainly with the port.

    Attributes:
        port: Where it listens.
        cut_replies: While it is above 0, replies to inserts are swallowed, and the
            connection is cut; it counts down.
        black_hole: While set, nothing is forwarded and nothing is closed.
        trickle: While set, one byte a second is forwarded in each direction.
        cuts: How many connections were cut.
        trickled: How many bytes were forwarded one by one.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.port = free_port()
        self.cut_replies = 0
        self.black_hole = threading.Event()
        self.trickle = threading.Event()
        self.cuts = 0
        self.trickled = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.trickle.clear()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            _close(each)
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                if self._tls:
                    try:
                        client = self._tls.wrap_socket(client, server_side=True)
                    except OSError:  # a client that does not trust us
                        client.close()
                        continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                sent: list[bytes] = [b""]
                for source, target, is_reply in (
                    (client, server, False),
                    (server, client, True),
                ):
                    thread = threading.Thread(
                        target=self._pump,
                        args=(source, target, is_reply, sent),
                        daemon=True,
                    )
                    self._threads.append(thread)
                    thread.start()

    def _pump(
        self,
        source: socket.socket,
        target: socket.socket,
        is_reply: bool,
        last: list[bytes],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self.black_hole.is_set():
                    continue
                if not is_reply:
                    last[0] = last[0][-200:] + data[:2000]
                elif self.cut_replies > 0 and b"insert\0" in last[0]:
                    self.cut_replies -= 1
                    self.cuts += 1
                    break
                target.sendall(data[self._dribble(data, target) :])
        _close(source)
        _close(target)

    def _dribble(self, data: bytes, target: socket.socket) -> int:
        """Send byte after byte while it is to trickle; how many were sent."""
        for sent in range(len(data)):
            if not self.trickle.is_set():
                return sent
            target.sendall(data[sent : sent + 1])
            self.trickled += 1
            next_byte = time.monotonic() + 1
            while self.trickle.is_set() and time.monotonic() < next_byte:
                time.sleep(0.02)
        return len(data)


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
