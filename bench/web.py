"""Page times of the web face on exports of any size, beside bare SQLite.

    .venv/bin/python bench/web.py [--messages 50000] [--folder DIR] [--json]

Makes an export of that many messages, spread over two years, with the indexes
that `publish` makes; serves it beside an empty MongoDB, asks for each page several
times, and prints the median of the times and the processor time that the server used
for one. The times of one run can be compared with each other and with the first line,
the same read by bare SQLite. Before that, the first pages of a server that has just
started, and after it, those that follow a publication, and searches by users of a team
who read a part. With --folder the export is kept and used again: remove it when the
indexes of `publish` have changed.
"""

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cclake_publish.indexes import INDEXES, columns_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import quarters
from harness import Mongod
from sample import LONG, MAIN, sample
from webface import Web
from webstart import cpu, published, served, started
from webteam import limited

ROUNDS = 15
SPAN = timedelta(days=730)
PROJECTS = 12  # further names of each project
KEYED = {
    "dim_sessions": ("session_id",),
    "agg_session_metrics": ("session_id",),
    "fct_messages": ("entry_key", "session_id", "message_id"),
    "thread_entries": ("entry_key", "session_id", "owner_session_id", "message_id"),
    "thread_blocks": ("entry_key", "session_id", "tool_use_id"),
    "fct_api_responses": ("response_key", "message_id", "session_id"),
    "fct_tool_calls": (
        "tool_use_id", "message_id", "session_id", "call_entry_key", "result_entry_key",
    ),
}  # fmt: skip
_NOW = datetime.now(UTC)
YEAR_AGO, LATELY = f"{_NOW - timedelta(days=400):%Y-%m}", f"{_NOW:%Y-%m-%d}"
PAGES = {
    "sessions": "/",
    "sessions by cost": "/?sort=cost",
    "thread, first page": f"/session/{LONG}",
    "thread, fourth page": f"/session/{LONG}?page=4",
    "thread, always another": f"/session/{LONG}-{{}}?page=2",
    "search, newest": "/search?q=module",
    "search, newest, rare word": "/search?q=screenshot",
    "search, best, rare word": "/search?q=screenshot&order=best",
    "search, best, common word": "/search?q=part&order=best",
    "search, a tool": "/search?q=part+tool:Bash",
    "search, without a tool": "/search?q=part+-tool:Bash",
    "search, a failure": "/search?q=part+error:any",
    "search, a project": "/search?q=part+project:alpha",
    "search, without a project": "/search?q=part+-project:gamma",
    "search, a model": "/search?q=part+model:glm",
    "search, without a model": "/search?q=part+-model:opus",
    "search, a file": "/search?q=part+file:parser.py",
    "search, no account": "/search?q=part+-account:none",
    "search, an expression": "/search?q=re:rows+tool:nothing",
    "palette": "/palette.json?q=modu",
    "dashboard, 30 days": "/dashboard?period=30",
    "dashboard, all": "/dashboard?period=all",
    "compare, 30 days": "/compare?period=30",
    # Each round asks for another selection, which nobody asked for before.
    "sessions, new selection": "/?until=2099-01-{}",
    "dashboard, new, all days": "/dashboard?until=2099-01-{}",
    "dashboard, new, a model": "/dashboard?model=claude-opus-4-6&until=2099-01-{}",
    "dashboard, new, a host": "/dashboard?host=laptop&until=2099-01-{}",
    "dashboard, new, a project": "/dashboard?project=gamma-3&until=2099-01-{}",
    "dashboard, new, a year": f"/dashboard?since={YEAR_AGO}-{{}}&until={LATELY}",
    "sessions, new, a model": "/?model=claude-opus-4-6&until=2099-01-{}",
    "sessions, new, a tool": "/?tool=Bash&until=2099-01-{}",
    "sessions, new, an hour of the week": "/?slot=30&until=2099-01-{}",
    "sessions, new, with errors, by cost": "/?errors=1&sort=cost&until=2099-01-{}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = given.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        path = folder / "exports" / "conversations.db"
        if not path.exists():
            make(path, given.messages)
        mongod = Mongod(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(mongod.stop)
        place = (folder / "exports", folder / "log", mongod.start().uri)
        found = started(*place)
        web = stack.enter_context(served(*place))
        found |= measure(web, path) | published(web, path) | limited(*place)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'':42} {'p50 ms':>9} {'CPU ms':>9}")
    for what, values in found.items():
        print(f"{what:42} " + " ".join(f"{value:>9}" for value in values))


def make(path: Path, messages: int) -> None:
    """An export of about so many messages; under its name when it is whole."""
    new = path.with_name("growing.db")
    export = sample(datetime.now(UTC) - SPAN)
    export.info = {"builds": "bench"}
    export.write(new)
    grow(new, messages)
    new.replace(path)


def grow(path: Path, messages: int) -> None:
    """Copy every session under new names until there are enough messages."""
    connection = sqlite3.connect(path)
    (number,) = connection.execute("select count(*) from fct_messages").fetchone()
    copies = max(0, messages // number - 1)
    connection.execute("pragma synchronous = off")
    connection.execute("pragma journal_mode = off")
    for (name,) in connection.execute(_PLAIN).fetchall():
        connection.execute(f"drop index {name}")
    connection.execute(_NUMBERS, (max(copies, 1),))
    step = SPAN.total_seconds() / max(copies, 1)
    connection.create_function("later", 2, lambda at, i: _later(at, i * step))
    for table, keys in KEYED.items() if copies else ():
        names = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        chosen = ", ".join(_copied(table, name, name in keys, copies) for name in names)
        connection.execute(
            f"insert into {table} select {chosen} from {table}, n order by i"
        )
    connection.execute(_NAMES, (min(copies, PROJECTS),))
    quarters.add(connection)
    for number, (table, columns) in enumerate(INDEXES):
        names = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        if set(columns_of(columns)) <= set(names):
            connection.execute(f"create index g{number} on {table} ({columns})")
    connection.execute("insert into search_fts(search_fts) values ('rebuild')")
    connection.execute("analyze")
    connection.commit()
    connection.execute("pragma journal_mode = wal")
    connection.close()


_PLAIN = """select name from sqlite_master where type = 'index'
    and sql is not null"""
_NUMBERS = """create temp table n as with recursive c(i) as (
    select 1 union all select i + 1 from c where i < ?) select i from c"""
_NAMES = """insert into dim_projects select project_key || '-' || i,
    project_name || ' ' || i, project_path || i, null, null
    from dim_projects, n where i <= ?"""
_TIMES = ("started_at", "ended_at", "said_at", "responded_at", "called_at")


def _later(at: str | None, seconds: float) -> str | None:
    if at is None:
        return None
    moved = datetime.fromisoformat(at) + timedelta(seconds=seconds)
    return moved.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _copied(table: str, name: str, key: bool, copies: int) -> str:
    """A column in a copy: keys get the copy's number, times move on."""
    if name == "search_id":  # the second, then a number that no other block has
        step = SPAN.total_seconds() / max(copies, 1)
        shift = f"cast(i * {step} as integer) * {2**8}"
        return f"search_id + {shift} + i * (select count(*) from {table})"
    if name in _TIMES:
        return f"later({name}, i)"
    if name == "duration_ms":  # most are short, a few are long, none is like another
        mixed = f"(i * 7919 + {table}.rowid * 104729) % 1009 * (i * 31 % 1009) / 40"
        return f"{name} + {mixed}"
    if name == "project_key":
        return f"{name} || '-' || (i % {PROJECTS} + 1)"
    return f"{name} || '-' || i" if key else name


def measure(web: Web, path: Path) -> dict[str, list[float]]:
    """Median milliseconds and processor time of each page, in a warm server."""
    web.get("/dashboard?period=30")
    web.get(f"/session/{MAIN}")
    found = {"bare SQLite, 200 entries": [bare(path)]}
    for what, page in PAGES.items():
        times = []
        web.get(page.format(30))
        used = cpu(web)
        for number in range(1, ROUNDS + 1):
            asked = page.format(9 + number)
            start = time.perf_counter()
            answer = web.get(asked)
            times.append((time.perf_counter() - start) * 1000)
            assert answer.status_code == 200, asked
        used = (cpu(web) - used) * 1000 / ROUNDS
        found[what] = [round(statistics.median(times), 1), round(used, 1)]
    with sqlite3.connect(path) as connection:
        rows = connection.execute("select count(*) from fct_messages").fetchone()
    found["messages"] = [rows[0]]
    found["megabytes of the export"] = [round(path.stat().st_size / 1e6, 1)]
    return found


def bare(path: Path) -> float:
    """The entries and blocks of a page by SQL alone."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        connection.execute(
            """select * from thread_entries e join thread_blocks b
            on b.session_id = e.owner_session_id and b.entry_key = e.entry_key
            where e.session_id = ? and e.position <= 200""",
            (LONG,),
        ).fetchall()
        times.append((time.perf_counter() - start) * 1000)
    connection.close()
    return round(statistics.median(times), 2)


if __name__ == "__main__":
    main()
