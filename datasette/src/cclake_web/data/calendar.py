"""What was done on each day of the last years."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from cclake_web.data.filters import Filters
from cclake_web.data.overtime import Done

WEEKS = 53  # of a row
ROWS = 3  # at most
FEW = 8  # weeks that get no row of their own


@dataclass(frozen=True)
class Calendar:
    """Days with something in them, some of which may be older than what is shown.

    Attributes:
        days: Their sums.
        first: The first day that is shown: a whole year back, or where the selection
            or what is older than a year begins.
        last: The last one.
        rows: How many rows of `WEEKS` weeks there are.
    """

    days: dict[date, Done]
    first: date
    last: date
    rows: int

    @property
    def longest(self) -> int:
        """How many days the longest run of days without a gap has."""
        best = run = 0
        before = None
        for day in sorted(self.days):
            run = run + 1 if before == day - timedelta(days=1) else 1
            best, before = max(best, run), day
        return best


def calendar(known: Mapping[date, Done], filters: Filters) -> Calendar | None:
    """Return the days of a selection; None where it holds no response."""
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
        begin = max(begin, min(days))  # no row of nothing before there was anything
    since = date.fromisoformat(filters.since) if filters.since else begin
    return Calendar(days, max(begin, since), end, count)
