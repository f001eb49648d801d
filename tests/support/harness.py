"""Real servers and processes for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cclake_stack.mongod import private_command
from pymongo import MongoClient
from pymongo.errors import PyMongoError

BIN = Path(sys.executable).parent

# Seconds that a test waits for an event, or for the end of a process, before it fails.
# This only ends a hang; nothing is measured with it. Set TEST_PATIENCE=2 on a machine
# that needs twice as long.
PATIENCE = 240 * float(os.environ.get("TEST_PATIENCE", "1"))


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(
    condition: Callable[[], object],
    what: str = "condition",
    patience: float = PATIENCE,
) -> None:
    """Wait until a condition holds; fail after `PATIENCE` seconds.

    The processes that are waited for need the time that it takes to look.
    """
    deadline = time.monotonic() + patience
    began = time.monotonic()
    while not condition():
        looked = time.monotonic()
        if looked > deadline:
            raise AssertionError(f"{what}: not within {patience:g} s")
        time.sleep(min(max(0.02, 3 * (looked - began)), 0.5))
        began = time.monotonic()


def connect(uri: str, **options: Any) -> MongoClient[dict[str, Any]]:
    """A client of the server itself, not of the set that it may belong to."""
    return MongoClient(uri, directConnection=True, **options)


class Mongod:
    """A real mongod on a free port, with its data in a folder of the test."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.folder = folder
        self.options = options
        self.port = port or free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Mongod":
        """Start it and wait until it answers."""
        dbpath = self.folder / "db"
        dbpath.mkdir(parents=True, exist_ok=True)
        command = private_command(
            dbpath, "--port", str(self.port), "--bind_ip", "127.0.0.1", "--nounixsocket"
        )
        log = ("--logpath", str(self.folder / "mongod.log"), "--logappend")
        self.process = subprocess.Popen(
            [*command, *log, *self.options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._answers_or_ended, "mongod answers")
        if self.process.poll() is not None:
            raise AssertionError(f"mongod ended: see {self.folder}/mongod.log")
        return self

    def _answers_or_ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None or self.answers()

    def answers(self) -> bool:
        """Whether a ping succeeds now."""
        try:
            with connect(self.uri, serverSelectionTimeoutMS=500) as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True

    def kill(self) -> None:
        """Kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Shut it down cleanly."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, number)
            self.process.wait(PATIENCE)
