"""Measures the tailer alone, beside what the system itself takes for the same bytes.

    python bench/ingest_tail.py                  # about a minute
    python bench/ingest_tail.py --lines 100000 --files 50000 --json numbers.json

Each round runs all variants one after the other; ratios are taken within a round.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from harness import BIN
from ingest_corpus import Corpus
from ingest_life import many_files
from ingest_meter import cpu_of

TAILER = str(BIN / "tailer")


def run(command: list[str], script: str = '"$@" | cat >/dev/null') -> dict[str, float]:
    """Seconds of wall time and of CPU that a command takes whose output is read."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(["sh", "-c", script, "sh", *command], check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {"wall": wall, "cpu": user + system}


def reading(root: Path, lines: int, rounds: int) -> dict[str, float]:
    """Reading a tree of logs, beside `cat` of the same files."""
    variants: dict[str, list[str]] = {
        "cat": ["find", str(root), "-name", "*.jsonl", "-exec", "cat", "{}", "+"],
        "tailer": [TAILER, "--root", str(root)],
    }
    took = [{name: run(do) for name, do in variants.items()} for _ in range(rounds + 1)]
    took = took[1:]  # the first one warms the page cache
    ours = [each["tailer"] for each in took]
    return {
        "lines per second": lines / statistics.median(each["wall"] for each in ours),
        "CPU us per line": statistics.median(each["cpu"] for each in ours)
        / lines
        * 1e6,
        "CPU, times that of cat": statistics.median(
            each["tailer"]["cpu"] / each["cat"]["cpu"] for each in took
        ),
    }


def until_ready(root: Path, resume: Path) -> dict[str, float]:
    """Seconds from the start of a following tailer to its first stats record."""
    began = time.perf_counter()
    command = [TAILER, "--follow", "--root", str(root), "--resume", str(resume)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        stats = json.loads(process.stdout.readline())
        ready = {"wall": time.perf_counter() - began, "cpu": cpu_of(process.pid)}
        process.terminate()
        process.stdout.read()
    assert stats["behind_bytes"] == 0, stats
    return ready


def restart(root: Path, resume: Path, rounds: int) -> dict[str, float]:
    """Starting again over files that were all read, beside `find -printf` of them."""
    floor = ["find", str(root), "-name", "*.jsonl", "-printf", "%D %i %s %T@\n"]
    took = [(until_ready(root, resume), run(floor)) for _ in range(rounds + 1)][1:]
    return {
        "seconds to ready": statistics.median(ours["wall"] for ours, _ in took),
        "CPU seconds to ready": statistics.median(ours["cpu"] for ours, _ in took),
        "CPU, times that of find": statistics.median(
            ours["cpu"] / theirs["cpu"] for ours, theirs in took
        ),
    }


def latency(root: Path, resume: Path, count: int) -> dict[str, float]:
    """Milliseconds from an append to its record, 20 times a second among many files."""
    command = [TAILER, "--follow", "--root", str(root), "--resume", str(resume)]
    files = sorted(root.rglob("*.jsonl"))[:10]
    taken = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for number in range(count):
            line = b'{"latency":%d}' % number
            began = time.perf_counter()
            with files[number % len(files)].open("ab") as file:
                file.write(line + b"\n")
            while line not in process.stdout.readline():
                pass
            taken.append((time.perf_counter() - began) * 1000)
            time.sleep(0.05)
        process.terminate()
        process.stdout.read()
    taken.sort()
    return {"p50 ms": taken[len(taken) // 2], "p99 ms": taken[int(len(taken) * 0.99)]}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    os.environ["CCLAKE_HOST"] = "bench"
    with tempfile.TemporaryDirectory(prefix="tail-") as name:
        logs, small = Path(name) / "logs", Path(name) / "small"
        Corpus().write(logs, options.lines)
        many_files(small, options.files, options.files // 100)
        resume = Path(name) / "resume.jsonl"
        with resume.open("wb") as file:
            subprocess.run([TAILER, "--root", str(small)], stdout=file, check=True)
        parts: dict[str, Callable[[], dict[str, float]]] = {
            f"{options.lines} lines": lambda: reading(
                logs, options.lines, options.rounds
            ),
            f"restart, {options.files} files": lambda: restart(
                small, resume, options.rounds
            ),
            f"append to record, {options.files} files": lambda: latency(
                small, resume, 200
            ),
        }
        numbers = {name: part() for name, part in parts.items()}
    for name, values in numbers.items():
        for what, value in values.items():
            print(f"{name:34} {what:24} {value:12,.2f}")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
