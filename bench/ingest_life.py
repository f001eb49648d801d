"""Everyday life: how soon a line is safe, what waiting costs, how a restart goes."""

import statistics
import subprocess
import time
from pathlib import Path

from harness import wait_for
from ingest_meter import Meter, cpu_of, memory_of
from ingest_ours import LIMIT_S, Ours

LINE = b'{"type":"user","sessionId":"s","message":{"content":"%s"}}\n'


def latency(ours: Ours, rate: float, seconds: float) -> list[float]:
    """Milliseconds from the append of a line to its acknowledgement, for each line.

    Acknowledged means: the watermark in MongoDB has reached the line. It is written
    after the journaled insert, and looked at every half millisecond.
    """
    files = [ours.root / f"-home-me-l/{number}.jsonl" for number in range(10)]
    files[0].parent.mkdir(parents=True)
    for file in files:
        file.write_bytes(LINE % b"first")
    marks = ours.client[ours.database].watermarks
    with ours.pipeline(follow=True):
        wait_for(lambda: ours.acknowledged() >= len(files), "all have begun")
        time.sleep(3)  # indexes are made when the flusher comes to rest
        taken = []
        for number in range(int(rate * seconds)):
            begin = time.perf_counter()
            with files[number % len(files)].open("ab") as log:
                log.write(LINE % (b"x" * (number * 37 % 4000)))
            wanted = len(files) + number + 1
            deadline = begin + 30
            while (marks.find_one() or {})["acked_seq"] < wanted:
                if time.perf_counter() > deadline:
                    raise TimeoutError(f"line {number} is not acknowledged")
                time.sleep(0.0005)
            taken.append((time.perf_counter() - begin) * 1000)
            time.sleep(max(0.0, begin + 1 / rate - time.perf_counter()))
    return taken


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies."""
    return statistics.quantiles(values, n=1000, method="inclusive")[
        int(share * 1000) - 1
    ]


def idle(ours: Ours, files: int, seconds: float) -> dict[str, tuple[float, int]]:
    """Share of a CPU and resident bytes of each process when nothing happens."""
    many_files(ours.root, files, files // 100)
    with ours.pipeline(follow=True) as pids:
        wait_for(lambda: ours.acknowledged() >= files, "all acknowledged", LIMIT_S)
        time.sleep(10)
        before = {name: cpu_of(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        return {
            name: ((cpu_of(pid) - before[name]) / seconds, memory_of(pid)[0])
            for name, pid in pids.items()
        }


def restart(ours: Ours, files: int, rounds: int) -> list[tuple[float, float]]:
    """Seconds until a tailer that knows many files gives the one new line.

    Returns:
        Of each round: seconds that passed, and CPU seconds.
    """
    many_files(ours.root, files, files // 100)
    known = ours.home / "known"
    with known.open("wb") as out:
        tailer = ours.start("tailer", "--once", stdout=subprocess.PIPE)
        assert tailer.stdout
        for record in tailer.stdout:
            if record.startswith(b'{"kind":"checkpoint"'):
                out.write(record)
        tailer.wait(60)
    taken = []
    for number in range(rounds):
        with (ours.root / "-home-me-0/0.jsonl").open("ab") as log:
            log.write(LINE % f"new {number}".encode())
        begin = time.perf_counter()
        arguments = ("--follow", "--resume", str(known))
        tailer = ours.start("tailer", *arguments, stdout=subprocess.PIPE)
        assert tailer.stdout
        tailer.stdout.readline()
        taken.append((time.perf_counter() - begin, cpu_of(tailer.pid)))
        tailer.kill()
        tailer.wait(60)
    return taken


def memory(ours: Ours, size: int, longest: int, lines: list[bytes]) -> Meter:
    """One large file and one long line through all three processes."""
    folder = ours.root / "-home-me-big"
    folder.mkdir(parents=True)
    with (folder / "long.jsonl").open("wb") as log:
        log.write(LINE % (b"x" * longest))
    block, count = b"".join(line + b"\n" for line in lines), 1
    with (folder / "large.jsonl").open("wb") as log:
        while log.tell() < size:
            log.write(block)
            count += len(lines)
    with (
        ours.pipeline(follow=False) as pids,
        Meter({"mongod": ours.mongod_pid}, pids) as meter,
    ):
        wait_for(lambda: ours.acknowledged() >= count, "acknowledged", LIMIT_S * 3)
    return meter


def many_files(root: Path, files: int, folders: int) -> None:
    """Small logs, a line each, in many folders."""
    for number in range(files):
        folder = root / f"-home-me-{number % folders}"
        if number < folders:
            folder.mkdir(parents=True)
        (folder / f"{number}.jsonl").write_bytes(LINE % str(number).encode())
