"""Read the tailer's output like the buffer: keep lines up to a checkpoint."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from harness import BIN, PATIENCE, wait_for

Record = dict[str, Any]


class Line(NamedTuple):
    """A line (or chunk) that a checkpoint confirmed."""

    kind: str
    path: str
    file: str
    gen: int
    off: int
    len: int
    data: bytes
    error: str | None

    @property
    def id(self) -> bytes:
        """The document that it becomes."""
        content = blake2b(self.data, digest_size=8).digest()
        return bytes.fromhex(self.file) + self.off.to_bytes(8, "big") + content


def parse(text: bytes) -> tuple[Record, bytes]:
    """A record and the bytes that it carries."""
    record = json.loads(text)
    if "raw" in record:
        return record, base64.b64decode(record["raw"])
    at = text.find(b',"entry":') + len(b',"entry":')
    return record, text[at:].rstrip(b"\n")[:-1]


@dataclass
class Kept:
    """The confirmed lines and checkpoints, which survive the death of the reader."""

    def __post_init__(self) -> None:
        self.lines: list[Line] = []
        self.checkpoints: dict[str, bytes] = {}
        self.stats: list[Record] = []
        self.seen: set[bytes] = set()
        self._open: dict[str, list[Line]] = defaultdict(list)

    def take(self, text: bytes) -> None:
        """Take one line of the tailer's output."""
        record, data = parse(text)
        if record["kind"] in ("line", "chunk"):
            names = ("kind", "path", "file", "gen", "off", "len")
            values = [record[name] for name in names]
            line = Line._make([*values, data, record.get("error")])
            self._open[line.file].append(line)
        elif record["kind"] == "checkpoint":
            confirmed = self._open.pop(record["file"], [])
            self.lines += confirmed
            self.seen.update(line.data for line in confirmed)
            self.checkpoints[record["file"]] = text
        elif record["kind"] == "stats":
            self.stats.append(record)

    def end(self) -> None:
        """Drop lines without a checkpoint, after the tailer has ended."""
        self._open.clear()

    @property
    def documents(self) -> dict[bytes, Line]:
        """One per `_id`, as MongoDB has them; the newest wins."""
        return {line.id: line for line in self.lines}

    def payloads(self) -> Counter[bytes]:
        """Return the number of documents with each content."""
        return Counter(line.data for line in self.documents.values())

    def state(self, path: str) -> Record:
        """The newest checkpoint of the live file at a path."""
        states = [json.loads(text) for text in self.checkpoints.values()]
        found = [s for s in states if s["path"] == path and s["state"] == "live"]
        assert len(found) == 1, found
        return dict(found[0])

    def check_tiles(self) -> None:
        """Check that each file's newest generation has no gap up to its checkpoint."""
        for text in self.checkpoints.values():
            at = json.loads(text)
            lines = [
                x for x in self.lines if x.file == at["file"] and x.gen == at["gen"]
            ]
            ends: dict[int, int] = {}
            for line in lines:
                ends[line.off] = max(line.len, ends.get(line.off, 0))
            off = 0
            while off in ends:
                off += ends[off]
            assert off == at["off"], (at, sorted(ends.items())[:5])

    def content(self, file: str, gen: int) -> bytes:
        """The bytes of a generation of a file, put together again."""
        newest = {x.off: x for x in self.lines if x.file == file and x.gen == gen}
        pieces = [newest[off] for off in sorted(newest)]
        return b"".join(x.data + b"\n" * (x.len - len(x.data)) for x in pieces)


def holds(pid: int, path: Path) -> bool:
    """Return whether a process has a file open."""
    names = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            names.append(fd.readlink())
    return path in names


class Tailer:
    """A real tailer that follows folders, and can be killed and started again."""

    def __init__(self, root: Path, work: Path, *options: str, **environ: str) -> None:
        self.root = root
        self.kept = Kept()
        self.options = options
        self.environ = environ
        self.prefix: list[str] = []
        self._resume = work / "checkpoints.jsonl"
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Tailer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, ready: bool = True) -> "Tailer":
        """Start it from the checkpoints, and wait until it says that it is ready."""
        self._resume.write_bytes(b"".join(self.kept.checkpoints.values()))
        before = len(self.kept.stats)
        tool = [*self.prefix, str(BIN / "tailer"), "--follow", "--root", str(self.root)]
        self._process = subprocess.Popen(
            [*tool, "--resume", str(self._resume), *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | self.environ,
        )
        self._thread = threading.Thread(target=self._read, args=(self._process,))
        self._thread.start()
        if ready:
            wait_for(lambda: len(self.kept.stats) > before, "tailer is ready")
        return self

    @property
    def pid(self) -> int:
        """Of the tailer."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
            self._finish()

    def stop(self, asked: Callable[[], object] = lambda: None) -> int:
        """Send SIGTERM, then call `asked`; return the exit code."""
        self.signal(signal.SIGTERM)
        asked()
        return self._finish()

    def once(self) -> subprocess.CompletedProcess[bytes]:
        """Read what is there now with --once."""
        self._resume.write_bytes(b"".join(self.kept.checkpoints.values()))
        tool = [str(BIN / "tailer"), "--once", "--root", str(self.root)]
        done = subprocess.run(
            [*tool, "--resume", str(self._resume), *self.options],
            capture_output=True,
            timeout=PATIENCE,
            env=os.environ | self.environ,
        )
        for text in done.stdout.splitlines(keepends=True):
            self.kept.take(text)
        self.kept.end()
        return done

    def wait_lines(self, payloads: set[bytes]) -> None:
        """Wait until all these lines are confirmed."""

        wait_for(lambda: payloads <= self.kept.seen, "lines are read")

    def counters(self) -> Record:
        """The newest stats record."""
        return self.kept.stats[-1]

    def _finish(self) -> int:
        assert self._process is not None and self._thread is not None
        code = self._process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        assert self._process.stdout is not None and self._process.stderr is not None
        self._process.stdout.close()
        self.errors = self._process.stderr.read().decode()
        self._process.stderr.close()
        self._process = None
        self.kept.end()
        return code

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for text in process.stdout:
            if text.endswith(b"\n"):
                self.kept.take(text)
