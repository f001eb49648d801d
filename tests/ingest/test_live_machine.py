"""Any order of file actions, kills and outages; the real tools against the ledger.

`CCLAKE_MACHINE_EXAMPLES=200 pytest tests/ingest/test_live_machine.py` looks for
orders that nobody has thought of; without it the same few are run each time.
"""

import contextlib
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cclake_tailer.identity import digest
from harness import Mongod
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger import file_key, line_id
from live import Live

EXAMPLES = os.environ.get("CCLAKE_MACHINE_EXAMPLES")
PLACES = ["p/a.jsonl", "p/b.jsonl", "q/a.jsonl", "q/s/c.jsonl", "r/d.jsonl"]
place = st.sampled_from(PLACES)
# One of the files that are there.
which = st.integers(0, len(PLACES) - 1)
# The largest is longer than what a checkpoint remembers of a file's end.
size = st.sampled_from([0, 40, 900, 5_000, 70_000])
count = st.integers(1, 30)


@dataclass
class Log:
    """A file as it should be.

    Attributes:
        keys: The keys that it may have, until it is seen; then the one it has.
        lines: Offsets and bytes of lines that wait for that.
        rest: What is still to come of a torn line.
        fresh: Its content is of a generation that may not have been read yet.
    """

    path: Path
    keys: set[str]
    lines: list[tuple[int, bytes]] = field(default_factory=list)
    rest: bytes = b""
    fresh: bool = False


class LiveMachine(RuleBasedStateMachine):
    """Every complete line that could be read is in MongoDB once, whatever happens.

    A file is rewritten or deleted only when the buffer has all of it, and renamed
    only when the buffer knows it: else no tool could tell whose lines they were.
    """

    def __init__(self, server: Mongod, folder: Path, done: Counter[str]) -> None:
        super().__init__()
        self.server = server
        self.done = done
        done["examples"] += 1
        name = f"machine{done['examples']}"
        self.folder = folder / name
        uri = f"{server.uri}/?socketTimeoutMS=5000"
        # A torn line may take its time: here it never becomes a line of its own.
        self.live = Live(self.folder, uri, MONGO_DB=name, CCLAKE_REST_SECONDS="3600")
        self.ledger = self.live.ledger
        self.files: dict[str, Log] = {}
        self.former: dict[str, set[str]] = {}
        self.maybe: set[bytes] = set()
        self.pair_is_down = False
        self.groups: set[int] = set()
        self.number = 0
        self.live.start()

    # --- what is done to files ---

    @initialize(first=place, second=place)
    def there_are_logs(self, first: str, second: str) -> None:
        self.append(first, 5, 900)
        self.append(second, 5, 40)

    @rule(name=place, count=count, size=size)
    def append(self, name: str, count: int, size: int) -> None:
        """Complete a torn line; then write whole ones."""
        log = self._log(name)
        rest = log.rest + b"\n" if log.rest else b""
        log.rest = b""
        self._write(log, rest + self._lines(count, size))

    @rule(which=which, size=size, cut=st.integers(1, 40))
    def tear(self, which: int, size: int, cut: int) -> None:
        name = self._name(which)
        log = self._log(name)
        if not log.rest:
            line = self._lines(1, size)[:-1]
            cut = min(cut, len(line) - 1)
            log.rest = line[cut:]
            self._write(log, line[:cut])
            self._count("torn")

    @rule(which=which, percent=st.integers(0, 99), count=count, size=size)
    def truncate(self, which: int, percent: int, count: int, size: int) -> None:
        """Cut anywhere, also within a line, and go on writing."""
        name = self._name(which)
        if (log := self._read(name)) is not None:
            os.truncate(log.path, log.path.stat().st_size * percent // 100)
            log.rest, log.fresh = b"", True
            self._write(log, self._lines(count, size))
            self._count("truncated")

    @rule(which=which, count=count, size=size)
    def rewrite_longer(self, which: int, count: int, size: int) -> None:
        name = self._name(which)
        if (log := self._read(name)) is not None:
            longer = self._lines(count, size)
            while len(longer) <= log.path.stat().st_size:
                longer += self._lines(1, 20_000)
            log.path.write_bytes(b"")
            log.rest, log.fresh = b"", True
            self._write(log, longer)
            self._count("rewritten")

    @rule(which=which, where=which)
    def rename(self, which: int, where: int) -> None:
        name = self._name(which)
        free = [to for to in PLACES if to not in self.files]
        if name not in self.files or not free:
            return
        to, log = free[where % len(free)], self.files[name]
        if log.fresh:
            self._read(name)
        self._wait(lambda: self._is_known(log), f"{name} is known")
        self._resolve(log)
        self._count("renamed")
        log.path = log.path.rename(self._path(to))
        self.files[to] = self.files.pop(name)
        self.former.pop(name, None)

    @rule(which=which)
    def replace_by_equal_copy(self, which: int) -> None:
        name = self._name(which)
        if name in self.files:
            log = self.files[name]
            self._wait(lambda: self._is_known(log), f"{name} is known")
            copy = log.path.with_suffix(".copy")
            shutil.copyfile(log.path, copy)
            copy.rename(log.path)
            self._count("copied")

    @rule(which=which)
    def unlink(self, which: int) -> None:
        """Some later step may create it anew."""
        name = self._name(which)
        if (log := self._read(name)) is not None:
            data, (key,) = log.path.read_bytes(), log.keys
            off = data.rfind(b"\n") + 1
            # Nothing can complete a torn line any more: the tailer may send it.
            if data[off:]:
                self.maybe.add(line_id(key, off, data[off:]))
            log.path.unlink()
            self.former[name] = self.files.pop(name).keys
            self._count("deleted")

    # --- what is done to processes ---

    @precondition(lambda self: not self.pair_is_down)
    @rule(who=st.sampled_from(["tailer", "buffer", "both", "restart"]))
    def end_the_pair(self, who: str) -> None:
        self._revive()
        assert self.live.pair is not None
        if who == "tailer":
            self.live.kill_tailer()
        elif who == "buffer":
            self.live.kill_buffer()
        elif who == "both":
            self.live.kill_pair()
        else:
            os.killpg(self.live.pair.pid, signal.SIGTERM)
            self.live.pair.wait(30)
        self._count(f"pair {who}")

    @precondition(lambda self: not self.pair_is_down)
    @rule()
    def the_pair_goes_down(self) -> None:
        self.live.kill_pair()
        self.pair_is_down = True
        self._count("pair down")

    @precondition(lambda self: self.pair_is_down)
    @rule()
    def the_pair_comes_up(self) -> None:
        self.pair_is_down = False
        self._revive()

    @rule()
    def kill_the_flusher(self) -> None:
        self.live.kill_flusher()
        self._revive()
        self._count("flusher")

    @precondition(lambda self: self.server.answers())
    @rule(stays=st.booleans())
    def kill_mongod(self, stays: bool) -> None:
        """Lines may be written before another step starts it again."""
        self.server.kill()
        if not stays:
            self.server.start()
        self._count(f"mongod {'down' if stays else 'killed'}")

    @precondition(lambda self: not self.server.answers())
    @rule()
    def mongod_comes_up(self) -> None:
        self.server.start()

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0]))
    def time_goes_by(self, seconds: float) -> None:
        self._revive()
        time.sleep(seconds)

    def teardown(self) -> None:
        try:
            with self.live:
                self._come_to_rest()
        finally:
            for group in self.groups:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            if not self.server.answers():
                self.server.start()
        shutil.rmtree(self.folder)

    def _come_to_rest(self) -> None:
        if not self.server.answers():
            self.server.start()
        self.pair_is_down = False
        for name, log in self.files.items():
            if log.rest:
                self.append(name, 1, 0)
            self._read(name)
        self.ledger.append("last/line.jsonl", b'{"type":"last"}')
        self._wait(lambda: not self.ledger.missing(self.live.database), "delivered")
        got = self.live.database["conversations"].distinct("_id")
        self.ledger.expected |= self.maybe & {bytes(each) for each in got}
        self.live.assert_exact(30)
        assert self.live.counters()["dead"] == 0
        self.done["lines"] += len(self.ledger.expected)

    # --- how it is done ---

    def _count(self, what: str) -> None:
        self.done[what] += 1

    def _name(self, which: int) -> str:
        there = sorted(self.files) or PLACES
        return there[which % len(there)]

    def _path(self, name: str) -> Path:
        path = self.live.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _lines(self, count: int, size: int) -> bytes:
        first = self.number
        self.number += count
        return b"".join(
            b'{"n":%d,"pad":"%s"}\n' % (n, b"x" * size)
            for n in range(first, self.number)
        )

    def _log(self, name: str) -> Log:
        """The file of a name; a new one may go on with the key of one deleted there."""
        if name not in self.files:
            keys = {key_of(name, nth) for nth in range(9)}
            keys |= self.former.get(name, set())
            self.files[name] = Log(self._path(name), keys)
        return self.files[name]

    def _write(self, log: Log, data: bytes) -> None:
        """Append bytes, and note the lines that they make with what stands there."""
        self._revive()
        whole = log.path.read_bytes() if log.path.exists() else b""
        off = whole.rfind(b"\n") + 1
        for line in (whole[off:] + data).split(b"\n")[:-1]:
            log.lines.append((off, line))
            off += len(line) + 1
        with log.path.open("ab") as file:
            file.write(data)
        if len(log.keys) == 1:
            self._note(log)

    def _read(self, name: str) -> Log | None:
        """Wait until the buffer has all complete lines of a file, if there is one."""
        log = self.files.get(name)
        if log is not None:
            self._wait(lambda: self._is_read(log), f"{name} is read")
            self._resolve(log)
            log.fresh = False
            self._count("read")
        return log

    def _known(self, log: Log) -> tuple[str, dict[str, object]] | None:
        """Key and checkpoint of the very file that is at a path now."""
        name = str(log.path.relative_to(self.live.root))
        for key, path, state, text in self.live.query(
            "select file, path, state, checkpoint from files"
        ):
            checkpoint = json.loads(text)
            if (path, state) == (name, "live") and (
                checkpoint["ino"] == log.path.stat().st_ino
            ):
                return str(key), checkpoint
        return None

    def _is_known(self, log: Log) -> bool:
        return self._known(log) is not None

    def _is_read(self, log: Log) -> bool:
        known = self._known(log)
        if known is None:
            return False
        data = log.path.read_bytes()
        off, tail = data.rfind(b"\n") + 1, int(str(known[1]["tail_len"]))
        same = digest(data[max(0, off - tail) : off]) == known[1]["tail"]
        return known[1]["off"] == off and (same or not tail)

    def _resolve(self, log: Log) -> None:
        known = self._known(log)
        assert known is not None
        assert known[0] in log.keys, "the key is that of the file's first sight"
        log.keys = {known[0]}
        self._note(log)

    def _note(self, log: Log) -> None:
        (key,) = log.keys
        self.ledger.keys[str(log.path)] = key
        for off, line in log.lines:
            self.ledger.note(str(log.path), off, line)
        log.lines.clear()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait; if need be with the pair, and starting again whichever has ended."""
        deadline = time.monotonic() + 60
        while not condition():
            self.pair_is_down = False
            self._revive()
            assert time.monotonic() < deadline, f"{what}: not within 60 s"
            time.sleep(0.02)

    def _revive(self) -> None:
        """As supervisord does."""
        pair, flusher = self.live.pair, self.live.flusher
        assert pair is not None and flusher is not None
        self.groups.add(pair.pid)
        if pair.poll() is not None and not self.pair_is_down:
            self.groups.add(self.live.start_pair().pid)
        if flusher.poll() is not None:
            self.live.start_flusher()


def key_of(name: str, nth: int) -> str:
    """The key of the nth file that was seen for the first time at a path."""
    return file_key("testhost", f"{name}\0{nth}" if nth else name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mongod]:
    """A mongod of this test alone: it is killed."""
    server = Mongod(tmp_path / "mongod").start()
    yield server
    server.kill()


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * int(EXAMPLES or 0))
def test_no_order_of_file_actions_kills_and_outages_loses_or_repeats_a_line(
    server: Mongod, tmp_path: Path
) -> None:
    done: Counter[str] = Counter()

    class Machine(LiveMachine):
        def __init__(self) -> None:
            super().__init__(server, tmp_path, done)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=int(EXAMPLES or 12),
            stateful_step_count=12,
            deadline=None,
            derandomize=EXAMPLES is None,
            database=None,
            print_blob=True,
            # To shrink by running for minutes is not worth it: few steps fail alike.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(done))
    assert done["lines"] > 100 and done["read"] > 10, done
