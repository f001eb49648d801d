"""Log files through the real tools of the project, from the tailer to the exports."""

import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forkserver
import pytest
from corpus import deliver
from harness import BIN, PATIENCE


class Chain:
    """A data directory of its own, a database of its own, and the tools on them."""

    def __init__(self, folder: Path, uri: str, database: str) -> None:
        self.folder = folder
        self.home = folder / "cclake"
        self.gold = self.home / "analytics.duckdb"
        self.exports = self.home / "exports"
        self.env = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder / "home"),
            "CCLAKE_HOME": str(self.home),
            "CCLAKE_HOST": "testhost",
            "CCLAKE_REST_SECONDS": "0",
            "MONGO_URI": uri,
            "MONGO_DB": database,
            "DO_NOT_TRACK": "1",
            "TZ": "UTC",
            **forkserver.environment(),
        }
        (folder / "home").mkdir(parents=True, exist_ok=True)

    def archive(self, root: Path, host: str = "testhost") -> None:
        """Bring what is new below a root into MongoDB."""
        self.read(root, host)
        self.deliver()

    def deliver(self) -> None:
        """Bring what the buffer holds into MongoDB."""
        deliver(self.home / "buffer.db", self.env)

    def read(self, root: Path, host: str = "testhost") -> None:
        """Bring what is new below a root into the buffer."""
        script = (
            "buffer append < <(tailer --once"
            ' --resume <(buffer checkpoints --host "$CCLAKE_HOST"))'
        )
        env = self.env | {"CLAUDE_DIR": str(root), "CCLAKE_HOST": host}
        subprocess.run(
            ["bash", "-euc", script], env=env, check=True, timeout=2 * PATIENCE
        )

    def tool(
        self, name: str, *arguments: str | Path
    ) -> "subprocess.CompletedProcess[str]":
        """Run a tool to its end; the caller looks at its exit status."""
        return subprocess.run(
            [BIN / name, *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def answer(self, name: str, *arguments: str | Path) -> Any:
        """Run a tool with --json; return what it printed."""
        done = self.tool(name, *arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def shared(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]
) -> Path:
    """Return a folder that `make` filled once for all worker processes of this run."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "shared" / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            make(folder / "made")
            (folder / "whole").touch()
    return folder / "made"
