"""The branches for macOS, taken on Linux: see `as_macos`."""

import fcntl
import os
import re
import resource
import select
import sys
from pathlib import Path

import pytest
from as_macos import FULL_SYNC, shims
from cclake_buffer import limits
from cclake_common import memory, stop, sync
from cclake_tailer import fingerprint
from cclake_tailer.fd_cache import FdCache, raise_fd_limit
from harness import BIN, Mongod
from live import Live, lines

ROOT = Path(__file__).parents[2]
# Names of calls and files that only Linux has.
LINUX_ONLY = re.compile(
    r"inotify_simple|/proc\b|posix_fallocate|prctl|O_TMPFILE|F_SETPIPE_SZ|malloc_trim"
    r"|name_to_handle_at|F_FULLFSYNC|fullfsync|READER_GONE =|OPEN_MAX"
    r"|memfd_create|signalfd|timerfd|eventfd|epoll|renameat2|fdatasync|O_DIRECT\b"
    r"|copy_file_range|posix_fadvise|pidfd|smaps|/dev/shm|\babstract socket"
)
TOOLS = ("tailer", "buffer", "flusher", "restore", "verify")


def test_lines_reach_mongodb_and_return(
    tmp_path: Path, mongod: Mongod, mongo_db: str
) -> None:
    path = f"{shims(tmp_path / 'bin', *TOOLS)}:{BIN}:{os.environ['PATH']}"
    with Live(tmp_path, mongod.uri, MONGO_DB=mongo_db, PATH=path) as live:
        live.start()
        live.ledger.append("p/a.jsonl", *lines(0, 5))
        live.wait_delivered()
        live.ledger.append("p/a.jsonl", *lines(5, 5))  # polling finds it
        live.wait_delivered()
        tailer = live.tailer()
        live.run("verify")
        live.run("restore", "--out", str(tmp_path / "out"))
        assert live.buffer.with_name("buffer.db.ballast").stat().st_size == 8 << 20
        assert live.health()["reasons"] == []
        live.kill_buffer()
        tailer.wait(30)  # it notices that its reader is gone
    (restored,) = (tmp_path / "out").rglob("a.jsonl")
    assert restored.read_bytes() == (live.root / "p/a.jsonl").read_bytes()


def test_a_sync_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refused(descriptor: int, command: int) -> int:
        asked.append(command)
        raise OSError

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULL_SYNC, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", refused)
    monkeypatch.setattr(os, "fsync", asked.append)
    sync.sync(7)
    assert asked == [FULL_SYNC, 7]  # the second where the first is refused
    monkeypatch.setattr(fcntl, "fcntl", lambda *_: 0)
    sync.sync_path(tmp_path)
    assert asked == [FULL_SYNC, 7]


def test_the_reserve_takes_its_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "posix_fallocate")
    path = tmp_path / "reserve"
    limits.allocate_reserve(path)
    assert path.stat().st_size == limits.RESERVE
    assert path.stat().st_blocks * 512 >= limits.RESERVE


def test_calls_of_linux_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    for module in (memory, stop, fingerprint):
        monkeypatch.setattr(module.ctypes, "CDLL", fail)
    assert memory._malloc_trim() is None
    assert fingerprint._name_to_handle_at() is None
    stop.die_with_parent()
    monkeypatch.setattr(memory, "_trim", None)
    memory.trim()
    monkeypatch.setattr(fingerprint, "_call", None)
    with (tmp_path / "a").open("w") as file:
        assert fingerprint.handle_of(file.fileno()) is None


def test_an_infinite_limit_of_files_is_asked_for_as_macos_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits_now = [256, 1 << 62]
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits_now))
    monkeypatch.setattr(
        resource, "setrlimit", lambda _, wanted: limits_now.__setitem__(0, wanted[0])
    )
    raise_fd_limit()
    assert limits_now[0] == 10240
    assert FdCache[int]().limit == 2560
    limits_now[0] = resource.RLIM_INFINITY
    assert FdCache[int]().limit == 4096


def test_the_end_of_a_reader_is_asked_for() -> None:
    """XNU reports nothing of a descriptor that is registered without events."""
    for path in ROOT.glob("tools/*/src/**/*.py"):
        assert not re.search(r"\.register\([^)]*, 0\)", path.read_text()), path
    reader, writer = os.pipe()
    os.close(reader)
    poll = select.poll()
    poll.register(writer, select.POLLHUP)
    assert poll.poll(0)
    os.close(writer)


def test_every_module_with_something_of_linux_is_in_the_table() -> None:
    text = (ROOT / "docs" / "installing.md").read_text()
    table = text.partition("## macOS")[2].partition("\n## ")[0]
    named = re.findall(r"\[`[\w.]+`\]\(\.\./([\w./]+)\)", table)
    found = {
        str(path.relative_to(ROOT))
        for folder in ("tools/*", "datasette", "metabase", "flows")
        for path in ROOT.glob(f"{folder}/src/**/*.py")
        if LINUX_ONLY.search(path.read_text())
    }
    assert found == set(named)
