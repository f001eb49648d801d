"""Periods of the dashboard, the change against the days before, and `/compare`."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest
from cclake_web import formatting
from cclake_web.charts.svg import Chart, Series, lines
from cclake_web.data.periods import PRESETS, period
from export import Export
from webface import Web, serving

TODAY = datetime.now(UTC).date()
USED = TODAY - timedelta(days=40)  # the last day in use
HOSTILE = '"><script>window.pwned=1</script>'


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    export = Export()
    # Days before the last one in use, the project, and dollars.
    for ago, project, cost in (
        (0, "alpha", 3.0), (10, "beta", 1.0), (29, "alpha", 2.0),
        (30, "alpha", 2.0), (59, "beta", 2.0), (60, "alpha", 50.0), (-60, "alpha", 700.0),
        (1, HOSTILE, 0.0),
        # Clocks that were wrong by decades.
        (20_000, "alpha", 0.0), (-9_000, "alpha", 0.0),
    ):  # fmt: skip
        day = USED - timedelta(days=ago)
        session = export.session(
            f"s{ago}", project=project, branch=HOSTILE,
            start=datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
        )  # fmt: skip
        session.prompt("Go")
        (call,) = session.answer(cost=cost, tools=(("Read", {}),))
        session.result(call, "x", error=ago == 10)
        session.end()
    folder = tmp_path_factory.mktemp("periods")
    export.write(folder / "exports" / "conversations.db")
    with serving(folder / "exports", folder / "web.log") as served:
        yield served
    assert '" 500 ' not in (folder / "web.log").read_text()


def tile(text: str, name: str) -> list[str]:
    found = re.search(rf"<dt>{name}</dt>(.*?)</div>", text, re.DOTALL)
    assert found
    return [re.sub(r"<[^>]+>", "", one) for one in re.findall(r"<dd.*?</dd>", found[1])]


def test_the_dashboard_begins_with_the_last_30_days_in_use(web: Web) -> None:
    first = web.get("/dashboard?project=alpha")
    assert first.status_code == 302
    assert first.headers["location"] == "/dashboard?project=alpha&period=30"
    text = web.get("/dashboard?period=30").text
    assert 'href="/dashboard?period=30" aria-current="true"' in text
    # A day that is still to come, which a wrong clock wrote, is not the last one.
    assert tile(text, "Cost")[0] == "$6.00"
    assert tile(text, "Cost")[1] == "+50% $4.00 before"
    assert tile(web.get("/dashboard?period=all").text, "Cost") == [
        "$760.00",
        "10 responses",
    ]
    assert (
        tile(web.get("/dashboard?period=7&project=alpha").text, "Cost")[1]
        == "nothing before"
    )


def test_wrong_clocks_do_not_empty_the_calendar(web: Web) -> None:
    for name in PRESETS:
        text = web.get(f"/dashboard?period={name}&project=alpha").text
        assert "Day by day" in text, name
        assert USED.strftime("%-d %b %Y") in text, name


def test_dates_that_the_calendar_does_not_have_are_not_compared(web: Web) -> None:
    """As a browser sends them while a year is typed."""
    for day in ("0001-01-01", "0002-11-01", "0202-11-01", "1000-01-01", "9999-12-31"):
        for path in ("/dashboard?", "/compare?a_", "/compare?b_"):
            for name in ("since", "until"):
                assert web.get(f"{path}{name}={day}").status_code == 200, (path, day)
            side = path.partition("?")[2]
            both = f"{path}since=0001-01-02&{side}until={day}"
            assert web.get(both).status_code == 200, both


def test_dates_of_ones_own_count_more_than_a_preset(web: Web) -> None:
    since = USED - timedelta(days=60)
    text = web.get(f"/dashboard?period=7&since={since}&until={since}").text
    assert tile(text, "Cost")[0] == "$50.00"
    assert 'aria-current="true"' not in text
    # Bars lead to the list within these days.
    assert f"since={since}&amp;until={since}" in text


def test_presets_are_whole_days_that_end_with_the_last_one_in_use() -> None:
    days = [date(2026, 3, 1), date(2026, 3, 12), date(2030, 1, 1)]
    today = date(2026, 5, 1)
    said = {name: str(period(name, "", "", days, today)) for name in PRESETS}
    assert said == {
        "7": "6 – 12 Mar 2026", "30": "11 Feb – 12 Mar 2026",
        "90": "13 Dec 2025 – 12 Mar 2026", "month": "1 – 12 Mar 2026", "all": "all days",
    }  # fmt: skip
    before = {name: str(period(name, "", "", days, today).before()) for name in PRESETS}
    assert before == {
        "7": "27 Feb – 5 Mar 2026", "30": "12 Jan – 10 Feb 2026",
        "90": "14 Sep – 12 Dec 2025", "month": "1 – 12 Feb 2026", "all": "None",
    }  # fmt: skip
    assert (
        str(period("month", "", "", [date(2026, 3, 31)], today).before())
        == "1 – 28 Feb 2026"
    )
    assert period("30", "", "", [], today).before() is None
    assert str(period("", "2026-03-05", "", days, today)) == "5 – 12 Mar 2026"
    assert str(period("", "2026-04-05", "2026-04-01", days, today)) == "5 Apr 2026"


def measures(text: str) -> dict[str, list[str]]:
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', text)
    return {
        unescape(name): re.findall(r"<td[^>]*>(.*?)</td>", cells)
        for name, cells in rows
    }


def test_a_period_is_compared_with_the_one_before(web: Web) -> None:
    found = measures(web.get("/compare").text)
    assert found["Cost"] == ["$6.00", "$4.00", "+50%"]
    assert found["Days in use"] == ["4", "2", "×2.0"]
    assert found["Failed calls"] == ["25.0%", "0.0%", "+25 points"]
    assert found["alpha"] == ["$5.00", "$2.00", "×2.5"]


def test_projects_are_compared_on_the_same_days(web: Web) -> None:
    text = web.get("/compare?a_project=alpha&b_project=beta&period=30").text
    found = measures(text)
    assert found["Cost"] == ["$5.00", "$1.00", "×5.0"]
    assert text.count('<th scope="col">alpha</th>') >= 2
    whole = measures(web.get("/compare?a_project=alpha&b_project=beta&period=all").text)
    assert whole["Cost"] == ["$757.00", "$3.00", "×252"]


def test_two_periods_of_any_length_are_compared(web: Web) -> None:
    first, last = USED - timedelta(days=60), USED - timedelta(days=59)
    text = web.get(
        f"/compare?a_since={USED}&a_until={USED}&b_since={first}&b_until={last}"
    ).text
    assert measures(text)["Cost"] == ["$3.00", "$52.00", "−94%"]
    assert "Day 2" in text


@pytest.mark.parametrize("query", [
    "a_project=%22%3E%3Cscript%3Ewindow.pwned=1%3C/script%3E&period=all",
    "a_branch=%22%3E%3Cscript%3Ewindow.pwned=1%3C/script%3E&b_host=%3Cimg%20src=x%3E",
    "a_since=9999-12-31&b_until=0001-01-01", "period=%3Cb%3E&a_until=x", "period=all",
])  # fmt: skip
def test_odd_selections_are_only_text(web: Web, query: str) -> None:
    answer = web.get(f"/compare?{query}")
    assert answer.status_code == 200
    assert "<script>window" not in answer.text
    assert "<img src=x" not in answer.text


def test_a_line_breaks_where_more_than_a_week_is_missing() -> None:
    starts = [date(2026, 3, 1) + timedelta(days=n) for n in range(40)]
    # A pause of seven days is gone over, one of eight is not; a day alone is a dot.
    known = {*range(3), 10, 11, 20, 29, 30}
    values = [1.0 if n in known else -1.0 for n in range(40)]
    drawn = lines(Chart("day", starts, [Series("x", values)], str), 1.0)
    assert [one.count(",") for one in re.findall(r'points="([^"]*)"', drawn)] == [5, 2]
    months = [date(2026, month, 1) for month in range(1, 7)]
    drawn = lines(
        Chart("month", months, [Series("x", [1.0, 1, -1, 1, 1, 1])], str), 1.0
    )
    assert [one.count(",") for one in re.findall(r'points="([^"]*)"', drawn)] == [2, 3]


def test_changes_are_said_in_few_signs() -> None:
    said = [
        formatting.change(now, 10.0) for now in (0, 9.96, 10, 12, 19.9, 20, 34, 5000)
    ]
    assert said == ["−100%", "±0%", "±0%", "+20%", "+99%", "×2.0", "×3.4", "×500"]
    assert formatting.change(1, 0) == ""
    assert formatting.points(0.5, 0.49) == "+1 point"
    assert formatting.points(0.5, 0.7) == "−20 points"
