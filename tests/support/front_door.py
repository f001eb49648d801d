"""A whole stack for a test, started and stopped as a user does."""

import contextlib
import os
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import forkserver
import psutil
from harness import PATIENCE, connect, free_port

ROOT = Path(__file__).resolve().parents[2]
# They start nothing that stays, so they are forked.
QUICK = ("check-metabase", "pipeline", "status", "validate", "verify")


class Begun:
    """A command that runs beside the test.

    Attributes:
        out: What it has printed to stdout, once it has ended.
        err: The same of stderr; until then what `until` has read.
        returncode: Its exit code, once it has ended.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.out = self.err = ""
        self.returncode: int | None = None
        self._file = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by end
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdout=self._file,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, words: str) -> str:
        """Wait for a line on stderr that has these words; gives the line."""
        assert self._process.stderr
        for line in self._process.stderr:
            self.err += line
            if words in line:
                return line
        raise AssertionError(f"it ended without {words!r}: {self.err}")

    def end(self) -> None:
        """Wait for its end."""
        self.err += self._process.communicate(timeout=PATIENCE)[1]
        self.returncode = self._process.returncode
        self._file.seek(0)
        self.out = self._file.read()
        self._file.close()


class Stack:
    """A stack of its own: data directory, folder of logs, free ports."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "data"
        self.logs = folder / "claude" / "projects"
        self.ports = {
            name: free_port() for name in ("HEALTH_PORT", "PIPELINE_PORT", "WEB_PORT")
        }
        keep = {
            name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ
        }
        self.environment = keep | {
            "HOME": str(folder),
            "CCLAKE_HOME": str(self.home),
            "CCLAKE_HOST": "testhost",
            "CLAUDE_DIR": str(self.logs),
            "COLUMNS": "200",
            **{name: str(port) for name, port in self.ports.items()},
        }

    def just(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        forks = forkserver.environment() if words[0] in QUICK else {}
        return subprocess.run(
            [str(ROOT / "just"), *words],
            env=self.environment | forks | more,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def begin(self, *words: str) -> "Begun":
        """Begin a recipe, which goes on beside the test."""
        return Begun([str(ROOT / "just"), *words], self.environment)

    def documents(self) -> list[dict[str, Any]]:
        with connect(self.uri()) as client:
            return list(client.claude_logs.conversations.find({}, {"source": 1}))

    def uri(self) -> str:
        return f"mongodb://{quote(str(self.home / 'mongo.sock'), safe='')}"

    def lines(self) -> int:
        return sum(
            path.read_bytes().count(b"\n") for path in self.logs.rglob("*.jsonl")
        )

    def page(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.ports['WEB_PORT']}{path}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def kill_all(self) -> None:
        """Kill what still runs, if anything."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def processes(self) -> list[psutil.Process]:
        mine = str(self.home)
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("CCLAKE_HOME") == mine:
                    found.append(process)
            except psutil.Error:
                continue
        return found
