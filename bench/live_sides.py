"""The two that `bench/live.py` compares: this stack and AgentsView."""

import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil
from front_door import ROOT, Stack
from harness import free_port
from live_logs import TURN, Logs

LIMIT_S = 1800.0
POLL_S = 0.02
COLD_POLL_S = 0.5  # to ask more often would take CPU from the start itself
AGENTSVIEW = "agentsview==0.46.1"
STORES = ("mongo", "iceberg", "analytics.duckdb", "exports", "buffer.db", "logs")


class Side(Protocol):
    """The measurements of each side."""

    name: str
    logs: Logs

    def start(self, word: str, sessions: list[str]) -> dict[str, float]:
        """Start on an empty data directory; return seconds until it shows all."""

    def finds(self, word: str, sessions: list[str]) -> bool:
        """Return whether its search finds a word in all these sessions."""

    def nothing_new(self) -> float:
        """Return the seconds of a synchronisation that has nothing to do."""

    def processes(self) -> list[psutil.Process]:
        """Return all its processes."""

    def disk(self) -> dict[str, int]:
        """Return the bytes on the disk by store."""

    def stop(self) -> None:
        """End all its processes."""


class Ours:
    """The stack as `./just up` starts it."""

    name = "ours"

    def __init__(self, folder: Path, lines: int) -> None:
        self.logs = Logs(folder / "claude", lines)
        self.stack = Stack(folder)
        self.stack.environment["TZ"] = "UTC"
        port = self.stack.ports["WEB_PORT"]
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self._word: tuple[str, list[str]] = ("", [])
        self.answers = 0  # responses that were appended
        self.day = f"{time.strftime('%Y-%m-%d', time.gmtime())}"

    def start(self, word: str, sessions: list[str]) -> dict[str, float]:
        """Time `./just up` until the pages count and find everything."""
        first, self._word = 0.0, (word, sessions)
        begin, used = time.perf_counter(), _children()
        with (self.stack.home.parent / "up.log").open("wb") as log:
            command = [str(ROOT / "just"), "up"]
            up = subprocess.Popen(
                command, env=self.stack.environment, stdout=log, stderr=log
            )
        while not (whole := self._is_whole()) and up.poll() is None:
            if not first and '"/session/' in self._page("/"):
                first = time.perf_counter() - begin
            time.sleep(COLD_POLL_S)
        took = time.perf_counter() - begin
        if up.wait() or not (whole or self._is_whole()):
            text = (self.stack.home.parent / "up.log").read_text(errors="replace")
            raise RuntimeError(f"./just up has failed: {text[-2000:]}")
        spent = _children() - used + with_children(self.processes())
        return {"cold_s": took, "first_session_s": first or took, "cold_cpu_s": spent}

    def _is_whole(self) -> bool:
        """Return whether the dashboard counts all responses, and the search finds."""
        responses = self.logs.lines // TURN
        count = f"{responses // 1000}k" if responses >= 10_000 else f"{responses:,}"
        shown = f"{count} responses</dd>" in self._page("/dashboard?period=all")
        return shown and self.finds(*self._word)

    def _page(self, path: str) -> str:
        try:
            answer = self._client.get(path)
        except httpx.TransportError:
            return ""
        return answer.text if answer.status_code == 200 else ""

    def finds(self, word: str, sessions: list[str]) -> bool:
        """Ask the search page of the pages."""
        found = re.findall(
            r'href="/session/([0-9a-f-]+)', self._page(f"/search?q={word}")
        )
        return set(sessions) <= set(found)

    def in_gold(self) -> bool:
        """Return whether the dashboard counts all responses that were appended."""
        page = self._page(f"/dashboard?since={self.day}")
        return f"{self.answers:,} responses</dd>" in page

    def report(self) -> int:
        """Return the responses of `report` since the measurement began."""
        done = self.stack.just("report", "daily", "--json", "--since", self.day)
        return int(json.loads(done.stdout)["totals"]["responses"])

    def nothing_new(self) -> float:
        """Time `./just pipeline`, which has nothing to do."""
        begin = time.perf_counter()
        done = self.stack.just("pipeline")
        assert done.returncode == 0, done.stderr
        return time.perf_counter() - begin

    def processes(self) -> list[psutil.Process]:
        """Return the processes that have this data directory."""
        return self.stack.processes()

    def pipeline_cpu(self) -> float:
        """Return the CPU seconds of `pipeline watch` and all its children so far."""
        watch = [p for p in self.processes() if "watch" in p.cmdline()]
        stages = [child for p in watch for child in p.children(recursive=True)]
        return with_children([*watch, *stages])

    def disk(self) -> dict[str, int]:
        """Return the bytes of each store; what is no store stands below `other`."""
        home = self.stack.home
        found = {}
        for name in STORES:
            found[name] = sum(map(blocks, home.glob(f"{name}*")))
        total = blocks(home)
        return {**found, "other": total - sum(found.values()), "all": total}

    def stop(self) -> None:
        """Stop the stack, and kill what would still run."""
        try:
            self.stack.just("down")
        finally:
            self.stack.kill_all()
            self._client.close()


class AgentsView:
    """AgentsView in an environment of its own; it sends nothing anywhere."""

    name = "agentsview"

    def __init__(self, folder: Path, lines: int, program: Path) -> None:
        self.logs = Logs(folder / "claude", lines)
        self._program, self._folder = program, folder
        self.data = folder / "data"
        self._port = free_port()
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}", timeout=60
        )
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TZ": "UTC",
            "AGENTSVIEW_DATA_DIR": str(self.data),
            "CLAUDE_PROJECTS_DIR": str(self.logs.root),
            "AGENTSVIEW_TELEMETRY_ENABLED": "0",
            "AGENTSVIEW_DISABLE_UPDATE_CHECK": "1",
            "DO_NOT_TRACK": "1",
        }
        self._server: subprocess.Popen[bytes] | None = None

    def start(self, word: str, sessions: list[str]) -> dict[str, float]:
        """Time its server until it lists all sessions and finds the last line."""
        begin = time.perf_counter()
        options = ["--no-browser", "--no-update-check", "--port", str(self._port)]
        with (self._folder / "serve.log").open("wb") as log:
            self._server = subprocess.Popen(
                [str(self._program), "serve", *options],
                env=self._env,
                stdout=log,
                stderr=log,
            )
        first = 0.0

        def whole() -> bool:
            nonlocal first
            count = self._json("/api/v1/stats").get("session_count", 0)
            first = first or (time.perf_counter() - begin if count else 0.0)
            return count == len(self.logs.files) and self.finds(word, sessions)

        wait(whole, COLD_POLL_S)
        took = time.perf_counter() - begin
        spent = with_children(self.processes())
        return {"cold_s": took, "first_session_s": first, "cold_cpu_s": spent}

    def _json(self, path: str) -> dict[str, Any]:
        try:
            answer = self._client.get(path)
            found: dict[str, Any] = answer.json()
        except (httpx.TransportError, ValueError):
            return {}
        return found if answer.status_code == 200 else {}

    def finds(self, word: str, sessions: list[str]) -> bool:
        """Ask its full-text search over HTTP."""
        found = self._json(f"/api/v1/search?q={word}&limit=50").get("results")
        return set(sessions) <= {row["session_id"] for row in found or ()}

    def nothing_new(self) -> float:
        """Time `agentsview sync`, which asks the running server."""
        begin = time.perf_counter()
        command = [str(self._program), "sync"]
        subprocess.run(command, env=self._env, check=True, capture_output=True)
        return time.perf_counter() - begin

    def processes(self) -> list[psutil.Process]:
        """Return the server and its children."""
        assert self._server
        server = psutil.Process(self._server.pid)
        return [server, *server.children(recursive=True)]

    def disk(self) -> dict[str, int]:
        """Return the bytes of its data directory."""
        return {"all": blocks(self.data)}

    def stop(self) -> None:
        """End the server."""
        if self._server:
            self._server.terminate()
            self._server.wait(60)
        self._client.close()


def install(folder: Path) -> Path | None:
    """Install AgentsView by pip; None, and a word why, where that fails."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, AGENTSVIEW], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(
            f"AgentsView is left out: pip cannot install {AGENTSVIEW}:"
            f" {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}",
            file=sys.stderr,
        )
        return None
    return folder / "bin" / "agentsview"


def wait(condition: Callable[[], bool], pause: float = POLL_S) -> float:
    """Ask until a condition holds; return the seconds that it took."""
    begin = time.perf_counter()
    while not condition():
        if time.perf_counter() - begin > LIMIT_S:
            raise TimeoutError(f"not within {LIMIT_S:g} s")
        time.sleep(pause)
    return time.perf_counter() - begin


def with_children(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds of processes, and of their children that have ended."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def _children() -> float:
    """Return the CPU seconds of the ended children of this process."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def blocks(path: Path) -> int:
    """Return the bytes that a file, or all below a folder, takes on the disk."""
    found = 0
    for entry in [path, *path.rglob("*")] if path.is_dir() else [path]:
        with contextlib.suppress(FileNotFoundError):
            found += entry.lstat().st_blocks * 512
    return found
