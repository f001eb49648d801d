"""Count the work of the tailer: bytes, files and memory, not time."""

import subprocess
import sys
from pathlib import Path

import pytest
from harness import BIN, wait_for
from tailing import Tailer

FILES = 10_000
# Started by a small process, because a child's peak includes that of its parent.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "projects"
    folder.mkdir()
    return folder


def many(root: Path) -> Path:
    """Create folders with many small files; return one of them."""
    for number in range(100):
        (root / f"p{number}").mkdir()
        for name in range(FILES // 100):
            data = b'{"n":%d,"pad":"%s"}\n' % (number * 100 + name, b"x" * 300)
            (root / f"p{number}" / f"{name}.jsonl").write_bytes(data * 3)
    return root / "p7" / "7.jsonl"


@pytest.mark.slow
def test_one_line_in_ten_thousand_files_reads_that_line_and_two_windows(
    root: Path, tmp_path: Path
) -> None:
    path = many(root)
    tailer = Tailer(root, tmp_path)
    tailer.once()
    assert len(tailer.kept.lines) == 3 * FILES
    before = path.stat().st_size
    last = 1 + path.read_bytes().rstrip().rfind(b"\n")
    with tailer:
        ready = tailer.counters()
        assert (ready["files_opened_total"], ready["bytes_pread_total"]) == (0, 0)
        assert ready["dirs_watched"] == 101
        line = b'{"fresh":"%s"}' % (b"y" * 500)
        with path.open("ab") as file:
            file.write(line + b"\n")
        tailer.wait_lines({line})
        tailer.stop()
        done = tailer.counters()
    assert done["files_opened_total"] == 1
    assert done["lines_read_total"] == 1
    head, tail = min(1024, before), before - last
    # The tail is read when the file is opened, and with each of two reads.
    windows = head + tail + tail + len(line) + 1
    assert done["bytes_pread_total"] <= len(line) + 1 + windows + 1024


def test_a_growing_line_is_not_read_again_with_every_piece(
    root: Path, tmp_path: Path
) -> None:
    with Tailer(root, tmp_path) as tailer:
        path = root / "a.jsonl"
        pieces = [b'{"a":"', *[b"z" * 100_000] * 30, b'"}\n']
        for piece in pieces:
            with path.open("ab") as file:
                file.write(piece)
        tailer.wait_lines({b"".join(pieces)[:-1]})
        tailer.stop()
        done = tailer.counters()
    assert done["bytes_pread_total"] < 2.2 * path.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", [b"x", "😀".encode(), b"\xff"], ids=["ascii", "wide", "bad"]
)
def test_a_line_of_fifty_megabytes_takes_less_than_200_mb(
    root: Path, unit: bytes
) -> None:
    count = 50_000_000 // len(unit)
    (root / "a.jsonl").write_bytes(b'{"a":"' + unit * count + b'"}\n{"b":2}\n')
    command = [sys.executable, "-c", MEASURE, str(BIN / "tailer"), "--root", str(root)]
    # Written to a file, because a pipe could hide that lines are collected.
    with (root.parent / "out").open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=True)
    output = (root.parent / "out").read_bytes()
    assert len(output) > 50_000_000
    assert b',"entry":{"b":2}}\n' in output[-2000:]
    assert int(done.stderr) < 200_000  # kilobytes


@pytest.mark.slow
def test_a_safety_scan_finds_nothing(root: Path, tmp_path: Path) -> None:
    with Tailer(root, tmp_path, "--rescan-seconds", "0.1") as tailer:
        number = 0

        def scanned_while_files_change() -> bool:
            nonlocal number
            number += 1
            path = root / f"p{number % 7}" / f"{number % 11}.jsonl"
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                file.write(b'{"n":%d}\n' % number)
            if number % 5 == 0:
                path.rename(path.with_name(f"{number}-moved.jsonl"))
            if number % 3 == 0:
                path.with_name(f"{number}.meta.json").write_bytes(b"{}")
            return bool(tailer.counters()["rescans_total"])

        # Scans rest a thousand times as long as they take.
        wait_for(scanned_while_files_change, "a safety scan")
        lines = {b'{"n":%d}' % each for each in range(1, number + 1)}
        tailer.wait_lines(lines)
        tailer.stop()
        assert tailer.counters()["rescan_found_total"] == 0
    assert lines <= set(tailer.kept.payloads())
