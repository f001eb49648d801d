"""What was done on each day of the last years."""

import sqlite3
from dataclasses import dataclass
from datetime import date, timedelta

from cclake_web.data.chosen import over_time
from cclake_web.data.filters import Filters
from cclake_web.data.zoned import zoned

WEEKS = 53  # of a row
ROWS = 3  # at most
FEW = 8  # weeks that get no row of their own


@dataclass(frozen=True)
class Done:
    """The sums of one day in the viewer's zone: dollars, and API responses."""

    cost: float
    responses: int


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


def calendar(connection: sqlite3.Connection, filters: Filters) -> Calendar | None:
    """The days of a selection; None where it holds no response."""
    time = f"sums.time{zoned(connection, filters.zone)}"
    grain, whose, values = over_time(filters)
    last = connection.execute(
        f"""select start from {time} where unit = '{grain}day' and start <= :until
        and start >= :since and {whose} order by start desc limit 1""",
        values | {"since": filters.since, "until": filters.until or "9999"},
    ).fetchone()
    if last is None:
        return None
    end = date.fromisoformat(last[0])
    monday = end - timedelta(days=end.weekday())
    first = monday - timedelta(weeks=WEEKS * ROWS - 1)
    rows = connection.execute(
        f"""select start, sum(cost), sum(responses) from {time}
        where unit = '{grain}day' and start between :first and :last and {whose}
        group by start""",
        values | {"first": max(first.isoformat(), filters.since), "last": last[0]},
    )
    days = {date.fromisoformat(row[0]): Done(row[1] or 0.0, row[2]) for row in rows}
    weeks = (monday - min(days)).days // 7 + 2
    count = max(1, min(ROWS, -((FEW - weeks) // WEEKS)))
    begin = monday - timedelta(weeks=WEEKS * count - 1)
    if count > 1:
        begin = max(begin, min(days))  # no row of nothing before there was anything
    since = date.fromisoformat(filters.since) if filters.since else begin
    return Calendar(days, max(begin, since), end, count)
