"""Draw the calendar: a square for each day, weeks side by side, as SVG."""

from bisect import bisect_left
from collections.abc import Callable
from datetime import date, timedelta

from markupsafe import Markup

from cclake_web.charts.svg import anchored
from cclake_web.data.calendar import WEEKS, Calendar

SIDE = 20  # size of a day with the gap around it
LEFT, TOP, BELOW = 34, 18, 14
LEVELS = (0.28, 0.46, 0.64, 0.82, 1.0)  # opacity of each fifth of the days
_NAMES = ((0, "Mon"), (2, "Wed"), (4, "Fri"))


def drawn(
    shown: Calendar, tip: Callable[[date], str], href: Callable[[date], str]
) -> Markup:
    """Return all days; a day with activity has a tooltip and a link to its sessions.

    Args:
        shown: The days.
        tip: Returns the tooltip of a day, escaped.
        href: Returns the link of a day, escaped.
    """
    strong = _strengths(shown)
    monday = shown.last - timedelta(days=shown.last.weekday())
    parts: list[str] = []
    for row in range(shown.rows):
        top = row * (7 * SIDE + TOP + BELOW)
        start = monday - timedelta(weeks=WEEKS * (row + 1) - 1)
        parts += _names(start, top, shown.first)
        for number in range(WEEKS * 7):
            day = date.fromordinal(start.toordinal() + number)
            if not shown.first <= day <= shown.last:
                continue
            x, y = LEFT + number // 7 * SIDE, top + TOP + number % 7 * SIDE
            kind = "heat" if shown.chosen(day) else "heat pale"
            cell = (
                f'<rect class="{kind}" x="{x}" y="{y}" width="{SIDE - 3}" '
                f'height="{SIDE - 3}" rx="3" fill-opacity="{strong.get(day, 0.07)}"/>'
            )
            if day in shown.days:
                cell = anchored(cell, href(day), tip(day))
            parts.append(cell)
    width = LEFT + WEEKS * SIDE
    height = shown.rows * (7 * SIDE + TOP + BELOW) - BELOW
    return Markup(
        f'<svg class="chart calendar" viewBox="0 0 {width} {height}" role="group" '
        f'aria-label="Days">{"".join(parts)}</svg>'
    )


def _names(start: date, top: int, first: date) -> list[str]:
    """Return the days of the week, and each month above the week that it begins in.

    The first month of a row and each January say their year.
    """
    parts = [
        f'<text x="{LEFT - 8}" y="{top + TOP + number * SIDE + 13}" '
        f'text-anchor="end">{name}</text>'
        for number, name in _NAMES
    ]
    named = False
    for week in range(WEEKS):
        sunday = start + timedelta(days=week * 7 + 6)
        begins = sunday.replace(day=1)
        if sunday.day <= 7 and begins >= first and week < WEEKS - 1:
            year = begins.month == 1 or not named
            name, named = begins.strftime("%b %Y" if year else "%b"), True
            x = LEFT + week * SIDE
            parts.append(f'<text x="{x}" y="{top + TOP - 6}">{name}</text>')
    return parts


def _strengths(shown: Calendar) -> dict[date, float]:
    """Return an opacity by rank, since one large day would make all others pale."""
    paid = any(done.cost for done in shown.days.values())
    sizes = {d: done.cost if paid else done.responses for d, done in shown.days.items()}
    ranked = sorted(sizes.values())
    return {
        day: LEVELS[bisect_left(ranked, size) * len(LEVELS) // len(ranked)]
        for day, size in sizes.items()
    }
