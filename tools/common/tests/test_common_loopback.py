"""The small server answers this machine only, and survives who hangs up."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from cclake_common.loopback import ADDRESS, Handler, Server, host_name


class Answers(Handler):
    def do_GET(self) -> None:
        self.answer(
            200, "text/plain", b"well\n" * (200_000 if "much" in self.path else 1)
        )


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server((ADDRESS, 0), Answers)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def ask(server: Server, *lines: str) -> bytes:
    with socket.create_connection((ADDRESS, server.server_port)) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /health HTTP/1.1", "Host: 127.0.0.1:9090"], b"200"),
        (["GET /health HTTP/1.1", "Host: LOCALHOST"], b"200"),
        (["GET /health HTTP/1.1", "Host: [::1]:9090"], b"200"),
        (["GET /health HTTP/1.0"], b"200"),
        (["GET /health HTTP/1.1", "Host: metrics.example"], b"200"),
        (["GET /health HTTP/1.1", "Host: evil.example"], b"403"),
        (["GET /health HTTP/1.1", "Host: 127.0.0.1.evil.example:9090"], b"403"),
        (["GET /health HTTP/1.0", "Host: evil.example"], b"403"),
        (["GET /health HTTP/1.1", "Host: localhost", "Host: evil.example"], b"403"),
        (["GET /health HTTP/1.1"], b"403"),
        (["GET /health HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: cross-site"], b"403"),
        (["GET /health HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: same-site"], b"403"),
        (["GET /health HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: none"], b"200"),
    ],
)  # fmt: skip
def test_only_requests_by_a_name_of_this_machine_are_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch, lines: list[str], status: bytes
) -> None:
    monkeypatch.setenv("CCLAKE_ALLOWED_HOSTS", "metrics.example")
    answer = ask(server, *lines)
    assert answer.split()[1] == status
    assert (b"well" in answer) == (status == b"200")


def test_a_client_that_hangs_up_leaves_no_traceback(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    for text in ("", "GET /mu", "GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        for reads in (0, 10):
            with socket.create_connection((ADDRESS, server.server_port)) as client:
                client.sendall(text.encode())
                if reads and text.endswith("\n"):
                    client.recv(reads)
                client.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
    while any("process_request" in one.name for one in threading.enumerate()):
        pass  # a thread for each request, which ends with it
    assert b"well" in ask(server, "GET /health HTTP/1.1", "Host: localhost")
    assert "Traceback" not in capfd.readouterr().err


def test_a_name_is_known_without_its_port() -> None:
    assert host_name(" LocalHost:80 ") == "localhost"
    assert host_name("[::1]:80") == "[::1]"
