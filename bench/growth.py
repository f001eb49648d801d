"""Measure how every store and stage grows: one host's history, then several hosts.

    just bench growth                              # small sizes
    just bench growth --lines 50000 --times 1 4 16 # the size of the documentation
    just bench growth --lines 10 --times 100 1000 --only-lake   # many hosts

Each host has a buffer and sessions of its own, in the same days. The documents are
those of `bench/lake_data.py`, always the same, in the collection that the flusher
makes. Each size extends the one before it in MongoDB; the lake and DuckDB start from
nothing. Whole processes, their start included, in CPU seconds, since other work on the
machine does not change these as much as elapsed time. One JSON object for each size.
"""

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import bson
from bson import Int64
from bson.raw_bson import RawBSONDocument
from cclake_extract.maintenance.compact import compact
from cclake_flusher.indexes import INDEXES
from cclake_flusher.mongo import Mongo
from cclake_flusher.text_index import search_text
from cclake_lake.catalog import require_table
from ingest_meter import cpu_of
from lake_data import CHUNK, PER_SESSION, START, document
from lake_gold import dbt_command
from lake_place import Place, most_resident, places

NEW = 1_000
FIRST_NEW = 100_000_000  # above the numbers of all histories
SESSION_MINUTES = 20  # between the first lines of two sessions
# The text index takes most of the time of a large run, and its shape shows before.
INDEXED = 250_000
BUCKETS = 16
Found = dict[str, Any]


class Hosts:
    """Several hosts that write into one MongoDB.

    Args:
        place: The MongoDB and the data directory.
        each: Number of lines of a host's history.
    """

    def __init__(self, place: Place, each: int) -> None:
        self.place = place
        self.each = each
        self.count = 0
        self.documents = 0
        self.mongo = Mongo(place.uri, place.name)
        self.mongo.prepare()
        server = place.client.admin.command("serverStatus")
        self.pid = int(server["pid"])

    def grow(self, hosts: int) -> Found:
        """Insert the history of more hosts, until there are so many."""
        before, begin = self.documents, cpu_of(self.pid)
        for number in range(self.count, hosts):
            first = number * self.each
            self._insert(number, range(first, first + self.each), first)
        self.count = hosts
        cpu = cpu_of(self.pid) - begin
        return {"mongod_cpu_s_per_million": per_million(cpu, self.documents - before)}

    def add(self, number: int) -> None:
        """Insert some new lines of the last host."""
        first = FIRST_NEW + self.documents
        self._insert(self.count - 1, range(first, first + number), first - self.each)

    def _insert(self, host: int, numbers: range, base: int) -> None:
        documents = self._documents(host, numbers, base)
        while chunk := list(itertools.islice(documents, CHUNK)):
            self.mongo.conversations.insert_many(chunk, ordered=False)
        self.documents += len(numbers)
        self.place.db["watermarks"].update_one(
            {"_id": buffer_of(host)},
            {
                "$set": {
                    "host": f"host{host:03}",
                    "acked_seq": Int64(numbers[-1] - base + 1),
                    "at": START,
                }
            },
            upsert=True,
        )

    def _documents(
        self, host: int, numbers: range, base: int
    ) -> Iterator[RawBSONDocument]:
        shift = timedelta(minutes=SESSION_MINUTES * (base // PER_SESSION))
        for number in numbers:
            found = document(number, self.place.size)
            found |= {
                "host": f"host{host:03}",
                "buffer": buffer_of(host),
                "seq": Int64(number - base + 1),
                "ingestedAt": found["ingestedAt"] - shift,
                "text": search_text(found["entry"]),
            }
            yield RawBSONDocument(bson.encode(found))

    def indexes(self) -> Found:
        """Build the indexes of readers, and drop them again."""
        if self.documents > INDEXED:
            return {}
        begin = cpu_of(self.pid)
        conversations = self.place.db["conversations"]  # this client has no time-out
        conversations.create_indexes(INDEXES)
        cpu = cpu_of(self.pid) - begin
        sizes = self.sizes()
        for index in INDEXES:
            conversations.drop_index(index.document["name"])
        return {
            "reader_indexes_cpu_s_per_million": per_million(cpu, self.documents),
            "index_bytes_per_line": {
                name: round(size / self.documents)
                for name, size in sizes["indexSizes"].items()
            },
        }

    def sizes(self) -> Found:
        """Return the statistics of the collection after a checkpoint."""
        self.place.client.admin.command("fsync")
        found: Found = self.place.db.command("collStats", "conversations")
        return found


def buffer_of(host: int) -> str:
    """Return the id of a host's buffer."""
    return hashlib.blake2b(str(host).encode(), digest_size=16).hexdigest()


def per_million(seconds: float, lines: int) -> float:
    """Return seconds for a million lines."""
    return round(seconds / lines * 1e6, 1)


def extractors(place: Place, number: int) -> Found:
    """Run extractors at once; the CPU of all, and the rows that each committed."""
    begin = time.perf_counter()
    running = [
        place.start("extract", "--json", stdout=subprocess.PIPE) for _ in range(number)
    ]
    cpu = 0.0
    outcomes: list[Found] = []
    with most_resident(running[0].pid) as most:
        for process in running:
            assert process.stdout
            outcomes.append(json.loads(process.stdout.read()))
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            cpu += used.ru_utime + used.ru_stime
    rows = sum(outcome["rows"] for outcome in outcomes)
    return {
        "cpu_s": round(cpu, 1),
        "cpu_s_per_million": per_million(cpu, rows),
        "wall_s": round(time.perf_counter() - begin, 1),
        "rows": [outcome["rows"] for outcome in outcomes],
        "commits": sum(outcome["commits"] for outcome in outcomes),
        "peak_mb": most[0],
    }


def lake_state(place: Place, lines: int) -> Found:
    """Return files and bytes of the lake."""
    table = require_table(place.lake)
    files = [task.file for task in table.scan().plan_files()]
    size = sum(file.file_size_in_bytes for file in files)
    return {
        "files": len(files),
        "bytes_per_line": round(size / lines),
        "metadata_bytes": Path(table.metadata_location).stat().st_size,
    }


def partitioned(hosts: Hosts) -> Found:
    """Extract into a table with partitions, compact it, and ask for a day of it."""
    place = hosts.place
    place.fresh()
    place.time("extract", "table", "create", "--by-day", "--buckets", str(BUCKETS))
    found = extractors(place, 1) | lake_state(place, hosts.documents)
    table = require_table(place.lake)
    begin = time.process_time()
    if rows := compact(table).rows:
        cpu = time.process_time() - begin
        found["compact_cpu_s_per_million"] = per_million(cpu, rows)
    found["compacted"] = lake_state(place, hosts.documents)
    day = f"ingested_at < '{(START + timedelta(days=1)).isoformat()}'"
    session = table.scan(limit=1, selected_fields=("session_id",)).to_arrow()
    one = f"session_id = '{session['session_id'][0]}'"
    for name, condition in (("day", day), ("session", one)):
        found[f"files_of_a_{name}"] = len(list(table.scan(condition).plan_files()))
    return found


def warehouse(hosts: Hosts) -> Found:
    """Load everything, build gold of it, then do the same with a few new lines."""
    place, lines = hosts.place, hosts.documents
    path = place.home / "analytics.duckdb"
    loaded = place.time("load")
    raw = path.stat().st_size
    gold = place.time(*dbt_command(place, "full"))
    found = {
        "load": {
            "cpu_s": round(loaded.cpu, 1),
            "cpu_s_per_million": per_million(loaded.cpu, lines),
            "peak_mb": loaded.mb,
            "bytes_per_line": round(raw / lines),
        },
        "gold": {
            "cpu_s": round(gold.cpu, 1),
            "cpu_s_per_million": per_million(gold.cpu, lines),
            "peak_mb": gold.mb,
            "bytes_per_line": round((path.stat().st_size - raw) / lines),
        },
    }
    new: dict[str, float] = {}
    for _ in range(2):  # the first build of a few lines saves its statements
        hosts.add(NEW)
        new = {
            "extract": place.time("extract").cpu,
            "load": place.time("load").cpu,
            "dbt": place.time(*dbt_command(place)).cpu,
        }
    return found | {"new_lines_cpu_s": {name: round(s, 2) for name, s in new.items()}}


def measured(hosts: Hosts, processes: list[int], gold: bool) -> Found:
    """Measure everything at the current size, or only MongoDB and the lake."""
    sizes = hosts.sizes()
    lines = hosts.documents
    found: Found = {
        "documents": {
            "bson_bytes_per_line": round(sizes["size"] / lines),
            "stored_bytes_per_line": round(sizes["storageSize"] / lines),
            "ids_and_log_index_bytes_per_line": round(sizes["totalIndexSize"] / lines),
        }
        | hosts.indexes(),
        "partitioned": partitioned(hosts),
    }
    for number in sorted(processes, reverse=True):  # the lake of one is used below
        hosts.place.fresh()
        at_once = extractors(hosts.place, number)
        found[f"extract_{number}"] = at_once | lake_state(hosts.place, lines)
    return found | warehouse(hosts) if gold else found


def main() -> None:
    """Print one JSON object for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=5_000, help="of one host")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only-lake", action="store_true", help="no DuckDB, no gold")
    parser.add_argument("--size", type=int, default=800, help="bytes of a text")
    parser.add_argument("--folder", type=Path, help="where the data is to lie")
    options = parser.parse_args()
    with places(options.size, options.folder) as make:
        hosts = Hosts(make("growth"), options.lines)
        for times in sorted(options.times):
            grown = hosts.grow(times)
            found = {"hosts": times, "lines": hosts.documents, **grown}
            found |= measured(hosts, options.processes, not options.only_lake)
            print(json.dumps(found), flush=True)
        hosts.mongo.close()


if __name__ == "__main__":
    main()
