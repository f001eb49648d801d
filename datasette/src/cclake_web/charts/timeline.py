"""The chart above the list: messages by hour, day or week; its bars filter."""

import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from markupsafe import Markup, escape

from cclake_web.charts.scale import after, label, periods, start_of
from cclake_web.data.filters import Filters
from cclake_web.data.sessions import selected
from cclake_web.data.zoned import local, zoned
from cclake_web.fmt import plural
from cclake_web.render.safe import plain

HEIGHT = 46
UNITS = ("hour", "day", "week")
FEWEST = 28  # bars; the time before is shown as empty
HOURS = 14 * 24  # at most, so that bars stay wide enough to hit


@dataclass(frozen=True)
class Timeline:
    """The drawing, and the unit that it is drawn by."""

    svg: Markup
    unit: str
    first: str
    last: str


def timeline(
    sums: sqlite3.Connection, filters: Filters, unit: str = ""
) -> Timeline | None:
    """Messages over time in the viewer's zone; None where there are none."""
    if unit == "hour":
        counts = _hours(sums, filters)
        return _by_hour(counts, filters) if counts else None
    days = _days(sums, filters)
    if not days:
        return None
    found, starts = periods(list(days))
    unit = unit if unit in UNITS else found
    if unit != found:
        starts = _starts(starts, unit, max(days))
    while len(starts) < FEWEST:  # few bars would be as wide as a hand
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


def _days(sums: sqlite3.Connection, filters: Filters) -> dict[date, int]:
    rows = _spoken(sums, filters, "z.day")
    return {date.fromisoformat(day): number for day, number in rows}


def _hours(sums: sqlite3.Connection, filters: Filters) -> Counter[datetime]:
    counts: Counter[datetime] = Counter()
    for quarter, number in _spoken(sums, filters, "p.quarter"):
        counts[local(quarter, filters.zone).replace(minute=0)] += number
    return counts


def _spoken(sums: sqlite3.Connection, filters: Filters, by: str) -> sqlite3.Cursor:
    """Messages of the chosen sessions, within the chosen days."""
    conditions, values = selected(sums, filters)
    zone = f"sums.zone{zoned(sums, filters.zone)}"
    within = "z.day between :since and :until"
    return sums.execute(
        f"""select {by}, sum(p.messages) from sums.spoken p
        join {zone} z on z.quarter = p.quarter
        {"join sums.listed s on s.session = p.session" if conditions else ""}
        where {" and ".join([within, *conditions])} group by 1""",
        values | {"since": filters.since, "until": filters.until or "9999"},
    )


def _starts(starts: list[date], unit: str, last: date) -> list[date]:
    found = [start_of(starts[0], unit)]
    while (following := after(found[-1], unit)) <= last:
        found.append(following)
    return found


def _by_hour(counts: Counter[datetime], filters: Filters) -> Timeline:
    last = max(counts)
    first = max(min(counts), last - timedelta(hours=HOURS - 1))
    first = min(first, last - timedelta(hours=FEWEST - 1))
    bars = []
    moment = first
    while moment <= last:
        href = _href(filters, moment.date(), moment.date() + timedelta(days=1))
        bars.append((counts[moment], moment.strftime("%-d %b, %H:00"), href))
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
        about = f'data-tip="{said}" aria-label="{said}"'
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
