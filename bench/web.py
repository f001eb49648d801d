"""Page times of the web face on exports of any size, beside bare SQLite.

    .venv/bin/python bench/web.py [--messages 50000] [--json]

Makes an export of that many messages in a folder of its own, serves it, asks
for each page several times, and prints the median. The times of one run can be
compared with each other and with the first line, the same read by bare SQLite.
"""

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from sample import LONG, MAIN, sample
from webface import Web, serving

ROUNDS = 9
KEYED = {
    "dim_sessions": ("session_id",),
    "agg_session_metrics": ("session_id",),
    "fct_messages": ("entry_key", "session_id", "message_id"),
    "thread_entries": ("entry_key", "session_id", "message_id"),
    "thread_blocks": ("entry_key", "tool_use_id"),
    "fct_api_responses": ("message_id", "session_id"),
    "fct_tool_calls": (
        "tool_use_id", "message_id", "session_id", "call_entry_key", "result_entry_key",
    ),
    "search_documents": ("session_id", "entry_key"),
}  # fmt: skip
PAGES = {
    "sessions": "/",
    "sessions by cost": "/?sort=cost",
    "thread, first page": f"/session/{LONG}",
    "thread, fourth page": f"/session/{LONG}?page=4",
    "search, newest": "/search?q=module",
    "search, newest, rare word": "/search?q=screenshot",
    "search, best, rare word": "/search?q=screenshot&order=best",
    "search, best, common word": "/search?q=part&order=best",
    "palette": "/palette.json?q=modu",
    "dashboard": "/dashboard",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = sample().write(folder / "exports" / "conversations.db")
        grow(path, given.messages)
        with serving(folder / "exports", folder / "log") as web:
            found = measure(web, path)
        found["megabytes of the export"] = round(path.stat().st_size / 1e6, 1)
    if given.json:
        print(json.dumps(found))
        return
    for what, value in found.items():
        print(f"{what:28} {value:>9}")


def grow(path: Path, messages: int) -> None:
    """Copy every session under new names until there are enough messages."""
    connection = sqlite3.connect(path)
    (number,) = connection.execute("select count(*) from fct_messages").fetchone()
    copies = max(0, messages // number - 1)
    connection.execute("pragma synchronous = off")
    connection.execute(_NUMBERS, (max(copies, 1),))
    for table, keys in KEYED.items() if copies else ():
        names = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        chosen = ", ".join(_copied(table, name, name in keys) for name in names)
        connection.execute(f"insert into {table} select {chosen} from {table}, n")
    connection.execute("insert into search_fts(search_fts) values ('rebuild')")
    connection.execute("insert into search_fts(search_fts) values ('optimize')")
    connection.execute("analyze")
    connection.commit()
    connection.close()


_NUMBERS = """create temp table n as with recursive c(i) as (
    select 1 union all select i + 1 from c where i < ?) select i from c"""


def _copied(table: str, name: str, key: bool) -> str:
    """A column in a copy: keys get the copy's number."""
    if name == "search_id":
        return f"(select max(search_id) from {table}) * i + search_id"
    return f"{name} || '-' || i" if key else name


def measure(web: Web, path: Path) -> dict[str, float]:
    """Median milliseconds of each page; the sums of the first run are made before."""
    web.get("/dashboard")
    web.get(f"/session/{MAIN}")
    found = {"messages": 0.0, "bare SQLite, 200 entries": bare(path)}
    for what, page in PAGES.items():
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            answer = web.get(page)
            times.append((time.perf_counter() - start) * 1000)
            assert answer.status_code == 200, page
        found[what] = round(statistics.median(times), 1)
    with sqlite3.connect(path) as connection:
        found["messages"] = connection.execute(
            "select count(*) from fct_messages"
        ).fetchone()[0]
    return found


def bare(path: Path) -> float:
    """The entries and blocks of a page by SQL alone."""
    connection = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        connection.execute(
            """select * from thread_entries e join thread_blocks b
            on b.entry_key = e.entry_key
            where e.session_id = ? and e.position <= 200""",
            (LONG,),
        ).fetchall()
        times.append((time.perf_counter() - start) * 1000)
    connection.close()
    return round(statistics.median(times), 2)


if __name__ == "__main__":
    main()
