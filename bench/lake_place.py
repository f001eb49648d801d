"""A MongoDB and a data directory of one measurement, and what a process costs."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from cclake_lake.settings import Lake
from harness import BIN, Mongod, connect
from lake_data import fill

SAMPLE_S = 0.02


class Cost(NamedTuple):
    """The cost of a process and its children; `mb` is the resident memory of all."""

    wall: float
    cpu: float
    mb: int


class Place:
    """A MongoDB and a data directory of one measurement."""

    def __init__(self, mongod: Mongod, folder: Path, name: str, size: int) -> None:
        self.home = folder / name
        self.size = size
        self.count = 0
        self.uri = mongod.uri
        self.name = name
        self.client = connect(mongod.uri)
        self.db = self.client[name]
        self.lake = Lake(warehouse=str(self.home / "iceberg"))
        self.env = os.environ | {
            "MONGO_URI": mongod.uri,
            "MONGO_DB": name,
            "CCLAKE_HOME": str(self.home),
            "DO_NOT_TRACK": "1",
        }

    def add(self, count: int) -> None:
        """Store and acknowledge more documents."""
        fill(self.db, self.count + 1, self.count + count, self.size)
        self.count += count

    def start(
        self, *command: str, stdout: int = subprocess.DEVNULL
    ) -> "subprocess.Popen[bytes]":
        """Start a tool, or a program with a path."""
        program = command[0] if "/" in command[0] else str(BIN / command[0])
        return subprocess.Popen([program, *command[1:]], env=self.env, stdout=stdout)

    def time(self, *command: str) -> Cost:
        """Measure a whole process, with its start and its children."""
        begin = time.perf_counter()
        process = self.start(*command)
        with most_resident(process.pid) as most:
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        peak = max(used.ru_maxrss >> 10, most[0])
        return Cost(wall, used.ru_utime + used.ru_stime, peak)

    def fresh(self) -> None:
        """Forget the lake and DuckDB; MongoDB stays."""
        shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def most_resident(pid: int) -> Iterator[list[int]]:
    """The most megabytes that a process and its children had at a time, sampled."""
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            most[0] = max(most[0], resident(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def resident(pid: int) -> int:
    """Megabytes of a process and its children now; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        children = [int(child) for task in tasks for child in task.read_text().split()]
    except (OSError, ValueError, IndexError):
        return 0
    own = pages * os.sysconf("SC_PAGE_SIZE") >> 20
    return own + sum(resident(child) for child in children)


@contextmanager
def places(size: int, folder: Path | None) -> Iterator[Callable[[str], Place]]:
    """Makes places on one private MongoDB, in a temporary folder below `folder`."""
    work = Path(tempfile.mkdtemp(prefix="cclake-bench-", dir=folder))
    mongod = Mongod(work / "mongod").start()
    made: list[Place] = []

    def make(name: str) -> Place:
        made.append(Place(mongod, work, name, size))
        return made[-1]

    try:
        yield make
    finally:
        for place in made:
            place.client.close()
        mongod.kill()
        shutil.rmtree(work)


def middle(values: list[float]) -> float:
    """The median, rounded to milliseconds."""
    return round(statistics.median(values), 3)


def medians(costs: list[Cost]) -> dict[str, float]:
    """The medians of wall and CPU seconds, and the highest memory."""
    return {
        "wall_s": middle([cost.wall for cost in costs]),
        "cpu_s": middle([cost.cpu for cost in costs]),
        "peak_mb": max(cost.mb for cost in costs),
    }


def ratios(
    short: dict[str, dict[str, float]], long: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Return the ratio of the cost of the long history, stage by stage."""
    return {
        name: {
            kind: round(long[name][kind] / short[name][kind], 2)
            for kind in ("wall_s", "cpu_s")
        }
        for name in short
    }
