"""The tailer when the system refuses, loses or removes something."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import IO

import pytest
from harness import BIN, PATIENCE, wait_for
from tailing import Tailer, holds

pytestmark = pytest.mark.fault

LINE = b'{"n":%d,"pad":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}'


def lines(first: int, count: int) -> list[bytes]:
    return [LINE % number for number in range(first, first + count)]


def text(data: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in data)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "claude" / "projects"
    (folder / "p").mkdir(parents=True)
    return folder


@pytest.fixture
def tailer(root: Path, tmp_path: Path) -> Tailer:
    return Tailer(root, tmp_path, "--rest-seconds", "0.5")


def check(tailer: Tailer, expected: list[bytes]) -> None:
    """Check that these lines arrived, each once, without gaps, and nothing else."""
    tailer.wait_lines(set(expected))
    tailer.stop()
    assert dict(tailer.kept.payloads()) == dict.fromkeys(expected, 1)
    tailer.kept.check_tiles()


def test_a_torn_line_of_a_deleted_file_is_kept_as_raw(
    tailer: Tailer, root: Path
) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes(text(lines(0, 3)) + b'{"torn":')
    with tailer:
        tailer.wait_lines(set(lines(0, 3)))
        path.unlink()
        check(tailer, [*lines(0, 3), b'{"torn":'])
    torn = tailer.kept.documents.values()
    assert [line.error for line in torn if line.data == b'{"torn":'] != [None]


def test_bytes_written_to_a_deleted_file_are_read(tailer: Tailer, root: Path) -> None:
    path = root / "p" / "a.jsonl"
    with tailer, path.open("ab", buffering=0) as file:
        file.write(b'{"n":0}\n{"n":')
        tailer.wait_lines({b'{"n":0}'})
        time.sleep(0.2)
        tailer.signal(signal.SIGSTOP)
        file.write(b'1}\n{"n":2}\n')
        path.unlink()
        tailer.signal(signal.SIGCONT)
        check(tailer, [b'{"n":0}', b'{"n":1}', b'{"n":2}'])


def test_a_file_replaced_with_unread_bytes_is_read_first(
    tailer: Tailer, root: Path
) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes(b'{"n":0}\n{"n":')
    with tailer:
        tailer.wait_lines({b'{"n":0}'})
        time.sleep(0.2)
        tailer.signal(signal.SIGSTOP)
        with path.open("ab") as file:
            file.write(b"1}\n")
        path.unlink()
        path.write_bytes(b'{"n":2}\n')
        tailer.signal(signal.SIGCONT)
        check(tailer, [b'{"n":0}', b'{"n":1}', b'{"n":2}'])


def test_a_file_with_a_reused_inode_is_read_from_its_start(
    tailer: Tailer, root: Path
) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes(text(lines(0, 5)))
    inode = path.stat().st_ino
    other = root / "p" / "b.jsonl"
    with tailer:
        tailer.wait_lines(set(lines(0, 5)))
        tailer.kill()
        path.unlink()
        for _ in range(50):
            other.write_bytes(text(lines(0, 5)))  # the same bytes, another file
            if other.stat().st_ino == inode:
                break
            other.unlink()
        else:
            pytest.skip("this file system does not use inodes again")
        with other.open("ab") as file:
            file.write(text(lines(5, 3)))
        tailer.start()
        tailer.wait_lines(set(lines(0, 8)))
        tailer.stop()
    counts = tailer.kept.payloads()
    assert [counts[line] for line in lines(0, 8)] == [2] * 5 + [1] * 3
    tailer.kept.check_tiles()


def test_a_hard_link_is_read_once(tailer: Tailer, root: Path) -> None:
    first = root / "p" / "a.jsonl"
    first.write_bytes(text(lines(0, 3)))
    (root / "q").mkdir()
    os.link(first, root / "q" / "b.jsonl")
    with tailer:
        tailer.wait_lines(set(lines(0, 3)))
        os.link(first, root / "p" / "c.jsonl")
        with (root / "p" / "c.jsonl").open("ab") as file:
            file.write(text(lines(3, 2)))
        with first.open("ab") as file:
            file.write(text(lines(5, 1)))
        tailer.wait_lines(set(lines(0, 6)))
        first.unlink()
        with (root / "q" / "b.jsonl").open("ab") as file:
            file.write(text(lines(6, 2)))
        check(tailer, lines(0, 8))


def test_linked_files_are_followed_and_read_once(
    tailer: Tailer, root: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    history = tmp_path / "prompts"
    for number, path in enumerate((first, second, history)):
        path.write_bytes(text(lines(10 * number, 2)))
    project = root / "p"
    (project / "a.jsonl").symlink_to(first)
    (project / "same.jsonl").symlink_to(first)
    (project / "notes").symlink_to(first)
    (project / "inside.jsonl").symlink_to("real.jsonl")
    (project / "dangling.jsonl").symlink_to("none")
    (project / "itself.jsonl").symlink_to("itself.jsonl")
    (root.parent / "history.jsonl").symlink_to(history)
    os.mkfifo(project / "fifo.jsonl")
    (project / "packed.jsonl.gz").write_bytes(b"\x1f\x8b")
    (project / "folder.jsonl").mkdir()
    (project / "real.jsonl").write_bytes(text(lines(30, 2)))
    with tailer:
        assert tailer.counters()["files_left_out"] == 4
        (project / "late.jsonl").symlink_to(second)
        (project / "inside too.jsonl").symlink_to("real.jsonl")
        os.mkfifo(project / "later.jsonl")
        tailer.wait_lines(set(lines(10, 2)))
        for number, path in enumerate((first, second, history)):
            with path.open("ab") as file:
                file.write(text(lines(10 * number + 2, 2)))
        tailer.wait_lines(set(lines(12, 2)))
        (project / "late.jsonl").unlink()
        (project / "late.jsonl").symlink_to(history)  # a second name of it
        with (project / "real.jsonl").open("ab") as file:
            file.write(text(lines(32, 2)))
        expected = [line for number in range(4) for line in lines(10 * number, 4)]
        check(tailer, expected)
    assert tailer.counters()["reasons"] == []
    assert tailer.counters()["rescan_found_total"] == 0
    paths = {line.path for line in tailer.kept.lines}
    assert paths == {"p/a.jsonl", "p/late.jsonl", "../history.jsonl", "p/real.jsonl"}


def test_files_and_folders_that_were_deleted_too_early_are_counted(
    tailer: Tailer, root: Path
) -> None:
    with tailer:
        tailer.signal(signal.SIGSTOP)
        for number in range(3):
            path = root / "p" / f"{number}.jsonl"
            path.write_bytes(text(lines(number, 1)))
            path.unlink()
        (root / "short").mkdir()
        (root / "short" / "a.jsonl").write_bytes(text(lines(9, 1)))
        shutil.rmtree(root / "short")
        (root / "p" / "stays.jsonl").write_bytes(text(lines(3, 1)))
        tailer.signal(signal.SIGCONT)
        check(tailer, lines(3, 1))
    counted = tailer.counters()
    assert (counted["files_missed_total"], counted["folders_missed_total"]) == (3, 1)


def test_linked_folders_are_read_once(
    tailer: Tailer, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "a.jsonl").write_bytes(text(lines(0, 2)))
    (root / "linked").symlink_to(outside)
    (root / "again").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "p" / "b.jsonl").write_bytes(text(lines(2, 2)))
    (root / "o").symlink_to(root / "p")
    with tailer:
        with (outside / "a.jsonl").open("ab") as file:
            file.write(text(lines(4, 2)))
        (root / "late").symlink_to(root / "p")
        check(tailer, lines(0, 6))


def test_a_linked_root_is_followed(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    with Tailer(link, tmp_path) as tailer:
        (root / "p" / "a.jsonl").write_bytes(text(lines(0, 2)))
        check(tailer, lines(0, 2))


def test_lost_events_lose_no_lines(root: Path, tmp_path: Path) -> None:
    tailer = Tailer(root, tmp_path, "--rescan-seconds", "1000")
    written = []
    with tailer:
        tailer.signal(signal.SIGSTOP)
        files = [(root / "p" / f"{n}.jsonl").open("ab", buffering=0) for n in range(40)]
        for number in range(30_000):
            files[number % 40].write(LINE % number + b"\n")
        written += lines(0, 30_000)
        for number in range(30):
            folder = root / f"new{number}" / "s" / "subagents"
            folder.mkdir(parents=True)
            (folder / "a.jsonl").write_bytes(text(lines(100_000 + number, 1)))
            written += lines(100_000 + number, 1)
        for file in files:
            file.close()
        tailer.signal(signal.SIGCONT)
        check(tailer, written)
    assert tailer.counters()["inotify_overflows_total"] >= 1


def test_a_lost_watch_is_restored(tailer: Tailer, root: Path) -> None:
    with tailer:
        shutil.rmtree(root / "p")
        (root / "p").mkdir()
        (root / "p" / "a.jsonl").write_bytes(text(lines(0, 2)))
        tailer.wait_lines(set(lines(0, 2)))
        with (root / "p" / "a.jsonl").open("ab") as file:
            file.write(text(lines(2, 2)))
        check(tailer, lines(0, 4))
    assert tailer.counters()["rescan_found_total"] == 0


def test_a_root_that_is_created_later_is_followed(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet" / "projects"
    with Tailer(root, tmp_path, "--poll-seconds", "0.1") as tailer:
        (root / "p").mkdir(parents=True)
        (root / "p" / "a.jsonl").write_bytes(text(lines(0, 2)))
        (root.parent / "history.jsonl").write_bytes(text(lines(2, 1)))
        check(tailer, lines(0, 3))
    assert "waiting" in tailer.errors


def test_a_root_that_disappears_is_not_taken_for_deleted_files(
    tailer: Tailer, root: Path
) -> None:
    (root / "p" / "a.jsonl").write_bytes(text(lines(0, 2)))
    with tailer:
        tailer.wait_lines(set(lines(0, 2)))
        aside = root.rename(root.parent / "aside")
        time.sleep(0.3)
        aside.rename(root)
        with (root / "p" / "a.jsonl").open("ab") as file:
            file.write(text(lines(2, 2)))
        check(tailer, lines(0, 4))
    assert tailer.kept.state("p/a.jsonl")["gen"] == 0


def in_namespace(setting: str) -> list[str]:
    """Return a command prefix that sets a limit of inotify without root."""
    script = f'{setting} && exec "$@"'
    prefix = ["unshare", "-Ur", "sh", "-c", script, "sh"]
    try:
        subprocess.run(
            [*prefix, "true"], check=True, capture_output=True, timeout=PATIENCE
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user namespaces here")
    return prefix


@pytest.mark.parametrize("limit", ["watches", "instances"])
def test_without_enough_inotify_it_polls_and_says_so(
    root: Path, tmp_path: Path, limit: str
) -> None:
    count = 3 if limit == "watches" else 0
    tailer = Tailer(root, tmp_path, "--poll-seconds", "0.1")
    tailer.prefix = in_namespace(f"echo {count} > /proc/sys/user/max_inotify_{limit}")
    for number in range(10):
        (root / f"p{number}").mkdir()
    with tailer:
        assert tailer.counters()["mode"] == "polling"
        assert "inotify" in tailer.counters()["reasons"][0]
        expected = []
        for number in range(10):
            (root / f"p{number}" / "a.jsonl").write_bytes(text(lines(number, 1)))
            expected += lines(number, 1)
        check(tailer, expected)
    assert "inotify" in tailer.errors


def test_too_many_open_files_are_not_taken_for_deleted_files(
    root: Path, tmp_path: Path
) -> None:
    tailer = Tailer(root, tmp_path, "--rest-seconds", "60")
    tailer.prefix = ["sh", "-c", 'ulimit -n 24; exec "$@"', "sh"]
    torn = [b'{"n":%d,' % number for number in range(60)]
    for number, start in enumerate(torn):
        (root / "p" / f"{number}.jsonl").write_bytes(b"{}\n" + start)
    with tailer:
        wait_for(lambda: len(tailer.kept.lines) == 60, "first lines")
        for number in range(60):
            with (root / "p" / f"{number}.jsonl").open("ab") as file:
                file.write(b'"b":0}\n')
        check_lines = [start + b'"b":0}' for start in torn]
        tailer.wait_lines(set(check_lines))
        tailer.stop()
    states = [json.loads(each) for each in tailer.kept.checkpoints.values()]
    assert {(state["state"], state["gen"]) for state in states} == {("live", 0)}
    tailer.kept.check_tiles()


@pytest.mark.parametrize(
    ("call", "error"),
    [("openat", "EIO"), ("openat", "EACCES"), ("openat", "EMFILE"), ("pread64", "EIO")],
)
def test_a_file_that_cannot_be_read_now_is_read_later(
    root: Path, tmp_path: Path, call: str, error: str
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace here")
    path = root / "p" / "a.jsonl"
    path.write_bytes(text(lines(0, 3)))
    tailer = Tailer(root, tmp_path)
    fault = f"inject={call}:error={error}:when=1..2"
    trace = ["strace", "-D", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    tailer.prefix = [*trace, "-P", str(path), "-e", fault]
    with tailer:
        check(tailer, lines(0, 3))
    assert tailer.kept.state("p/a.jsonl")["gen"] == 0
    assert tailer.counters()["reasons"] == []


def test_a_folder_without_permission_does_not_stop_others(
    root: Path, tmp_path: Path
) -> None:
    tailer = Tailer(root, tmp_path)
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may search any folder")
        rights = "--bounding-set=-dac_override,-dac_read_search"
        tailer.prefix = ["setpriv", rights, "--inh-caps=-all"]
    (root / "q").mkdir()
    (root / "p" / "a.jsonl").write_bytes(text(lines(0, 3)))
    (root / "q" / "b.jsonl").write_bytes(text(lines(3, 3)))
    (root / "p").chmod(0o644)  # listed, but nothing in it can be looked at
    with tailer:
        tailer.wait_lines(set(lines(3, 3)))
        time.sleep(3)  # it tries again meanwhile
        with (root / "q" / "b.jsonl").open("ab") as file:
            file.write(text(lines(6, 1)))
        tailer.wait_lines(set(lines(3, 4)))
        (root / "p").chmod(0o755)
        check(tailer, lines(0, 7))
    states = [json.loads(each) for each in tailer.kept.checkpoints.values()]
    assert {state["state"] for state in states} == {"live"}


def test_without_file_handles_files_are_recognised_by_content(
    root: Path, tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace here")
    fault = "inject=name_to_handle_at:error=EOPNOTSUPP"
    trace = ["strace", "-D", "-qq", "-o", "/dev/null", "-e", "trace=name_to_handle_at"]
    tailer = Tailer(root, tmp_path)
    tailer.prefix = [*trace, "-e", fault]
    path = root / "p" / "a.jsonl"
    path.write_bytes(text(lines(0, 3)))
    with tailer:
        tailer.wait_lines(set(lines(0, 3)))
        assert tailer.kept.state("p/a.jsonl")["handle"] is None
        tailer.kill()
        path.rename(root / "p" / "b.jsonl")
        path.write_bytes(text(lines(10, 9)))
        with (root / "p" / "b.jsonl").open("ab") as file:
            file.write(text(lines(3, 3)))
        tailer.start()
        tailer.wait_lines({*lines(0, 6), *lines(10, 9)})
        (root / "p" / "b.jsonl").write_bytes(text(lines(20, 20)))
        check(tailer, [*lines(0, 6), *lines(10, 9), *lines(20, 20)])
    assert tailer.kept.state("p/a.jsonl")["gen"] == 0
    assert tailer.kept.state("p/b.jsonl")["gen"] == 1


def test_polling_survives_moves_and_rewrites(root: Path, tmp_path: Path) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes(text(lines(0, 3)))
    options = ("--poll", "--poll-seconds", "0.05")
    with Tailer(root, tmp_path, *options) as tailer:
        tailer.wait_lines(set(lines(0, 3)))
        path = path.rename(root / "b.jsonl")
        time.sleep(0.2)
        with path.open("ab") as file:
            file.write(text(lines(3, 3)))
        tailer.wait_lines(set(lines(0, 6)))
        path.write_bytes(text(lines(10, 2)))
        check(tailer, [*lines(0, 6), *lines(10, 2)])


def unread(pipe: IO[bytes] | None) -> int:
    """Return how many bytes wait in a pipe."""
    assert pipe is not None
    count = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return int.from_bytes(count, sys.byteorder)


def test_a_slow_reader_loses_no_short_lived_file(root: Path, tmp_path: Path) -> None:
    big = [b'{"pad":"%s","n":%d}' % (b"x" * 50_000, n) for n in range(100)]
    (root / "p" / "big.jsonl").write_bytes(text(big))
    command = [str(BIN / "tailer"), "--follow", "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # ready; now its pipe fills up
        wait_for(lambda: unread(process.stdout) > 60_000, "its pipe is full")
        short = []
        for number in range(10):
            path = root / "p" / f"{number}.jsonl"
            path.write_bytes(text(lines(number, 1)))
            short += lines(number, 1)
            wait_for(lambda p=path: holds(process.pid, p), "it is opened")  # type: ignore[misc]
            path.unlink()
        folder = root / "new" / "deep"
        folder.mkdir(parents=True)
        late = folder / "late.jsonl"
        late.write_bytes(text(lines(10, 1)))
        wait_for(lambda: holds(process.pid, late), "it is opened")
        shutil.rmtree(root / "new")
        found: set[bytes] = set()
        wanted = {*short, *lines(10, 1)}
        deadline = time.monotonic() + PATIENCE
        while not wanted <= found and time.monotonic() < deadline:
            record = process.stdout.readline()
            found.update(line for line in wanted if line in record)
        process.terminate()
        process.stdout.read()
    assert wanted <= found


def test_it_ends_when_the_pipe_is_closed(root: Path) -> None:
    command = [str(BIN / "tailer"), "--follow", "--root", str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(PATIENCE)  # though there is nothing to write


def test_it_ends_with_its_parent(root: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = '"$@" & echo $! > "$0"; wait'
    tool = [str(BIN / "tailer"), "--follow", "--root", str(root)]
    command = ["sh", "-c", script, str(pid_file), *tool]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.kill()
        pid = int(pid_file.read_text())
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "tailer has ended")


def test_sigterm_ends_after_a_checkpoint(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [b'{"pad":"%s","n":%d}' % (b"x" * 3000, n) for n in range(20_000)]
    (root / "p" / "a.jsonl").write_bytes(text(data))
    asked = threading.Event()
    with Tailer(root, tmp_path) as tailer:
        take = tailer.kept.take

        def read_on_when_asked(text: bytes) -> None:
            take(text)
            if tailer.kept.lines:
                asked.wait(PATIENCE)

        monkeypatch.setattr(tailer.kept, "take", read_on_when_asked)
        wait_for(lambda: tailer.kept.lines, "the first lines")
        assert tailer.stop(asked.set) == 0
        first = len(tailer.kept.lines)
        tailer.start()
        check(tailer, data)
    assert 0 < first < len(data)


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_any_time_lose_and_repeat_nothing(
    root: Path, tmp_path: Path, seed: int
) -> None:
    data = [b'{"pad":"%s","n":%d}' % (b"x" * 2000, n) for n in range(30_000)]
    for number in range(3):
        part = text(data[number * 10_000 : (number + 1) * 10_000])
        (root / "p" / f"{number}.jsonl").write_bytes(part)
    with Tailer(root, tmp_path) as tailer:
        for kill in range(4):
            due = len(tailer.kept.lines) + (seed * 4 + kill) * 400
            wait_for(lambda due=due: len(tailer.kept.lines) >= due, "lines are read")  # type: ignore[misc]
            tailer.kill()
            tailer.start(ready=False)
        check(tailer, data)
    # A line is only sent again when its checkpoint did not arrive.
    assert len(tailer.kept.lines) == len(tailer.kept.documents)
