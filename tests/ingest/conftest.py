"""Fixtures of the tests that take MongoDB, or whole machines, away."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Mongod
from live import Live


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mongod]:
    """A mongod of this test alone: it may be killed."""
    server = Mongod(tmp_path / "mongod").start()
    yield server
    server.kill()


@pytest.fixture
def live(tmp_path: Path, server: Mongod) -> Iterator[Live]:
    """Tailer, buffer and flusher of this test alone, on `server`."""
    with Live(tmp_path, server.uri) as live:
        yield live
