"""Edits of archived bytes are detected and archived; what the detection costs."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import wait_for
from tailing import Tailer

LINE = b'{"n":%06d,"pad":"%s"}'
COUNT = 2000
QUICK = ("--compare-seconds", "0.2")


def lines(first: int, count: int = COUNT) -> list[bytes]:
    return [LINE % (first + number, b"x" * 300) for number in range(count)]


def text(data: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in data)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "claude" / "projects"
    (folder / "p").mkdir(parents=True)
    return folder


def overwrite(path: Path, old: bytes, new: bytes) -> None:
    """Like dd with conv=notrunc."""
    assert len(old) == len(new)
    at = path.read_bytes().index(old)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(new)


def overwrite_and_put_the_time_back(path: Path, old: bytes, new: bytes) -> None:
    status = path.stat()
    overwrite(path, old, new)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def sed(path: Path, old: bytes, new: bytes) -> None:
    script = f"s/{old.decode()}/{new.decode()}/"
    subprocess.run(["sed", "-i", script, str(path)], check=True)


def overwrite_and_append(path: Path, old: bytes, new: bytes) -> None:
    overwrite(path, old, new)
    with path.open("ab") as file:
        file.write(text(lines(9_000_00, 1)))


EDITS: list[Callable[[Path, bytes, bytes], None]] = [
    overwrite,
    overwrite_and_put_the_time_back,
    sed,
    overwrite_and_append,
]


def session(root: Path, number: int) -> Path:
    """A log in the folder of a session, where side files are archived, too."""
    folder = root / "p" / f"{number:08}-1111-4111-8111-111111111111" / "subagents"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "agent-a.jsonl"


@pytest.mark.parametrize("down", [False, True], ids=["running", "down"])
def test_an_edit_of_the_same_length_becomes_a_generation(
    root: Path, tmp_path: Path, down: bool
) -> None:
    paths = [session(root, number) for number in range(len(EDITS))]
    for number, path in enumerate(paths):
        path.write_bytes(text(lines(number * 100_000)))
    with Tailer(root, tmp_path, *QUICK) as tailer:
        tailer.wait_lines({lines(number * 100_000)[-1] for number in range(len(EDITS))})
        before = len(tailer.kept.documents)
        if down:
            tailer.kill()
        for number, (path, edit) in enumerate(zip(paths, EDITS, strict=True)):
            edit(path, b"%06d" % (number * 100_000 + 777), b"%06d" % (500_000 + number))
        if down:
            tailer.start()
        tailer.wait_lines({lines(500_000 + number, 1)[0] for number in range(4)})
        wait_for(
            lambda: all(_archived(tailer, root, path) for path in paths),
            "all generations are whole",
        )
        tailer.stop()
    for path in paths:
        name = path.relative_to(root).as_posix()
        state = tailer.kept.state(name)
        assert (state["gen"], state["off"]) == (1, path.stat().st_size)
    # Of a new generation, MongoDB stores only the lines that it lacks.
    found = tailer.kept.documents.values()
    assert len([one for one in found if one.kind == "line"]) == before + len(EDITS) + 1
    # The temporary file of sed may be archived as a side file.
    others = [one for one in found if one.kind != "line"]
    assert all(Path(one.path).name.startswith("sed") for one in others)
    tailer.kept.check_tiles()


def _archived(tailer: Tailer, root: Path, path: Path) -> bool:
    state = tailer.kept.state(path.relative_to(root).as_posix())
    data = tailer.kept.content(state["file"], state["gen"])
    return data == path.read_bytes()


def test_appends_compare_nothing_and_an_equal_overwrite_compares_once(
    root: Path, tmp_path: Path
) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes(text(lines(0)))
    os.utime(path, (1, 1))
    with Tailer(root, tmp_path) as tailer:
        tailer.wait_lines(set(lines(0)))
        size = path.stat().st_size
        for number in range(50):
            with path.open("ab") as file:
                file.write(text(lines(COUNT + number, 1)))
            tailer.wait_lines(set(lines(COUNT + number, 1)))
        grown = path.stat().st_size
        # Longer than it would take if appends were taken for edits.
        (root / "p" / "b.jsonl").write_bytes(text(lines(100_000)))
        tailer.wait_lines(set(lines(100_000)))
        overwrite(root / "p" / "b.jsonl", b"100777", b"100777")
        wait_for(lambda: tailer.counters()["files_compared_total"], "a comparison")
        tailer.stop()
        done = tailer.counters()
    touched = (root / "p" / "b.jsonl").stat().st_size
    assert done["files_compared_total"] == 1
    assert done["bytes_compared_total"] == touched
    windows = 50 * 4 * 1024
    assert done["bytes_pread_total"] <= grown + 2 * touched + windows + 8192
    assert size < grown
    assert done["truncations_total"] == 0


def test_unchanged_files_are_not_read_at_a_restart(root: Path, tmp_path: Path) -> None:
    for number in range(5):
        path = root / "p" / f"{number}.jsonl"
        path.write_bytes(text(lines(number * COUNT)))
    tailer = Tailer(root, tmp_path, "--compare-seconds", "0")
    tailer.once()
    path.chmod(0o640)
    changed = path.stat().st_ctime_ns

    def at_rest() -> bool:
        states = [tailer.kept.state(f"p/{number}.jsonl") for number in range(5)]
        pending = any(state.get("unchecked") for state in states)
        return states[4]["ctime_ns"] == changed and not pending

    with tailer:
        wait_for(lambda: tailer.counters()["files_compared_total"], "a comparison")
        wait_for(at_rest, "all are compared")
        tailer.stop()
    assert all(line.gen == 0 for line in tailer.kept.lines)
    with tailer:
        tailer.stop()
    done = tailer.counters()
    assert (done["files_opened_total"], done["bytes_pread_total"]) == (0, 0)


def test_checkpoints_without_checksums_are_continued(
    root: Path, tmp_path: Path
) -> None:
    paths = [root / "p" / f"{number}.jsonl" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(text(lines(number * 100_000)))
    tailer = Tailer(root, tmp_path, *QUICK)
    tailer.once()
    for key, record in tailer.kept.checkpoints.items():
        old = json.loads(record)
        for name in ("crc", "adler", "ctime_ns", "unchecked"):
            old.pop(name, None)
        tailer.kept.checkpoints[key] = json.dumps(old).encode() + b"\n"
    with tailer:
        assert tailer.counters()["files_opened_total"] == 0
        with paths[1].open("ab") as file:
            file.write(text(lines(200_000 - 1, 1)))
        overwrite_and_put_the_time_back(paths[2], b"200777", b"500000")
        tailer.wait_lines({*lines(200_000 - 1, 1), *lines(500_000, 1)})
        wait_for(lambda: "crc" in tailer.kept.state("p/1.jsonl"), "a checksum")
        tailer.stop()
    assert [tailer.kept.state(f"p/{n}.jsonl")["gen"] for n in range(3)] == [0, 0, 1]
    assert len(tailer.kept.documents) == 3 * COUNT + 2
    tailer.kept.check_tiles()
