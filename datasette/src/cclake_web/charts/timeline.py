"""Draw the chart above the list: messages by hour, day or week, as filters."""

import sqlite3
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from markupsafe import Markup, escape

from cclake_web.charts.scale import after, label, periods, start_of
from cclake_web.data import zones
from cclake_web.data.filters import Filters
from cclake_web.data.quarters import chosen_days, local
from cclake_web.data.sessions import subset
from cclake_web.formatting import plural
from cclake_web.render.safe import plain

HEIGHT = 46
UNITS = ("hour", "day", "week")
FEWEST = 28  # minimum number of bars; earlier time is shown as empty
HOURS = 14 * 24  # maximum number of bars, so that they can be clicked


@dataclass(frozen=True)
class Timeline:
    """The drawing, and its unit of time."""

    svg: Markup
    unit: str
    first: str
    last: str


def timeline(
    connection: sqlite3.Connection, filters: Filters, unit: str = ""
) -> Timeline | None:
    """Return messages over time in the viewer's zone, or None without any."""
    if unit == "hour":
        counts = _hours(connection, filters)
        return _by_hour(counts, filters) if counts else None
    days = _days(connection, filters)
    if not days:
        return None
    found, starts = periods(list(days))
    unit = unit if unit in UNITS else found
    if unit != found:
        starts = _starts(starts, unit, max(days))
    while len(starts) < FEWEST:  # a few bars would be very wide
        starts.insert(0, start_of(starts[0] - timedelta(days=1), unit))
    sizes: Counter[date] = Counter()
    for day, number in days.items():
        sizes[start_of(day, unit)] += number
    bars = [
        (
            sizes[start],
            label(start, unit, True),
            _href(filters, start, after(start, unit)),
        )
        for start in starts
    ]
    return _draw(bars, unit)


def _days(connection: sqlite3.Connection, filters: Filters) -> dict[date, int]:
    day = zones.day_of(local(connection, filters, "agg_message_quarters"))
    rows = _spoken(connection, filters, day)
    return {zones.date_of(day): number for day, number in rows}


def _hours(connection: sqlite3.Connection, filters: Filters) -> dict[datetime, int]:
    hour = f"{local(connection, filters, 'agg_message_quarters')} / 4"
    rows = _spoken(connection, filters, hour)
    begin = zones.EPOCH.replace(tzinfo=None)  # in local time
    return {begin + timedelta(hours=hour): number for hour, number in rows}


def _spoken(
    connection: sqlite3.Connection, filters: Filters, by: str
) -> sqlite3.Cursor:
    """Return messages of the chosen sessions, within the chosen days."""
    within, days = chosen_days(filters)
    # Messages of these days belong to sessions that were open then.
    whenever = filters if filters.slot else replace(filters, since="", until="")
    chosen, values = subset(connection, whenever)
    return connection.execute(
        f"""select {by}, sum(conversation_messages) from agg_message_quarters
        where conversation_messages > 0 and {within}
        {f"and +session_id in ({chosen})" if chosen else ""} group by 1""",
        values | days,
    )


def _starts(starts: list[date], unit: str, last: date) -> list[date]:
    found = [start_of(starts[0], unit)]
    while (following := after(found[-1], unit)) <= last:
        found.append(following)
    return found


def _by_hour(counts: dict[datetime, int], filters: Filters) -> Timeline:
    last = max(counts)
    first = max(min(counts), last - timedelta(hours=HOURS - 1))
    first = min(first, last - timedelta(hours=FEWEST - 1))
    bars = []
    moment = first
    while moment <= last:
        href = _href(filters, moment.date(), moment.date() + timedelta(days=1))
        bars.append((counts.get(moment, 0), moment.strftime("%-d %b, %H:00"), href))
        moment += timedelta(hours=1)
    return _draw(bars, "hour")


def _href(filters: Filters, first: date, end: date) -> str:
    last = (end - timedelta(days=1)).isoformat()
    return "/?" + filters.query(since=first.isoformat(), until=last)


def _draw(bars: list[tuple[int, str, str]], unit: str) -> Timeline:
    highest = max(number for number, _, _ in bars) or 1
    parts = []
    for x, (number, name, href) in enumerate(bars):
        height = max(1.0, number * HEIGHT / highest) if number else 0.6
        said = plain(f"{name}: {plural(number, 'message')}")
        bar = (
            f'<rect class="size" x="{x}.1" y="{HEIGHT - height:.1f}" width="0.8" '
            f'height="{height:.1f}"/>'
            f'<rect class="space" x="{x}" width="1" height="{HEIGHT}"/>'
        )
        about = f'data-tip aria-label="{said}"'
        if number:
            bar = f'<a href="{escape(href)}" {about} tabindex="-1">{bar}</a>'
        else:
            bar = f'<g data-tip="{said}">{bar}</g>'
        parts.append(Markup(bar))
    made = Markup(
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="group" '
        'aria-label="Messages over time">{}</svg>'
    )
    svg = made.format(len(bars), HEIGHT, Markup("").join(parts))
    return Timeline(svg, unit, bars[0][1], bars[-1][1])
