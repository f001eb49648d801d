"""A whole stack for a test, started and stopped as a user does."""

import contextlib
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import psutil
from harness import PATIENCE, connect, free_port

ROOT = Path(__file__).resolve().parents[2]


class Stack:
    """A stack of its own: data directory, folder of logs, free ports."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "data"
        self.logs = folder / "claude" / "projects"
        self.ports = {
            name: free_port()
            for name in ("MONGO_PORT", "HEALTH_PORT", "PIPELINE_PORT", "WEB_PORT")
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
        return subprocess.run(
            [str(ROOT / "just"), *words],
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def documents(self) -> list[dict[str, Any]]:
        uri = f"mongodb://127.0.0.1:{self.ports['MONGO_PORT']}"
        with connect(uri) as client:
            return list(client.claude_logs.conversations.find({}, {"source": 1}))

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
