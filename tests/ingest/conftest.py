"""Fixtures of the tests that stop MongoDB or whole machines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Mongod
from live import Live


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mongod]:
    """A mongod for one test, which may kill it."""
    server = Mongod(tmp_path / "mongod").start()
    yield server
    server.kill()


@pytest.fixture
def live(tmp_path: Path, server: Mongod) -> Iterator[Live]:
    """Tailer, buffer and flusher for one test, on `server`."""
    with Live(tmp_path, server.uri) as live:
        yield live
