"""Sum up each day of the last years, with the chosen days marked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from cclake_web.data.filters import Filters
from cclake_web.data.over_time import Done

WEEKS = 53  # of a row
ROWS = 3  # at most
FEW = 8  # maximum number of weeks that get no row of their own


@dataclass(frozen=True)
class Calendar:
    """Days with activity, some of which may be before the first day that is shown.

    Attributes:
        days: Their sums, whatever the chosen dates are.
        first: The first day that is shown: a whole year back. For a longer history, it
            is the first day with activity, at most `ROWS` rows back.
        last: The last one.
        rows: How many rows of `WEEKS` weeks there are.
        since: The first chosen day, as text; "" for all.
        until: The last chosen day, as text; "" for all.
    """

    days: dict[date, Done]
    first: date
    last: date
    rows: int
    since: str = ""
    until: str = ""

    def chosen(self, day: date) -> bool:
        """Return whether a day is among the chosen ones."""
        return (self.since or "") <= day.isoformat() <= (self.until or "9999")

    @property
    def used(self) -> list[date]:
        """The chosen days with activity, in order."""
        return [day for day in sorted(self.days) if self.chosen(day)]

    @property
    def longest(self) -> int:
        """The number of days in the longest run of chosen days without a gap."""
        best = run = 0
        before = None
        for day in self.used:
            run = run + 1 if before == day - timedelta(days=1) else 1
            best, before = max(best, run), day
        return best


def calendar(
    known: Mapping[date, Done], filters: Filters, today: date = date.max
) -> Calendar | None:
    """Return the days of a selection, with its dates marked; None without any.

    Args:
        known: All days of the selection that have a response.
        filters: The selection.
        today: Later days, which a wrong clock wrote, are left out.
    """
    known = {day: done for day, done in known.items() if day <= today}
    if not known:
        return None
    end = max(known)
    monday = end - timedelta(days=end.weekday())
    first = monday - timedelta(weeks=WEEKS * ROWS - 1)
    days = {day: done for day, done in sorted(known.items()) if day >= first}
    weeks = (monday - min(days)).days // 7 + 2
    count = max(1, min(ROWS, -((FEW - weeks) // WEEKS)))
    begin = monday - timedelta(weeks=WEEKS * count - 1)
    if count > 1:
        begin = max(begin, min(days))  # start no earlier than the first activity
    return Calendar(days, begin, end, count, filters.since, filters.until)
