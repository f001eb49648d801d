"""The small server answers this machine only, and survives who hangs up."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from cclake_common.loopback import ADDRESS, Answer, Server, host_name, serve

ROUTES = {
    "/health": lambda: Answer.health({"status": "well"}),
    "/much": lambda: Answer(b"well\n" * 200_000, "text/plain"),
    "/failing": lambda: Answer.health({"status": "failing"}),
    "/metrics": lambda: Answer.metrics(b"up 1\n"),
}


@pytest.fixture
def server() -> Iterator[Server]:
    made = serve(0, ROUTES)
    yield made
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


@pytest.mark.parametrize(
    ("path", "status", "holds"),
    [
        ("/", b"200", b'"status": "well"'),
        ("/health/?now=1", b"200", b'"status": "well"'),
        ("/failing", b"503", b"application/json"),
        ("/metrics", b"200", b"text/plain; version=0.0.4"),
        ("/nothing", b"404", b"try /health, /much, /failing, /metrics"),
    ],
)
def test_a_path_is_answered_by_its_route(
    server: Server, path: str, status: bytes, holds: bytes
) -> None:
    answer = ask(server, f"GET {path} HTTP/1.1", "Host: localhost")
    assert answer.split()[1] == status
    assert holds in answer


def test_a_port_that_is_in_use_is_an_error(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        serve(server.server_port, ROUTES)


def test_a_name_is_known_without_its_port() -> None:
    assert host_name(" LocalHost:80 ") == "localhost"
    assert host_name("[::1]:80") == "[::1]"
