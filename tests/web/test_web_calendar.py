"""The calendar of the dashboard: every day in its square, leading to its sessions."""

import re
import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cclake_web.charts.calendar import drawn
from cclake_web.data import over_time
from cclake_web.data.calendar import FEW, ROWS, WEEKS, Calendar, calendar
from cclake_web.data.filters import Filters
from export import Export
from playwright.sync_api import expect
from webface import Watched, Web

pytest_plugins = ("webfixtures",)
LAST = date(2026, 6, 10)  # a Wednesday
ZONE = ZoneInfo("America/Los_Angeles")


def shown(folder: Path, ago: tuple[int, ...], **chosen: str) -> Calendar | None:
    """The calendar of sessions so many days before the last one."""
    export = Export()
    for number in ago:
        day = LAST - timedelta(days=number)
        start = datetime(day.year, day.month, day.day, 12, tzinfo=ZONE)
        session = export.session(f"s{number}", start=start.astimezone(UTC))
        session.prompt("Go")
        session.answer(cost=number + 1.0)
        session.end()
    connection = sqlite3.connect(export.write(folder / "c.db"))
    filters = Filters.from_args(chosen, ZONE)
    whenever = replace(filters, since="", until="")
    found = calendar(over_time.days(connection, whenever), filters)
    connection.close()
    return found


def test_days_are_those_of_the_viewers_zone(tmp_path: Path) -> None:
    found = shown(tmp_path, (0, 1, 2, 9))
    assert found
    assert sorted((LAST - day).days for day in found.days) == [0, 1, 2, 9]
    assert found.days[LAST].responses == 1
    assert found.days[LAST - timedelta(days=9)].cost == pytest.approx(10)
    assert (found.rows, found.last, found.longest) == (1, LAST, 3)
    assert found.first == date(2025, 6, 9)  # 53 weeks with the last one, from a Monday


@pytest.mark.parametrize(
    ("oldest", "rows"),
    [(0, 1), (WEEKS * 7, 1), ((WEEKS + FEW + 1) * 7, 2), (2000, ROWS)],
)
def test_older_days_get_rows_of_their_own_where_they_are_many(
    tmp_path: Path, oldest: int, rows: int
) -> None:
    found = shown(tmp_path, tuple({0, oldest, min(oldest, 1000)}))
    assert found
    assert found.rows == rows
    assert found.first <= found.last == LAST


def test_chosen_days_are_marked_within_the_year(tmp_path: Path) -> None:
    """A period of two weeks is not two lonely columns."""
    found = shown(tmp_path, (0, 5, 9), since="2026-06-02", until="2026-06-08")
    assert found
    assert found.used == [LAST - timedelta(days=5)]
    assert (len(found.days), found.longest) == (3, 1)
    assert found.first == date(2025, 6, 9)
    svg = drawn(found, lambda day: f"{day}", lambda day: "/")
    assert svg.count('class="heat"') == 7
    assert svg.count('class="heat pale"') == 53 * 7 - 4 - 7


def test_years_are_named(tmp_path: Path) -> None:
    found = shown(tmp_path, (0, 700))
    assert found
    svg = drawn(found, lambda day: f"{day}", lambda day: "/")
    named = re.findall(r">([A-Z][a-z]{2} \d{4})<", svg)
    assert named == ["Jul 2025", "Jan 2026", "Aug 2024", "Jan 2025"]


@pytest.mark.browser
def test_a_day_says_what_was_done_and_leads_to_its_sessions(tab: Watched) -> None:
    page = tab.open("/dashboard?period=all&project=alpha")
    cells = page.locator(".calendar a")
    cells.last.hover()
    expect(page.locator(".tip")).to_contain_text("response")
    cells.last.click()
    page.wait_for_url("**/?project=alpha&since=*&until=*")
    expect(page.locator(".sessions li").first).to_be_visible()


@pytest.mark.browser
def test_a_phone_begins_with_the_newest_days(tab: Watched, web: Web) -> None:
    tab.page.set_viewport_size({"width": 390, "height": 844})
    page = tab.open("/dashboard?period=30")
    page.locator(".calendar").scroll_into_view_if_needed()
    expect(page.locator(".calendar a").last).to_be_in_viewport()
