"""The numbers of the dashboard are those of the facts, for any selection."""

import random
import sqlite3
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cclake_web.charts.scale import start_of
from cclake_web.data import dashboard, over_time, zones
from cclake_web.data.durations import median
from cclake_web.data.filters import Filters
from cclake_web.data.sessions import page, totals
from cclake_web.data.thread import turn_sums
from cclake_web.pages.canned import canned
from cclake_web.pages.queries import sql_of
from export import Export

BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")  # half an hour off
# A quarter of an hour off, one of them with daylight saving.
QUARTERS = [
    ZoneInfo(name) for name in ("Asia/Kathmandu", "Pacific/Chatham", "Australia/Eucla")
]
NEAR = 0.1  # durations are kept in steps of 8 %, and shown with two digits
SELECTIONS: tuple[dict[str, str], ...] = (
    {}, {"project": "alpha"}, {"host": "server"}, {"branch": "feature/x"},
    {"model": "claude-haiku-4-5"}, {"since": "2026-08-02"},
    {"since": "2026-08-02", "until": "2026-08-03", "host": "laptop"},
    {"project": "it's", "model": "claude-opus-4-6"},
)  # fmt: skip


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    chance = random.Random(7)
    export = Export()
    for number in range(24):
        start = datetime(2026, 8, 1, 20, tzinfo=UTC) + timedelta(minutes=175 * number)
        session = export.session(
            f"s{number}", start=start, project=("alpha", "it's")[number % 2],
            host=("laptop", "server")[number % 3 == 0],
            branch=("main", "feature/x")[number % 4 == 0],
            model=("claude-opus-4-6", "claude-haiku-4-5")[number % 5 == 0],
        )  # fmt: skip
        session.prompt("Go")
        for _ in range(chance.randrange(6)):
            tool = chance.choice(("Bash", "Read", "Grep"))
            (one,) = session.answer(tools=((tool, {}),), cost=chance.random())
            session.result(one, "x", error=chance.random() < 0.4)
        session.end()
    for call in export.rows["fct_tool_calls"]:
        call["duration_ms"] = chance.choice((None, chance.randrange(1, 90_000)))
        call["error_kind"] = (
            chance.choice(("timeout", None)) if call["is_error"] else None
        )
    path: Path = export.write(tmp_path_factory.mktemp("sums") / "conversations.db")
    connection = opened(path)
    yield connection
    connection.close()


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    return connection


def span_of(connection: sqlite3.Connection, chosen: Filters) -> over_time.Span | None:
    return over_time.span(connection, chosen, over_time.days(connection, chosen))


def facts(sums: sqlite3.Connection, chosen: Filters) -> list[sqlite3.Row]:
    """The calls of a selection, one by one, by Python alone."""
    rows = sums.execute(
        """select c.*, s.host, s.git_branch, r.model from fct_tool_calls c
        join dim_sessions s using (session_id)
        join fct_api_responses r using (message_id)"""
    )
    return [row for row in rows if fits(row, chosen, row["called_at"])]


def fits(row: sqlite3.Row, chosen: Filters, at: str) -> bool:
    day = datetime.fromisoformat(at).astimezone(chosen.zone).date().isoformat()
    pairs = (
        (chosen.project, row["project_key"]), (chosen.host, row["host"]),
        (chosen.branch, row["git_branch"]), (chosen.model, row["model"]),
    )  # fmt: skip
    within = (chosen.since or "0") <= day <= (chosen.until or "9")
    return within and all(wanted in ("", found) for wanted, found in pairs)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_medians_of_tools_are_near_the_exact_ones(
    sums: sqlite3.Connection, selection: dict[str, str]
) -> None:
    chosen = Filters.from_args(selection, BERLIN)
    wanted = facts(sums, chosen)
    found = dashboard.calls(sums, chosen).tools
    assert {one["tool"] for one in found} == {row["tool_name"] for row in wanted}
    for one in found:
        mine = [row for row in wanted if row["tool_name"] == one["tool"]]
        times = [row["duration_ms"] for row in mine if row["duration_ms"] is not None]
        assert one["calls"] == len(mine)
        assert one["errors"] == sum(row["is_error"] for row in mine)
        exact = statistics.median(times) / 1000 if times else None
        assert one["median_s"] == (exact and pytest.approx(exact, rel=NEAR))


@pytest.mark.parametrize("zone", [UTC, BERLIN, KOLKATA, *QUARTERS])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_sql_of_a_chart_counts_what_the_chart_counts(
    sums: sqlite3.Connection, selection: dict[str, str], zone: ZoneInfo
) -> None:
    chosen = Filters.from_args(selection, zone)

    def rows(name: str) -> list[sqlite3.Row]:
        return sums.execute(sql_of(name, chosen)).fetchall()

    span = span_of(sums, chosen)
    assert span
    costs = dict.fromkeys((start.isoformat() for start in span.starts), 0.0)
    for row in rows("cost_by_day_and_model"):
        costs[row["day"]] += row["cost_usd"]
    assert list(costs.values()) == pytest.approx(
        [day.cost for day in span.line], abs=0.01
    )
    heat = dashboard.heat(sums, chosen)
    for row in rows("hours"):
        at = heat[(int(row["weekday"]) - 1) % 7]
        assert at[int(row["hour"])] == row["responses"]
    assert sum(map(sum, heat)) == sum(row["responses"] for row in rows("hours"))
    tools = {row["tool_name"]: (row["calls"], row["errors"]) for row in rows("tools")}
    shown = dashboard.calls(sums, chosen).tools
    assert {one["tool"]: (one["calls"], one["errors"]) for one in shown} == tools
    medians = {row["tool_name"]: row["median_ms"] for row in rows("tools")}
    for one in shown:
        if one["median_s"] is not None:
            exact = pytest.approx(medians[one["tool"]], rel=NEAR)
            assert one["median_s"] * 1000 == exact
    kinds = {one["kind"]: one["errors"] for one in dashboard.calls(sums, chosen).errors}
    by_sql: dict[str, int] = {}
    for row in rows("errors"):
        by_sql[row["error_kind"]] = by_sql.get(row["error_kind"], 0) + row["errors"]
    assert kinds == by_sql
    money = {one["project"]: one["cost"] for one in dashboard.projects(sums, chosen)}
    for row in rows("projects"):
        assert row["cost_usd"] == pytest.approx(money[row["project_key"]], abs=0.001)


def test_a_cell_of_the_heatmap_leads_to_the_sessions_that_worked_then(
    sums: sqlite3.Connection,
) -> None:
    every = list(sums.execute("select * from fct_api_responses"))
    for slot in range(168):
        wanted = {
            row["session_id"] for row in every
            if (at := datetime.fromisoformat(row["responded_at"]).astimezone(BERLIN))
            and at.weekday() * 24 + at.hour == slot
        }  # fmt: skip
        chosen = Filters(slot=str(slot), zone=BERLIN)
        rows, _ = page(sums, chosen)
        assert {row["session_id"] for row in rows} == wanted
        assert totals(sums, chosen)["sessions"] == len(wanted)


def test_a_tool_and_a_kind_of_failure_lead_to_the_sessions_that_had_them(
    sums: sqlite3.Connection,
) -> None:
    for tool, kind in (("Bash", ""), ("Read", "timeout"), ("", "other"), ("none", "")):
        wanted = {
            row["session_id"] for row in facts(sums, Filters())
            if tool in ("", row["tool_name"])
            and (not kind or (row["is_error"] and kind == (row["error_kind"] or "other")))
        }  # fmt: skip
        rows, _ = page(sums, Filters(tool=tool, kind=kind))
        assert {row["session_id"] for row in rows} == wanted
        assert wanted or tool == "none"


def test_any_days_are_summed_up_exactly(tmp_path: Path) -> None:
    """Days, weeks and months that a selection cuts, over years, hold what is in it."""
    chance = random.Random(3)
    export = Export()
    for number in range(60):
        start = datetime(2025, 3, 28, tzinfo=UTC) + timedelta(
            minutes=chance.randrange(2_000_000)
        )
        session = export.session(f"s{number}", start=start)
        for _ in range(chance.randrange(9)):
            session.answer(cost=chance.random(), after=chance.randrange(2000))
        session.end()
    connection = opened(export.write(tmp_path / "c.db"))
    rows = connection.execute("select * from fct_api_responses").fetchall()
    for zone in (BERLIN, KOLKATA, QUARTERS[1]):
        local = [
            (datetime.fromisoformat(row["responded_at"]).astimezone(zone), row)
            for row in rows
        ]
        for _ in range(40):
            low = datetime(2025, 3, 1) + timedelta(days=chance.randrange(1400))
            high = low + timedelta(days=chance.randrange(1400))
            filters = Filters(
                since=low.date().isoformat(), until=high.date().isoformat(), zone=zone
            )
            mine = [
                (at, row) for at, row in local if low.date() <= at.date() <= high.date()
            ]
            span = span_of(connection, filters)
            assert (span.total.responses if span else 0) == len(mine)
            found = dict(zip(span.starts, span.line, strict=True)) if span else {}
            for first, day in found.items():
                inside = [
                    row["cost_usd"] for at, row in mine
                    if start_of(at.date(), span.unit if span else "") == first
                ]  # fmt: skip
                assert day.responses == len(inside)
                assert day.cost == pytest.approx(sum(inside))
            assert sum(map(sum, dashboard.heat(connection, filters))) == len(mine)
            projects = dashboard.projects(connection, filters)
            assert sum(one["responses"] for one in projects) == len(mine)
    connection.close()


@pytest.mark.parametrize("zone", [UTC, BERLIN, KOLKATA, *QUARTERS, ZoneInfo("Pacific/Apia"),
                                  ZoneInfo("Africa/Casablanca")])  # fmt: skip
def test_the_clocks_of_a_zone_are_right_in_every_quarter_of_an_hour(
    zone: ZoneInfo,
) -> None:
    """Through every change of the clocks, and in the first hours of 1970."""
    begin = zones.quarter_of(datetime(2024, 12, 30, tzinfo=UTC))
    numbers = [*range(200), *range(begin, begin + 3 * 366 * zones.DAY)]
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (quarter_no)")
    connection.executemany("insert into t values (?)", ((n,) for n in numbers))
    quarter = zones.local_quarter(zone, numbers[0], numbers[-1])
    day = zones.day_of(quarter)
    for number, found, slot, week, month in connection.execute(
        f"""select quarter_no, {day}, {zones.slot_of(quarter)},
        {zones.start_of(day, "week")}, {zones.start_of(day, "month")} from t"""
    ):
        there = (zones.EPOCH + number * zones.QUARTER).astimezone(zone)
        assert zones.date_of(found) == there.date()
        assert slot == there.weekday() * 24 + there.hour
        assert zones.date_of(week) == start_of(there.date(), "week")
        assert zones.date_of(month) == start_of(there.date(), "month")


def test_five_hour_blocks_are_those_that_a_walk_over_all_responses_finds(
    sums: sqlite3.Connection,
) -> None:
    at = sorted(
        datetime.fromisoformat(row["responded_at"]).replace(minute=0, second=0)
        for row in sums.execute("select * from fct_api_responses")
    )
    starts: list[datetime] = []
    for hour in at:
        hour = hour.replace(microsecond=0)
        if not starts or hour >= starts[-1] + timedelta(hours=5):
            starts.append(hour)
    found = dashboard.blocks(sums, Filters(zone=KOLKATA))
    assert [block.start for block in found] == starts[-dashboard.SHOWN_BLOCKS :]
    counted = [
        sum(start <= one < start + timedelta(hours=5) for one in at)
        for start in starts[-dashboard.SHOWN_BLOCKS :]
    ]
    assert [block.responses for block in found] == counted


def test_a_median_is_that_of_the_steps_of_its_durations() -> None:
    assert median("") is None
    assert median("00") == 0.001
    assert median("ff") == pytest.approx(1.08**255 / 1000, rel=NEAR)
    assert median("001e1e" + "ff" * 2) == pytest.approx(1.08**30 / 1000, rel=NEAR)
    assert median("0062") == pytest.approx((1 + 1.08**98) / 2000, rel=NEAR)


def test_each_item_of_a_response_counts_for_its_own_model(tmp_path: Path) -> None:
    """An advisor has tokens, cost and name; the response is counted once."""
    export = Export()
    session = export.session("s1", models="claude-mythos-5-2, claude-sonnet-4-6")
    session.prompt("Ask")
    session.answer("Asked", model="claude-sonnet-4-6", cost=0.05)
    row = export.rows["fct_api_responses"][-1]
    row |= {"price_parts": 2, "is_priced": 0}
    for number, (model, cost) in enumerate(
        (("claude-sonnet-4-6", 0.05), ("claude-mythos-5-2", None))
    ):
        export.add(
            "fct_response_items", **row | {
                "response_key": row["message_id"], "item_no": number,
                "model_name": model, "cost_usd": cost, "is_priced": number == 0,
                "is_main": number == 0, "is_response": number == 0,
                "is_first_of_model": 1, "is_first_unpriced": number == 1,
            },
        )  # fmt: skip
    session.end()
    connection = opened(export.write(tmp_path / "conversations.db"))
    chosen = Filters(zone=BERLIN)
    span = span_of(connection, chosen)
    assert span
    assert (span.total.responses, span.total.unpriced, span.total.cost) == (1, 1, 0.05)
    assert span.total.output == 2 * row["output_tokens"]
    parts = {one["model"]: one["sums"] for one in span.models}
    assert {m: (s.responses, s.parts, s.unpriced) for m, s in parts.items()} == {
        "claude-sonnet-4-6": (1, 1, 0),
        "claude-mythos-5-2": (0, 1, 1),
    }
    by_sql = connection.execute(sql_of("models", chosen)).fetchall()
    assert [(r["model"], r["responses"], r["unpriced"]) for r in by_sql] == [
        ("claude-sonnet-4-6", 1, 0),
        ("claude-mythos-5-2", 1, 1),
    ]
    (sums,) = turn_sums(connection, "s1", 0, 9).values()
    assert sums.models == set(parts)
    asked = connection.execute(canned()["unpriced_models"]["sql"]).fetchall()
    assert [r["model"] for r in asked] == ["claude-mythos-5-2"]
    connection.close()
