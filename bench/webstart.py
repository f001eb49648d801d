"""What a start of the server and a new export cost, for `bench/web.py`."""

import shutil
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

from webface import Web, serving

LONGEST = 120  # seconds that a new export may take to be shown


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


def started(exports: Path, log: Path) -> dict[str, list[float]]:
    """The first pages of a server that has just started."""
    with serving(exports, log) as web:
        found = {
            "just started, sessions": [round(timed(web, "/"), 1)],
            "just started, dashboard": [round(timed(web, "/dashboard"), 1)],
        }
        found["just started, CPU in all"] = [round(cpu(web) * 1000)]
    return found


def swapped(web: Web, path: Path, moved: int) -> dict[str, list[float]]:
    """A new export in which some sessions have moved on, under a warm server."""
    new = path.with_name("next.db")
    shutil.copyfile(path, new)
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with sqlite3.connect(new) as connection:
        connection.execute(
            """update dim_sessions set updated_run = coalesce(updated_run, 0) + 1
            where rowid in (select rowid from dim_sessions
                order by started_at desc limit ?)""",
            (moved,),
        )
        connection.execute(
            "update export_info set value = ? where name = 'published_at'", (stamp,)
        )
    connection.close()
    used, start, slowest = cpu(web), time.perf_counter(), 0.0
    new.replace(path)
    while stamp not in web.get("/").text:
        assert time.perf_counter() - start < LONGEST
        slowest = max(slowest, timed(web, "/dashboard"), timed(web, "/"))
        time.sleep(0.05)
    name = f"new export, {moved} sessions moved"
    return {
        f"{name}: shown after": [round((time.perf_counter() - start) * 1000)],
        f"{name}: slowest page": [round(slowest, 1)],
        f"{name}: CPU": [round((cpu(web) - used) * 1000)],
    }
