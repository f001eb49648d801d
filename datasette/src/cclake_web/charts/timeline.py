"""The chart above the list: messages by hour, day or week; its bars filter."""

import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from markupsafe import Markup

from cclake_web.charts.scale import after, label, periods, start_of
from cclake_web.data.dashboard import local
from cclake_web.data.filters import Filters
from cclake_web.data.rollup import where
from cclake_web.fmt import plural

HEIGHT = 46
UNITS = ("hour", "day", "week")
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
    condition, values = where(filters, model=False)
    counts: Counter[datetime] = Counter()
    for hour, number in sums.execute(
        f"select hour, sum(messages) from spoken where {condition} group by 1", values
    ):
        counts[local(hour, filters.zone)] += number
    if not counts:
        return None
    if unit == "hour":
        return _by_hour(counts, filters)
    found, starts = periods([moment.date() for moment in counts])
    unit = unit if unit in UNITS else found
    if unit != found:
        starts = _starts(starts, unit, max(counts).date())
    sizes: Counter[date] = Counter()
    for moment, number in counts.items():
        sizes[start_of(moment.date(), unit)] += number
    bars = [
        (
            sizes[start],
            label(start, unit, True),
            _href(filters, start, after(start, unit)),
        )
        for start in starts
    ]
    return _draw(bars, unit)


def _starts(starts: list[date], unit: str, last: date) -> list[date]:
    found = [start_of(starts[0], unit)]
    while (following := after(found[-1], unit)) <= last:
        found.append(following)
    return found


def _by_hour(counts: Counter[datetime], filters: Filters) -> Timeline:
    last = max(counts)
    first = max(min(counts), last - timedelta(hours=HOURS - 1))
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
        tip = f"{name}: {plural(number, 'message')}"
        parts.append(
            Markup(
                '<a href="{}" data-tip="{}" aria-label="{}" tabindex="-1">'
                '<rect class="size" x="{}.1" y="{:.1f}" width="0.8" height="{:.1f}"/>'
                '<rect class="space" x="{}" width="1" height="{}"/></a>'
            ).format(
                href,
                tip,
                tip.replace("\n", ", "),
                x,
                HEIGHT - height,
                height,
                x,
                HEIGHT,
            )
        )
    made = Markup(
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="group" '
        'aria-label="Messages over time">{}</svg>'
    )
    svg = made.format(max(len(bars), 24), HEIGHT, Markup("").join(parts))
    return Timeline(svg, unit, bars[0][1], bars[-1][1])
