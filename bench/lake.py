"""Measures the lake: extract, load and table care, as ratios within one run.

    just bench lake                               # small sizes, about two minutes
    just bench lake -- --documents 300000         # the size of the documentation
    just bench lake -- --only growth --documents 300000 --times 10

Every number is the median of interleaved repetitions of whole processes, their
start included, except where it says "commit".
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from cclake_extract.care.auto import care, due
from cclake_extract.lake import Lake
from cclake_extract.run import extract
from documents import documents, store
from harness import BIN, Mongod, connect

PARTS = ("full", "small", "growth", "commits")
BUFFER = "a" * 32
CHUNK = 5_000
NEW = 1_000


class Cost(NamedTuple):
    """What a process took."""

    wall: float
    cpu: float
    mb: int


class Place:
    """A MongoDB and a data directory of one measurement."""

    def __init__(self, mongod: Mongod, folder: Path, name: str, size: int) -> None:
        self.home = folder / name
        self.size = size
        self.count = 0
        self.client = connect(mongod.uri)
        self.db = self.client[name]
        self.lake = Lake(warehouse=str(self.home / "iceberg"))
        self.env = os.environ | {
            "MONGO_URI": mongod.uri,
            "MONGO_DB": name,
            "CCLAKE_HOME": str(self.home),
        }

    def add(self, count: int) -> None:
        """Store and acknowledge more documents."""
        end = self.count + count
        while self.count < end:
            last = min(self.count + CHUNK, end)
            store(self.db, list(documents(self.count + 1, last, size=self.size)))
            self.count = last

    def time(self, *command: str) -> "Cost":
        """What a whole process costs, its start included."""
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            env=self.env,
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        wall = time.perf_counter() - begin
        return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)

    def fresh(self) -> None:
        """Forget the lake and DuckDB; MongoDB stays."""
        shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def places(size: int) -> Iterator[Callable[[str], Place]]:
    """Makes places on one private MongoDB."""
    folder = Path(tempfile.mkdtemp(prefix="cclake-bench-"))
    mongod = Mongod(folder / "mongod").start()
    made: list[Place] = []

    def make(name: str) -> Place:
        made.append(Place(mongod, folder, name, size))
        return made[-1]

    try:
        yield make
    finally:
        for place in made:
            place.client.close()
        mongod.kill()
        shutil.rmtree(folder)


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


def full(options: argparse.Namespace, make: Callable[[str], Place]) -> dict[str, Any]:
    """Everything from nothing; the floor is reading the same bytes from MongoDB."""
    place = make("full")
    place.add(options.documents)
    floor, extracts, loads = list[float](), list[Cost](), list[Cost]()
    for _ in range(options.repeat):
        place.fresh()
        begin = time.perf_counter()
        for batch in place.db["conversations"].find_raw_batches({}, sort=[("seq", 1)]):
            assert batch
        floor.append(time.perf_counter() - begin)
        extracts.append(place.time("extract"))
        loads.append(place.time("load"))
    extracted = medians(extracts)
    return {
        "documents": place.count,
        "read_only_wall_s": middle(floor),
        "extract": extracted,
        "load": medians(loads),
        "extract_documents_per_s": round(place.count / extracted["wall_s"]),
        "extract_documents_per_cpu_s": round(place.count / extracted["cpu_s"]),
        "read_only_of_extract": round(middle(floor) / extracted["wall_s"], 3),
        "lake_bytes_per_document": round(size_of(place.lake) / place.count),
    }


def small(options: argparse.Namespace, make: Callable[[str], Place]) -> dict[str, Any]:
    """A thousand new documents on a history, and nothing new."""
    place = make("small")
    place.add(options.documents)
    place.time("extract")
    place.time("load")
    return steps(options, [place])[0]


def steps(options: argparse.Namespace, found: list[Place]) -> list[dict[str, Any]]:
    """Costs of small runs on each place, interleaved."""
    names = ("extract_new", "load_new", "extract_nothing", "load_nothing")
    costs = [{name: list[Cost]() for name in names} for _ in found]
    for _ in range(options.repeat):
        for place, kept in zip(found, costs, strict=True):
            place.add(NEW)
            kept["extract_new"].append(place.time("extract", "--care-every", "0"))
            kept["load_new"].append(place.time("load"))
            kept["extract_nothing"].append(place.time("extract"))
            kept["load_nothing"].append(place.time("load"))
    return [{name: medians(kept[name]) for name in names} for kept in costs]


def growth(options: argparse.Namespace, make: Callable[[str], Place]) -> dict[str, Any]:
    """The same small runs on a history and on one that is `--times` as long."""
    short, long = make("short"), make("long")
    for place, count in (
        (short, options.documents),
        (long, options.documents * options.times),
    ):
        place.add(count)
        place.time("extract")
        place.time("load")
    small_ones, large_ones = steps(options, [short, long])
    ratios = {
        name: {
            kind: round(large_ones[name][kind] / small_ones[name][kind], 2)
            for kind in ("wall_s", "cpu_s")
        }
        for name in small_ones
    }
    return {
        "documents": [options.documents, options.documents * options.times],
        "short": small_ones,
        "long": large_ones,
        "ratios": ratios,
    }


def commits(
    options: argparse.Namespace, make: Callable[[str], Place]
) -> dict[str, Any]:
    """Extractions of ten documents one after the other, care included apart."""
    place = make("commits")
    runs, cares = list[float](), list[float]()
    for _ in range(options.runs):
        place.add(10)
        begin = time.perf_counter()
        extract(place.lake, place.db)
        runs.append(time.perf_counter() - begin)
        table = place.lake.require()
        if due(table):
            begin = time.perf_counter()
            care(table)
            cares.append(time.perf_counter() - begin)
    table = place.lake.require()
    first, last = middle(runs[1:41]), middle(runs[-40:])
    return {
        "runs": options.runs,
        "first_40": first,
        "last_40": last,
        "ratio": round(last / first, 2),
        "care": middle(cares) if cares else None,
        "cares": len(cares),
        "files_of_a_scan": len(list(table.scan().plan_files())),
        "snapshots": len(table.metadata.snapshots),
        "metadata_bytes": Path(table.metadata_location).stat().st_size,
    }


def size_of(lake: Lake) -> int:
    """Bytes of the data files."""
    return sum(p.stat().st_size for p in Path(lake.warehouse).rglob("*.parquet"))


def main() -> None:
    """Run the parts that were asked for; print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--size", type=int, default=2_000, help="bytes of a text")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    work = {"full": full, "small": small, "growth": growth, "commits": commits}
    with places(options.size) as make:
        for name in options.only or PARTS:
            print(json.dumps({name: work[name](options, make)}), flush=True)


if __name__ == "__main__":
    main()
