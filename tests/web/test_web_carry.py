"""The sums of an export, carried on to the next, are as if they were made anew."""

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cclake_web.data import dashboard, overtime, rollup, sessions
from cclake_web.data.carrying import carry
from cclake_web.data.filters import Filters
from cclake_web.data.zoned import zoned
from cclake_web.generation import Generation
from datasette.app import Datasette
from export import Export

ZONES = (ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"))
BUILDS = {"builds": "one", "layout": "a", "schema_version": "1"}
TABLES = {
    "quarters": "select i.session_id, t.*, w.project, w.model, w.host, w.branch",
    "calls": "select i.session_id, t.*, w.project, w.model, w.host, w.branch",
    "spoken": "select i.session_id, t.*",
    "durations": "select i.session_id, t.*, w.project, w.model, w.host, w.branch",
}


def world(seed: int, sizes: dict[str, int], runs: dict[str, int]) -> Export:
    """An export of sessions that hold as many answers as they are said to."""
    export = Export()
    export.info = dict(BUILDS)
    names = list(sizes)
    random.Random(seed).shuffle(names)  # another order: other row numbers
    for name in names:
        chance = random.Random(name)
        start = datetime(2025, 3, 28, tzinfo=UTC) + timedelta(
            minutes=chance.randrange(900_000)
        )
        session = export.session(
            name, start=start, project=chance.choice(("alpha", "it's", "gamma")),
            host=chance.choice(("laptop", "server")),
            branch=chance.choice(("main", "feature/x")),
            model=chance.choice(("claude-opus-4-6", "claude-haiku-4-5")),
            updated_run=runs[name], title=f"{name} {runs[name]}",
        )  # fmt: skip
        session.prompt("Go")
        for _ in range(sizes[name]):
            tool = chance.choice(("Bash", "Read", "Grep"))
            (one,) = session.answer(
                tools=((tool, {}),), cost=chance.random(), after=chance.randrange(2000)
            )
            session.result(one, "x", error=chance.random() < 0.3)
            export.rows["fct_tool_calls"][-1]["duration_ms"] = chance.choice(
                (None, 5, chance.randrange(1, 90_000))
            )
        session.end()
    return export


def summed(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    rollup.make(connection)
    for zone in ZONES:
        zoned(connection, zone)
    return connection


def carried(before: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    rollup.start(connection)
    assert carry(before, connection)
    return connection


def rows_of(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    who = "left join sums.who w on w.id = t.who" if "w." in TABLES[table] else ""
    rows = connection.execute(
        f"{TABLES[table]} from sums.{table} t"
        f" left join sums.ids i on i.session = t.session {who}"
    )
    left_out = ("session", "who")  # numbers of their own
    # Where the edges lie is left to chance.
    found = [
        {k: v for k, v in dict(row).items() if k not in left_out and "below" not in k}
        for row in rows
    ]
    return sorted(found, key=repr)


def shown(connection: sqlite3.Connection, filters: Filters) -> list[Any]:
    calls = dashboard.calls(connection, filters)
    found = [
        overtime.span(connection, filters), dashboard.heat(connection, filters),
        dashboard.blocks(connection, filters), dashboard.projects(connection, filters),
        calls.tools, calls.errors, sessions.totals(connection, filters),
        sessions.page(connection, filters),
    ]  # fmt: skip
    return [rounded(one) for one in found]


def rounded(value: Any) -> Any:
    """Sums of floats in another order differ in their last digits."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return rounded(vars(value)) if hasattr(value, "__dict__") else value


@pytest.mark.parametrize("seed", range(4))
def test_carried_sums_equal_those_made_anew(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    sizes = {f"s{number}": chance.randrange(9) for number in range(30)}
    runs = dict.fromkeys(sizes, 1)
    connection = summed(world(0, sizes, runs).write(tmp_path / "0" / "c.db"))
    for number in range(1, 4):
        gone, grown, renamed = chance.sample(sorted(sizes), 3)
        del sizes[gone]
        sizes[grown] += chance.randrange(1, 5)
        sizes[f"n{number}"] = chance.randrange(5)
        runs |= {grown: number + 1, renamed: number + 1, f"n{number}": number + 1}
        path = world(number, sizes, runs).write(tmp_path / str(number) / "c.db")
        connection, anew = carried(connection, path), summed(path)
        for table in TABLES:
            assert rows_of(connection, table) == rows_of(anew, table)
        for chosen in (
            {}, {"model": "claude-opus-4-6"}, {"project": "it's"}, {"host": "server"},
            {"since": "2025-07-15"}, {"until": "2026-03-03", "branch": "main"},
            {"since": "2025-05-05", "until": "2026-05-06"}, {"tool": "Bash", "slot": "5"},
        ):  # fmt: skip
            for zone in ZONES:
                filters = Filters.from_args(chosen, zone)
                assert shown(connection, filters) == shown(anew, filters)


@pytest.mark.parametrize(
    "told", [{"builds": "two"}, {"layout": "b"}, {"schema_version": "2"}]
)
def test_nothing_is_carried_from_other_builds(
    told: dict[str, str], tmp_path: Path
) -> None:
    export = world(0, {"a": 3}, {"a": 1})
    before = summed(export.write(tmp_path / "0" / "c.db"))
    export.info |= told
    later = sqlite3.connect(export.write(tmp_path / "1" / "c.db"))
    rollup.start(later)
    assert not carry(before, later)


def test_nothing_is_carried_where_builds_are_not_told(tmp_path: Path) -> None:
    export = world(0, {"a": 3}, {"a": 1})
    export.info["builds"] = ""
    path = export.write(tmp_path / "c.db")
    later = sqlite3.connect(path)
    rollup.start(later)
    assert not carry(summed(path), later)


def test_any_days_are_summed_up_exactly(tmp_path: Path) -> None:
    """Weeks and months that a selection cuts are made of their days."""
    chance = random.Random(3)
    sizes = {f"s{number}": chance.randrange(9) for number in range(60)}
    path = world(0, sizes, dict.fromkeys(sizes, 1)).write(tmp_path / "c.db")
    connection = summed(path)
    facts = connection.execute("select * from fct_api_responses").fetchall()
    for zone in ZONES:
        local = [
            (datetime.fromisoformat(row["responded_at"]).astimezone(zone), row)
            for row in facts
        ]
        for _ in range(60):
            low = datetime(2025, 3, 1) + timedelta(days=chance.randrange(600))
            high = low + timedelta(days=chance.randrange(600))
            filters = Filters(
                since=low.date().isoformat(), until=high.date().isoformat(), zone=zone
            )
            mine = [row for at, row in local if low.date() <= at.date() <= high.date()]
            span = overtime.span(connection, filters)
            assert (span.total.responses if span else 0) == len(mine)
            assert sum(one.responses for one in (span.line if span else ())) == len(
                mine
            )
            assert sum(map(sum, dashboard.heat(connection, filters))) == len(mine)
            projects = dashboard.projects(connection, filters)
            assert sum(one["responses"] for one in projects) == len(mine)


def test_the_list_of_sessions_does_not_wait_for_the_sums(tmp_path: Path) -> None:
    path = world(0, {"a": 3, "b": 2}, {"a": 1, "b": 1}).write(tmp_path / "c.db")
    export = Generation(Datasette([]), path, (0,))
    with export.lock:  # as while they are being made
        rows, _ = rollup.ask_list(export, lambda sums: sessions.page(sums, Filters()))
    assert {row["session_id"] for row in rows} == {"a", "b"}
    assert rollup.ask(export, lambda sums: sessions.page(sums, Filters()))[0] == rows
    export.close()


def test_a_generation_goes_on_with_the_sums_of_the_one_before(tmp_path: Path) -> None:
    sizes = {"a": 3, "b": 2}
    old = world(0, sizes, {"a": 1, "b": 1}).write(tmp_path / "0" / "c.db")
    new = world(1, sizes | {"b": 5}, {"a": 1, "b": 2}).write(tmp_path / "1" / "c.db")
    before, later = (Generation(Datasette([]), one, (0,)) for one in (old, new))
    rollup.continue_from(before, None)
    rollup.continue_from(later, before)
    moved = rollup.ask(
        later,
        lambda sums: [
            row[0] for row in sums.execute("select session_id from sums.moved")
        ],
    )
    assert moved == ["b"]
    for one in (before, later):
        one.close()
    # One that is closed meanwhile is no ground to build on, and no error.
    third = Generation(Datasette([]), new, (0,))
    rollup.continue_from(third, before)
    assert (
        rollup.ask(third, lambda sums: sessions.totals(sums, Filters()))["sessions"]
        == 2
    )
    third.close()
