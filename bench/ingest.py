"""Measures ingestion: ours beside MongoDB's floor, rsyslog and syslog-ng.

    just bench ingest                          # backlog, latency, idle, restart
    just bench ingest --only backlog --peers /tmp/peers
    just bench ingest --only memory            # 2 GB: takes minutes

For the peers, unpack their Debian packages into one folder (they conflict, so they
can't both be installed):

    apt-get download rsyslog rsyslog-mongodb syslog-ng-core syslog-ng-mod-mongodb \\
        libestr0 libfastjson4 liblognorm5 libmongoc-1.0-0 libbson-1.0-0 libivykis0 \\
        libsnappy1v5 libmongocrypt0 libpcre3 libjson-c5
    for package in *.deb; do dpkg-deb -x $package /tmp/peers; done
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from harness import Mongod
from ingest_corpus import Corpus
from ingest_life import idle, latency, memory, percentile, restart
from ingest_meter import Meter
from ingest_ours import Ours, backlog, floor
from ingest_peers import Peer

PARTS = ("backlog", "latency", "idle", "restart", "memory")
MB = 1_000_000


class Bench:
    """A folder and a fresh MongoDB for each measurement."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.results: dict[str, Any] = {}

    @contextmanager
    def place(self, root: Path | None = None) -> Iterator[Ours]:
        """Our tools on an empty MongoDB of their own."""
        folder = Path(tempfile.mkdtemp(prefix="cclake-bench-"))
        mongod = Mongod(folder / "mongod", *self.options.mongod).start()
        try:
            root = root or folder / "claude" / "projects"
            root.mkdir(parents=True, exist_ok=True)
            ours = Ours(mongod, "bench", root, folder / "home")
            with ours.client:
                yield ours
        finally:
            mongod.kill()
            shutil.rmtree(folder)

    def backlog(self) -> None:
        """The same history by each way, in turn, round by round."""
        lines = self.options.lines
        with tempfile.TemporaryDirectory(prefix="cclake-corpus-") as folder:
            root = Path(folder) / "projects"
            _, size = Corpus().write(root, lines)
            mean = size // lines
            say(f"\nbacklog: {lines:,} lines, {size / MB:,.0f} MB, mean {mean} B")
            rounds: dict[str, list[dict[str, float]]] = {}
            for number in range(self.options.rounds):
                say(f"round {number + 1}")
                for name, row in self._round(root, lines):
                    rounds.setdefault(name, []).append(row)
                    say(_row(name, row))
        medians = {name: _median(rows) for name, rows in rounds.items()}
        ratios = [
            {
                f"speed over {name}": mine["rate"] / other["rate"]
                for name, rows in rounds.items()
                for other in [rows[number]]
            }
            | {
                f"CPU over {name}": mine["cpu"] / other["cpu"]
                for name, rows in rounds.items()
                for other in [rows[number]]
            }
            for number, mine in enumerate(rounds["ours"])
        ]
        pairs = {name: round(value, 2) for name, value in _median(ratios).items()}
        self.results["backlog"] = {"medians": medians, "ratios": pairs, "bytes": size}
        for name, row in medians.items():
            say("median " + _row(name, row))
        for name in sorted(pairs):
            if "ours" not in name:
                say(f"{name}: {pairs[name]:.2f} (median of pairs)")

    def _round(self, root: Path, lines: int) -> Iterator[tuple[str, dict[str, float]]]:
        with self.place(root) as ours:
            yield "floor", _numbers(floor(ours, list(Corpus().lines(lines))), lines)
        with self.place(root) as ours:
            meter, indexes = backlog(ours, lines)
            yield "ours", _numbers(meter, lines) | {"indexes": indexes / lines * 1e6}
        for name in ("rsyslog", "syslog-ng"):
            packages = self.options.peers
            if not packages:
                continue
            with self.place(root) as ours:
                state = ours.home / name
                meter, count = Peer(name, packages).backlog(
                    ours.mongod, "peer", root, state, lines
                )
                yield name, _numbers(meter, count) | {"documents": count}

    def latency(self) -> None:
        """Append to acknowledged, at a steady pace."""
        with self.place() as ours:
            taken = latency(ours, rate=20, seconds=self.options.seconds)
        found = {f"p{share}": percentile(taken, share / 100) for share in (50, 90, 99)}
        found |= {"max": max(taken), "lines": len(taken)}
        self.results["latency"] = found
        say("\nappend to acknowledged, ms: " + json.dumps(_rounded(found)))

    def idle(self) -> None:
        """Measure what waiting costs with many files."""
        with self.place() as ours:
            found = idle(ours, self.options.files, self.options.seconds)
        self.results["idle"] = {
            name: {"cpu_percent": cpu * 100, "rss_mb": rss / MB}
            for name, (cpu, rss) in found.items()
        }
        say(f"\nidle with {self.options.files:,} files, % of a CPU and MB resident:")
        for name, (cpu, rss) in found.items():
            say(f"  {name:<8} {cpu * 100:6.2f} %  {rss / MB:6.1f} MB")

    def restart(self) -> None:
        """Measure how soon a restarted tailer works again."""
        with self.place() as ours:
            taken = restart(ours, 5 * self.options.files, rounds=5)
        wall, cpu = zip(*taken, strict=True)
        self.results["restart"] = {"seconds": wall, "cpu_seconds": cpu}
        say(
            f"\nrestart with {5 * self.options.files:,} files, s to the first new line:"
            f" median {statistics.median(wall):.2f}, most {max(wall):.2f};"
            f" CPU {statistics.median(cpu):.2f}"
        )

    def memory(self) -> None:
        """The most that any process takes, on hard input."""
        size, longest = self.options.size_mb * MB, self.options.line_mb * MB
        with self.place() as ours:
            meter = memory(ours, size, longest, list(Corpus().lines(5_000)))
        self.results["memory"] = {
            "peak_mb": {name: peak / MB for name, peak in meter.peak.items()},
            "seconds": meter.wall,
        }
        say(f"\n{size // MB:,} MB file, {longest // MB:,} MB line; most MB resident:")
        for name, peak in meter.peak.items():
            say(f"  {name:<8} {peak / MB:6.1f} MB")


def say(text: str) -> None:
    """Tell the user at once."""
    print(text, flush=True)


def _numbers(meter: Meter, lines: int) -> dict[str, float]:
    cpu = {f"cpu {name}": used / lines * 1e6 for name, used in meter.cpu.items()}
    peaks = {f"mb {name}": peak / MB for name, peak in meter.peak.items()}
    total = {"rate": lines / meter.wall, "cpu": sum(cpu.values())}
    return total | cpu | peaks


def _row(name: str, row: dict[str, float]) -> str:
    cpu = {key[4:]: round(value) for key, value in row.items() if key[:4] == "cpu "}
    more = f" and {row['indexes']:.0f} for indexes" if "indexes" in row else ""
    cost = f"CPU {row['cpu']:4.0f} us/line {cpu}{more}"
    return f"  {name:<10} {row['rate']:8,.0f} lines/s  {cost}"


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in numbers.items()}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="this part only")
    parser.add_argument("--lines", type=int, default=30_000, help="of the backlog")
    parser.add_argument("--rounds", type=int, default=3, help="of the backlog")
    parser.add_argument("--files", type=int, default=10_000, help="when idle")
    parser.add_argument("--seconds", type=float, default=20, help="latency and idle")
    parser.add_argument("--size-mb", type=int, default=2_000, help="of the large file")
    parser.add_argument("--line-mb", type=int, default=50, help="of the long line")
    parser.add_argument("--peers", type=Path, help="folder with unpacked packages")
    parser.add_argument(
        "--mongod", action="append", default=[], help="an option more for mongod"
    )
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    bench = Bench(parser.parse_args())
    for part in bench.options.only or PARTS[:-1]:
        getattr(bench, part)()
    if bench.options.json:
        bench.options.json.write_text(json.dumps(bench.results, indent=2) + "\n")


if __name__ == "__main__":
    main()
