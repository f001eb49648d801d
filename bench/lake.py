"""Measures the lake: every stage and the peers, as ratios within one run.

    just bench lake                               # small sizes
    just bench lake --documents 300000            # the size of the documentation
    just bench lake --only peers --documents 300000 --peers VENV
    just bench lake --only growth --documents 300000 --times 10
    just bench lake --only gold --size 300 --documents 300000 --times 10

Every number is the median of interleaved repetitions of whole processes, their
start included, except where it says "commit". Each part prints one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lake_gold
import lake_partitions
import lake_peers
from cclake_extract.incremental import extract
from cclake_extract.maintenance.policy import due, maintain
from cclake_lake.catalog import require_table
from cclake_lake.settings import Lake
from cclake_load.load import Load
from lake_place import Cost, Place, medians, middle, places, ratios

PARTS = (
    "full", "small", "growth", "commits", "partitions", "peers", "publish", "gold",
)  # fmt: skip
NEW = 1_000


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
    found = steps(options, [place])[0]
    alone = list[float]()
    for _ in range(options.repeat):
        place.add(NEW)
        place.time("extract", "--maintain-every", "0")
        path = place.home / "analytics.duckdb"
        work = Load(place.lake, path, "500MB", 30)
        begin = time.perf_counter()
        assert work.run(False, None)["rows"] == NEW
        alone.append(time.perf_counter() - begin)
    return {**found, "load_new_without_start_s": middle(alone)}


def steps(options: argparse.Namespace, found: list[Place]) -> list[dict[str, Any]]:
    """Costs of small runs on each place, interleaved."""
    names = ("extract_new", "load_new", "extract_nothing", "load_nothing")
    costs = [{name: list[Cost]() for name in names} for _ in found]
    for _ in range(options.repeat):
        for place, kept in zip(found, costs, strict=True):
            place.add(NEW)
            kept["extract_new"].append(place.time("extract", "--maintain-every", "0"))
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
    return {
        "documents": [options.documents, options.documents * options.times],
        "short": small_ones,
        "long": large_ones,
        "ratios": ratios(small_ones, large_ones),
    }


def peers(options: argparse.Namespace, make: Callable[[str], Place]) -> dict[str, Any]:
    """Everything from nothing beside ingestr (into CSV) and dlt (Parquet files)."""
    place = make("peers")
    place.add(options.documents)
    others = lake_peers.peers(options.peers)
    names = ["extract", "load", *others]
    costs = {name: list[Cost]() for name in names}
    for _ in range(options.repeat):
        place.fresh()
        costs["extract"].append(place.time("extract"))
        costs["load"].append(place.time("load"))
        for name in others:
            costs[name].append(lake_peers.run(name, options.peers, place))
            assert lake_peers.rows(name, place) == place.count, name
    found = {name: medians(cost) for name, cost in costs.items()}
    walls = {name: cost["wall_s"] for name, cost in found.items()}
    speeds = {n: round(place.count / walls[n]) for n in ("extract", *others)}
    both = walls["extract"] + walls["load"]
    return {
        "documents": place.count,
        **found,
        "documents_per_s": speeds,
        "times_as_fast_as": {
            n: round(speeds["extract"] / speeds[n], 2) for n in others
        },
        "with_load_as_fast_as": {
            n: round(found[n]["wall_s"] / both, 2) for n in others
        },
        "skipped": sorted({"ingestr", "dlt"} - set(others)),
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
        table = require_table(place.lake)
        if due(table):
            begin = time.perf_counter()
            maintain(table)
            cares.append(time.perf_counter() - begin)
    table = require_table(place.lake)
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
    parser.add_argument("--peers", type=Path, help="venv with ingestr and dlt")
    parser.add_argument("--folder", type=Path, help="where the data is to lie")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    work: dict[str, Callable[..., dict[str, Any]]] = {
        "full": full,
        "small": small,
        "growth": growth,
        "commits": commits,
        "partitions": lake_partitions.partitions,
        "peers": peers,
        "publish": lake_gold.publish,
        "gold": lake_gold.gold,
    }
    with places(options.size, options.folder) as make:
        for name in options.only or PARTS:
            print(json.dumps({name: work[name](options, make)}), flush=True)


if __name__ == "__main__":
    main()
