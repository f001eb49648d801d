"""Logs and processes that a test changes, and the expected lines."""

import contextlib
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from harness import PATIENCE, Mongod
from ledger import line_id
from live import Live
from live_log import Log, key_of

PLACES = ["p/a.jsonl", "p/b.jsonl", "q/a.jsonl", "q/s/c.jsonl", "r/d.jsonl"]


class World:
    """Ingestion of a few logs, with a ledger of every line that must arrive.

    Attributes:
        files: The logs that are there, by name.
        pair_is_down: Tailer and buffer are to stay down for now.
        buffer_is_new: A new buffer may still have to learn the files from MongoDB.
        done: How often what was done.
    """

    def __init__(self, server: Mongod, folder: Path, done: Counter[str]) -> None:
        done["examples"] += 1
        name = f"machine{done['examples']}"
        self.server = server
        self.done = done
        self.folder = folder / name
        uri = f"{server.uri}/?socketTimeoutMS=5000"
        # A torn line may take its time: here it never becomes a line of its own.
        self.live = Live(self.folder, uri, MONGO_DB=name, CCLAKE_REST_SECONDS="3600")
        self.files: dict[str, Log] = {}
        self.pair_is_down = False
        self.buffer_is_new = False
        self._former: dict[str, set[str]] = {}
        self._maybe: set[bytes] = set()
        self._groups: set[int] = set()
        self._number = 0
        self.live.start()

    # --- files ---

    def name(self, which: int) -> str:
        """One of the logs that are there."""
        there = sorted(self.files) or PLACES
        return there[which % len(there)]

    def path(self, name: str) -> Path:
        """Return the path of a log, and create its folder."""
        path = self.live.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def new_lines(self, count: int, size: int) -> bytes:
        """Lines that were never written before."""
        first = self._number
        self._number += count
        return b"".join(
            b'{"n":%d,"pad":"%s"}\n' % (n, b"x" * size)
            for n in range(first, self._number)
        )

    def log(self, name: str) -> Log:
        """Return the file of a name; a new one may continue the key of a deleted one."""
        if name not in self.files:
            keys = {key_of(name, nth) for nth in range(9)}
            keys |= self._former.get(name, set())
            self.files[name] = Log(self.path(name), keys)
        return self.files[name]

    def write(self, log: Log, data: bytes) -> None:
        """Append bytes, and note the lines that they make with what stands there."""
        self.revive()
        whole = log.path.read_bytes() if log.path.exists() else b""
        off = whole.rfind(b"\n") + 1
        for line in (whole[off:] + data).split(b"\n")[:-1]:
            log.lines.append((off, line))
            off += len(line) + 1
        with log.path.open("ab") as file:
            file.write(data)
        if len(log.keys) == 1:
            self._note(log)

    def append(self, name: str, count: int, size: int) -> None:
        """Complete a torn line; then write whole ones."""
        log = self.log(name)
        rest = log.rest + b"\n" if log.rest else b""
        log.rest = b""
        self.write(log, rest + self.new_lines(count, size))

    def rename(self, name: str, to: str) -> None:
        """Move a log that is known to a free name."""
        log = self.files[name]
        if log.fresh:
            self.read(name)
        self.known(name)
        self._resolve(log)
        self.rename_at_once(name, to)

    def rename_at_once(self, name: str, to: str) -> None:
        """Move a log to a free name."""
        log = self.files[name]
        log.path = log.path.rename(self.path(to))
        self.files[to] = self.files.pop(name)
        self._former.pop(name, None)

    def unlink(self, name: str) -> None:
        """Delete a log of which all is read."""
        log = self.files[name]
        data, (key,) = log.path.read_bytes(), log.keys
        off = data.rfind(b"\n") + 1
        # Nothing can complete a torn line any more: the tailer may send it.
        if data[off:]:
            self._maybe.add(line_id(key, off, data[off:]))
        log.path.unlink()
        self._former[name] = self.files.pop(name).keys

    def read(self, name: str) -> Log | None:
        """Wait until the buffer has all complete lines of a file, if there is one."""
        log = self.files.get(name)
        if log is not None:
            self.wait(lambda: log.is_read(self.live), f"{name} is read")
            self._resolve(log)
            log.fresh = False
            self.count("read")
        return log

    def known(self, name: str) -> None:
        """Wait until the buffer knows a file."""
        log = self.files[name]
        self.wait(lambda: log.known(self.live) is not None, f"{name} is known")

    # --- processes ---

    def lose_buffer(self) -> None:
        """Wait until MongoDB has all; then kill everything and delete the buffer."""
        for name in self.files:
            self.read(name)
        undelivered = "select 1 from files where delivered = 0 limit 1"
        self.wait(
            lambda: self.live.queued() == 0 and not self.live.query(undelivered),
            "all is delivered",
        )
        self.live.kill_pair()
        self.live.kill_flusher()
        for part in ("", "-wal", "-shm"):
            Path(f"{self.live.buffer}{part}").unlink(missing_ok=True)

    def recover(self) -> None:
        """Wait until a new buffer knows the files: MongoDB alone has their former names."""
        if self.buffer_is_new:
            for name in self.files:
                self.known(name)
            self.buffer_is_new = False

    def end_pair(self, who: str) -> None:
        """Kill the tailer, the buffer or both, or end both in good order."""
        self.revive()
        assert self.live.pair is not None
        if who == "tailer":
            self.live.kill_tailer()
        elif who == "buffer":
            self.live.kill_buffer()
        elif who == "both":
            self.live.kill_pair()
        else:
            os.killpg(self.live.pair.pid, signal.SIGTERM)
            self.live.pair.wait(PATIENCE)

    def revive(self) -> None:
        """Start again whatever has ended, as supervisord does."""
        pair, flusher = self.live.pair, self.live.flusher
        assert pair is not None and flusher is not None
        self._groups.add(pair.pid)
        if pair.poll() is not None and not self.pair_is_down:
            self._groups.add(self.live.start_pair().pid)
        if flusher.poll() is not None:
            self.live.start_flusher()

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait; if need be with the pair, and starting again whichever has ended."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.pair_is_down = False
            self.revive()
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:g} s"
            time.sleep(0.02)

    # --- the end ---

    def count(self, what: str) -> None:
        """Note that something was done."""
        self.done[what] += 1

    def end(self) -> None:
        """Bring everything to rest, compare, and clear away."""
        try:
            with self.live:
                self._come_to_rest()
        finally:
            for group in self._groups:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            self.start_mongod()
        shutil.rmtree(self.folder)

    def start_mongod(self) -> None:
        """Start MongoDB, unless it runs."""
        if not self.server.answers():
            self.server.start()

    def _come_to_rest(self) -> None:
        self.start_mongod()
        self.pair_is_down = False
        for name, log in self.files.items():
            if log.rest:
                self.append(name, 1, 0)
            self.read(name)
        ledger, database = self.live.ledger, self.live.database
        ledger.append("last/line.jsonl", b'{"type":"last"}')
        self.wait(lambda: not ledger.missing(database), "delivered")
        got = database["conversations"].distinct("_id")
        ledger.expected |= self._maybe & {bytes(each) for each in got}
        self.live.assert_exact()
        assert self.live.counters()["dead"] == 0
        self.done["lines"] += len(ledger.expected)

    def _resolve(self, log: Log) -> None:
        log.resolve(self.live)
        self._note(log)

    def _note(self, log: Log) -> None:
        (key,) = log.keys
        self.live.ledger.keys[str(log.path)] = key
        for off, line in log.lines:
            self.live.ledger.note(str(log.path), off, line)
        log.lines.clear()
