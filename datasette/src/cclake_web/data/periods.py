"""Periods: the days that a preset means, and the same number of days before them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from cclake_web.data.filters import Filters

DEFAULT = "30"
MONTH, ALL = "month", "all"
PRESETS = {
    "7": "7 days", "30": "30 days", "90": "90 days", MONTH: "This month", ALL: "All",
}  # fmt: skip


@dataclass(frozen=True)
class Period:
    """The days that are shown.

    Attributes:
        name: A key of `PRESETS`; "" if the reader chose dates.
        first: The first day; None without a beginning.
        last: The last day; None if there was never any activity.
    """

    name: str
    first: date | None
    last: date | None

    @property
    def length(self) -> int:
        """Number of days; 0 without a beginning."""
        if self.first is None or self.last is None:
            return 0
        return max((self.last - self.first).days + 1, 0)

    def of(self, filters: Filters) -> Filters:
        """Return a selection within these days."""
        return replace(filters, since=_text(self.first), until=_text(self.last))

    def before(self) -> "Period | None":
        """Return as many days just before; for a month, the previous month to date."""
        if not self.length or self.first is None:
            return None
        if self.first.toordinal() <= self.length:  # the calendar has no such days
            return None
        last = self.first - timedelta(days=1)
        if self.name == MONTH:
            begin = last.replace(day=1)
            return Period("", begin, min(last, begin + timedelta(self.length - 1)))
        return Period("", last - timedelta(days=self.length - 1), last)

    def __str__(self) -> str:
        """Return the days in words, such as `2 – 31 Aug 2026`."""
        if self.first is None or self.last is None:
            return f"until {self.last:%-d %b %Y}" if self.last else "all days"
        if self.first == self.last:
            return f"{self.last:%-d %b %Y}"
        whole = self.first.year != self.last.year
        month = whole or self.first.month != self.last.month
        begin = f"{self.first:%-d}" + (f"{self.first: %b}" if month else "")
        return (
            begin + (f"{self.first: %Y}" if whole else "") + f" – {self.last:%-d %b %Y}"
        )


def period(
    name: str, since: str, until: str, days: Iterable[date], today: date
) -> Period:
    """Return the days that a reader asked for.

    A preset ends with the last day in use, so that an archive that has stopped growing
    still shows something.

    Args:
        name: A key of `PRESETS`; given dates take precedence.
        since: The first day that was chosen, or "".
        until: The last one, or "".
        days: The days of the selection that have a response.
        today: The viewer's day; later ones, which a wrong clock wrote, are left out.
    """
    used = [day for day in days if day <= today]
    newest = max(used, default=None)
    if since or until:
        first = date.fromisoformat(since) if since else None
        last = date.fromisoformat(until) if until else newest
        return Period("", first, max(last, first) if last and first else last)
    if newest is None or name == ALL:
        return Period(ALL, None, None)
    if name == MONTH:
        return Period(name, newest.replace(day=1), newest)
    return Period(name, newest - timedelta(days=int(name) - 1), newest)


def _text(day: date | None) -> str:
    return day.isoformat() if day else ""
