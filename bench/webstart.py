"""Measure a start of the server and a publication, for `bench/web.py`."""

import sqlite3
import statistics
import time
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path

from webface import Web, serving

ROUNDS = 9


def cpu(web: Web) -> float:
    """Seconds of processor time that the server has used so far."""
    assert web.process
    stat = Path(f"/proc/{web.process.pid}/stat").read_text()
    used = stat.rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / 100


def timed(web: Web, page: str) -> float:
    """Milliseconds until a page has come."""
    start = time.perf_counter()
    assert web.get(page).status_code == 200, page
    return (time.perf_counter() - start) * 1000


def served(exports: Path, log: Path, mongo: str) -> AbstractContextManager[Web]:
    """A server of the export, beside a MongoDB that answers."""
    return serving(exports, log, MONGO_URI=mongo)


def started(exports: Path, log: Path, mongo: str) -> dict[str, list[float]]:
    """The first pages of a server that has just started."""
    with served(exports, log, mongo) as web:
        found = {
            "just started, sessions": [round(timed(web, "/"), 1)],
            "just started, dashboard": [round(timed(web, "/dashboard?period=30"), 1)],
        }
        found["just started, CPU in all"] = [round(cpu(web) * 1000)]
    return found


def published(web: Web, path: Path) -> dict[str, list[float]]:
    """The first pages after a publication, when nothing of the export is kept."""
    pages = {"sessions": "/", "dashboard": "/dashboard?period=30"}
    times: dict[str, list[float]] = {name: [] for name in pages}
    for number in range(ROUNDS):
        stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        with closing(sqlite3.connect(path)) as export, export:
            export.executemany(
                "insert or replace into export_info (name, value) values (?, ?)",
                (("published_at", stamp), ("export_id", f"bench {number}")),
            )
        for name, page in pages.items():
            times[name].append(timed(web, page))
    return {
        f"just published, {name}": [round(statistics.median(found), 1)]
        for name, found in times.items()
    }
