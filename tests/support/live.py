"""Ingestion as supervisord runs it: real processes that tests kill and start."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import threading
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from harness import BIN, PATIENCE, free_port, wait_for
from ledger import Ledger, Store
from pymongo import MongoClient

PAIR = (
    "exec buffer append < <(exec tailer --follow"
    " --resume <(exec flusher checkpoints) --resume <(exec buffer checkpoints))"
)
Process = subprocess.Popen[bytes]


class Live:
    """Tailer, buffer and flusher over one folder of logs.

    Attributes:
        root: The folder of the logs.
        ledger: Writes them, and knows what must arrive.
        buffer: The SQLite file.
    """

    def __init__(self, folder: Path, uri: str, **settings: str) -> None:
        self.root = folder / "projects"
        self.root.mkdir(parents=True)
        self.home = folder / "cclake"
        self.ledger = Ledger(self.root)
        self.buffer = self.home / "buffer.db"
        self.port = free_port()
        self.uri = uri
        self.log = folder / "live.log"
        self.environ = os.environ | {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "CCLAKE_HOME": str(self.home),
            "CLAUDE_DIR": str(self.root),
            "CCLAKE_HOST": "testhost",
            "MONGO_URI": uri,
            "HEALTH_PORT": str(self.port),
            **settings,
        }
        self.pair: Process | None = None
        self.flusher: Process | None = None
        self._supervisor: threading.Thread | None = None
        self._unsupervised = threading.Event()
        self.client: MongoClient[dict[str, Any]] = MongoClient(uri, tz_aware=True)

    def __enter__(self) -> "Live":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and self.log.exists():
            print(self.log.read_text(errors="replace")[-5000:])
        self._unsupervised.set()
        if self._supervisor:
            self._supervisor.join(PATIENCE)
        self.kill_pair()
        self.kill_flusher()
        self.client.close()

    @property
    def database(self) -> Store:
        """Return the database that the flusher writes to."""
        return self.client[self.environ.get("MONGO_DB", "claude_logs")]

    def start(self) -> "Live":
        """Start all three."""
        self.start_pair()
        self.start_flusher()
        return self

    def supervise(self) -> "Live":
        """Start again, as supervisord does, whichever of them ends."""
        self.start()
        self._supervisor = threading.Thread(target=self._watch_over, daemon=True)
        self._supervisor.start()
        return self

    def _watch_over(self) -> None:
        while not self._unsupervised.wait(0.2):
            if self.pair is not None and self.pair.poll() is not None:
                self.start_pair()
            if self.flusher is not None and self.flusher.poll() is not None:
                self.start_flusher()

    def start_pair(self, **settings: str) -> Process:
        """Start `tailer | buffer`, resuming from the buffer's checkpoints."""
        self.pair = self.launch(["bash", "-c", PAIR], **settings)
        return self.pair

    def start_flusher(self, **settings: str) -> Process:
        """Start the flusher."""
        self.flusher = self.launch(["flusher", "run"], **settings)
        return self.flusher

    def launch(self, command: list[str], **settings: str) -> Process:
        """Start any process of the live path."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                env=self.environ | settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, *command: str, check: bool = True) -> str:
        """Run a tool to its end; return its standard output."""
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def tailer(self) -> psutil.Process:
        """The tailer of the running pair."""
        assert self.pair is not None
        found: list[psutil.Process] = []

        def look() -> bool:
            assert self.pair is not None
            children = psutil.Process(self.pair.pid).children()
            found.extend(each for each in children if _runs(each, "tailer"))
            return bool(found)

        wait_for(look, "the tailer runs")
        return found[0]

    def kill_tailer(self) -> None:
        """Kill -9 the tailer; the buffer then sees the end of its pipe."""
        self.tailer().kill()
        assert self.pair is not None
        self.pair.wait(PATIENCE)

    def kill_pair(self) -> None:
        """Kill -9 both ends of the pipe."""
        if self.pair:
            _kill_group(self.pair)

    def kill_buffer(self) -> None:
        """Kill -9 the buffer alone; the tailer ends by itself."""
        assert self.pair is not None
        self.pair.kill()
        self.pair.wait(PATIENCE)

    def kill_flusher(self) -> None:
        """Kill -9."""
        if self.flusher:
            _kill_group(self.flusher)

    def health(self, page: str = "health") -> dict[str, Any]:
        """Return the health report of the flusher; empty if it does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/{page}", timeout=PATIENCE
            ) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))
        except OSError:
            return {}

    def wait_delivered(self) -> None:
        """Wait until every line of the ledger is in MongoDB, and the queue empty."""
        wait_for(lambda: not self.ledger.missing(self.database), "delivered")
        wait_for(lambda: self.queued() == 0, "the queue is empty")

    def assert_exact(self) -> None:
        """Check that nothing is lost or repeated, and that a new line arrives soon."""
        self.wait_delivered()
        self.ledger.append("fresh/line.jsonl", b'{"type":"fresh"}')
        wait_for(lambda: not self.ledger.missing(self.database), "fresh")
        wait_for(lambda: self.queued() == 0, "the queue is empty")
        self.ledger.assert_exact(self.database, self.buffer)
        assert self.conservation_error() == 0

    def query(self, sql: str) -> list[Any]:
        """Query the buffer; return nothing if there is none."""
        if not self.buffer.exists():
            return []
        connection = sqlite3.connect(f"{self.buffer.as_uri()}?mode=ro", uri=True)
        try:
            connection.execute("pragma busy_timeout = 30000")
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def queued(self) -> int:
        """Lines in the queue."""
        rows = self.query("select count(*) from queue")
        return int(rows[0][0]) if rows else 0

    def counters(self) -> Counter[str]:
        """The counters of the buffer; 0 where there is none yet."""
        return Counter(dict(self.query("select name, value from counters")))

    def conservation_error(self) -> int:
        """Return the number of lines that are neither delivered, dead nor queued."""
        status = json.loads(self.run("buffer", "status", "--json"))
        return int(status["conservation_error"])


def _runs(process: psutil.Process, tool: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(Path(part).name == tool for part in process.cmdline()[:2])
    return False


def _kill_group(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)


def lines(start: int, count: int, width: int = 200) -> list[bytes]:
    """Return log lines that are all different."""
    return [
        b'{"type":"user","uuid":"u%08d","n":%d,"text":"%s"}' % (n, n, b"x" * width)
        for n in range(start, start + count)
    ]
