"""The calendar of the dashboard."""

from datetime import date
from functools import lru_cache

from markupsafe import escape

from cclake_web import formatting
from cclake_web.charts.calendar import drawn
from cclake_web.data.calendar import Calendar
from cclake_web.data.filters import Filters
from cclake_web.data.over_time import Done
from cclake_web.pages.panels import Panel


@lru_cache(maxsize=4096)
def _named(day: date) -> str:
    return f"{day:%a %-d %b %Y}"


def year(shown: Calendar, filters: Filters) -> Panel:
    """Return the calendar of the last years, with a table of its months."""
    # The reader's choices are escaped once; dates and numbers need no escaping.
    base = escape(filters.query(since="", until=""))
    start = f"/?{base}{'&amp;' if base else ''}since="

    def href(day: date) -> str:
        return f"{start}{day}&amp;until={day}"

    def tip(day: date) -> str:
        done = shown.days[day]
        said = formatting.plural(done.responses, "response")
        return f"{_named(day)}\n{formatting.money(done.cost)}, {said}"

    months: dict[date, list[Done]] = {}
    for day in sorted(shown.days):
        months.setdefault(day.replace(day=1), []).append(shown.days[day])
    rows = [
        (f"{month:%b %Y}", str(len(days)),
         formatting.count(sum(one.responses for one in days)),
         formatting.money(sum(one.cost for one in days)))
        for month, days in months.items()
    ]  # fmt: skip
    run = formatting.plural(shown.longest, "day")
    note = f"{formatting.plural(len(shown.used), 'day')} in use, longest run {run}"
    if shown.since or shown.until:
        note += "; the other days are pale"
    older = sum(day < shown.first for day in shown.days)
    note += f"; {formatting.plural(older, 'older day')} in the table" if older else ""
    return Panel(
        "Day by day", drawn(shown, tip, href), ("", "Days in use", "Responses", "Cost"),
        rows, "days", note=note, wide=True,
    )  # fmt: skip
