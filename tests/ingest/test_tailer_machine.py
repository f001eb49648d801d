"""Any order of file actions and restarts, compared with a simple model."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from cclake_tailer.counters import Counters
from cclake_tailer.discovery import Walker
from cclake_tailer.file_server import FileServer
from cclake_tailer.once import scan
from cclake_tailer.output import Output
from cclake_tailer.reader import Reader
from cclake_tailer.records import decode
from cclake_tailer.registry import Registry
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tailing import Kept

PLACES = ["p/a.jsonl", "p/b.jsonl", "q/a.jsonl", "q/s/c.jsonl"]
place = st.sampled_from(PLACES)


class FileLives(RuleBasedStateMachine):
    """Every unique line becomes one document, whatever happens to its file.

    Lines that vanish before anybody looked are not expected; a copy under another
    name is another file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.root = self.folder / "projects"
        for name in ("p", "q/s"):
            (self.root / name).mkdir(parents=True)
        self.number = 0
        self.twice: set[bytes] = set()
        self.kept = Kept()
        self._open()

    def teardown(self) -> None:
        os.close(self.out.fd)
        self.server.watcher.open_files.release_all()
        shutil.rmtree(self.folder)

    def _open(self) -> None:
        self.sink = self.folder / "out"
        self.out = Output(os.open(self.sink, os.O_CREAT | os.O_TRUNC | os.O_WRONLY))
        counters = Counters()
        registry = Registry("h", [str(self.root)])
        for text in self.kept.checkpoints.values():
            known = decode(text)
            assert known is not None
            registry.resume(known)
        self.server = FileServer(
            registry, Reader(self.out, counters, 4096), counters, -1.0
        )
        self.server.comparer.settle = self.server.comparer.tick = 0.0
        self.server.comparer.pauses = 0.0, 0.0
        self.walker = Walker(True, self.server.note_error)

    def _line(self, size: int) -> bytes:
        self.number += 1
        return json.dumps({"n": self.number, "pad": "x" * size}).encode() + b"\n"

    def path(self, name: str) -> Path:
        return self.root / name

    @rule(name=place, count=st.integers(1, 4), size=st.integers(0, 3000))
    def append(self, name: str, count: int, size: int) -> None:
        with self.path(name).open("ab") as file:
            for _ in range(count):
                file.write(self._line(size))

    @rule(name=place, cut=st.integers(1, 12))
    def append_torn(self, name: str, cut: int) -> None:
        with self.path(name).open("ab") as file:
            file.write(self._line(30)[:-cut])

    @rule(name=place)
    def truncate(self, name: str) -> None:
        if self.path(name).exists():
            os.truncate(self.path(name), self.path(name).stat().st_size // 2)

    @rule(name=place, count=st.integers(0, 30))
    def rewrite(self, name: str, count: int) -> None:
        self.path(name).write_bytes(b"".join(self._line(20) for _ in range(count)))

    @rule(name=place)
    def remove_last_line(self, name: str) -> None:
        if self.path(name).exists():
            data = self.path(name).read_bytes()
            os.truncate(self.path(name), data[:-1].rfind(b"\n") + 1)

    @rule(name=place, keep_time=st.booleans(), append=st.booleans())
    def edit_in_place(self, name: str, keep_time: bool, append: bool) -> None:
        """Overwrite an archived line between the windows by one of its length."""
        path = self.path(name)
        self.append(name, 4, 900)
        self.look()
        status, data = path.stat(), path.read_bytes()
        self.number += 1
        time.sleep(0.005)  # a tick, as before each look
        begin = data.rindex(b"\n", 0, len(data) - 2000) + 1
        new = json.dumps({"n": self.number, "pad": ""}).encode()
        size = data.index(b"\n", begin) - begin
        with path.open("r+b") as file:
            file.seek(begin)
            file.write(new[:-2] + b"y" * (size - len(new)) + new[-2:])
        if append:
            self.append(name, 1, 40)
        if keep_time:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    @rule(name=place)
    def unlink(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    @rule(name=place, to=place)
    def rename(self, name: str, to: str) -> None:
        if self.path(name).exists():
            self.path(name).rename(self.path(to))

    @rule(name=place)
    def replace_by_its_copy(self, name: str) -> None:
        if self.path(name).exists():
            copy = self.folder / "copy"
            # If it is moved again before the tailer looks, it counts as another file.
            self.twice |= set(self.path(name).read_bytes().split(b"\n"))
            shutil.copyfile(self.path(name), copy)
            copy.rename(self.path(name))

    @rule(name=place, to=place)
    def copy(self, name: str, to: str) -> None:
        if self.path(name).exists() and name != to:
            shutil.copyfile(self.path(name), self.path(to))
            self.twice |= set(self.path(to).read_bytes().split(b"\n"))

    @rule()
    def swap_folders(self) -> None:
        aside = self.root / "aside"
        (self.root / "p").rename(aside)
        (self.root / "q").rename(self.root / "p")
        aside.rename(self.root / "q")
        for name in ("p", "q/s"):
            (self.root / name).mkdir(exist_ok=True)

    @rule()
    def restart(self) -> None:
        """Kill the tailer before it writes anything more."""
        self.server.watcher.open_files.release_all()
        os.close(self.out.fd)
        self._open()

    @rule(keep=st.floats(0, 1))
    def look_but_die(self, keep: float) -> None:
        """Read everything, but let only some of the records arrive."""
        self._read()
        text = self.sink.read_bytes()
        for record in text[: int(len(text) * keep)].splitlines(keepends=True):
            if record.endswith(b"\n"):
                self.kept.take(record)
        self.kept.end()
        self.restart()

    @rule()
    def look(self) -> None:
        self._read()
        self._keep()

    @rule()
    def look_when_all_has_rested(self) -> None:
        self._read()
        self.server.watcher.finish_idle(-1.0)
        self.out.flush()
        self._keep()

    def _keep(self) -> None:
        for record in self.sink.read_bytes().splitlines(keepends=True):
            self.kept.take(record)
        os.ftruncate(self.out.fd, 0)
        os.lseek(self.out.fd, 0, os.SEEK_SET)
        self._compare()

    def _read(self) -> None:
        # Two changes in one tick of the clock can't be told apart by time alone.
        time.sleep(0.005)
        scan(self.server, self.walker)
        server = self.server
        while server.pending or server.recheck or server.comparer.is_due():
            if server.pending:
                server.step()
            elif server.comparer.is_due():
                server.compare()
            else:
                places, self.server.recheck = self.server.recheck, set()
                self.server.look(places)
        self.out.flush()

    def _compare(self) -> None:
        """Check that the newest generation of each file equals the disk."""
        live = 0
        for path in sorted(self.root.rglob("*.jsonl")):
            data = path.read_bytes()
            state = self.kept.state(str(path.relative_to(self.root)))
            if not state["unended"]:
                data = data[: data.rfind(b"\n") + 1]
            assert state["off"] == len(data)
            assert self.kept.content(state["file"], state["gen"]) == data
            live += 1
        states = [json.loads(text) for text in self.kept.checkpoints.values()]
        assert sum(state["state"] == "live" for state in states) == live
        self.kept.check_tiles()

    @invariant()
    def nothing_is_there_twice(self) -> None:
        counts = self.kept.payloads()
        assert {line for line, count in counts.items() if count > 1} <= self.twice


FileLives.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestFileLives = FileLives.TestCase
