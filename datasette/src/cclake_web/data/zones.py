"""Write local times as SQL over quarters of an hour.

A quarter of an hour is within one hour and one day in every current time zone. So the
sums of the export by `quarter_no`, counted from 1970, serve all zones.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
LAST = 7_258_118_400 // 900  # quarters up to the year 2200; later times are mistakes
DAY = 96  # quarters
DAYS = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=64)
def changes(
    zone: tzinfo, first_year: int, last_year: int
) -> list[tuple[datetime, int]]:
    """Return pairs of an end (UTC) and the offset in minutes until then."""
    at, found = datetime(first_year, 1, 1, tzinfo=UTC), []
    end = datetime(last_year, 12, 31, tzinfo=UTC)
    while at < end:
        before, following = _minutes(zone, at), min(at + timedelta(days=7), end)
        if _minutes(zone, following) != before:
            while _minutes(zone, at) == before:
                at += QUARTER
            found.append((at, before))
        else:
            at = following
    return [*found, (end, _minutes(zone, end))]


def _minutes(zone: tzinfo, moment: datetime) -> int:
    ahead = moment.astimezone(zone).utcoffset()
    return round(ahead.total_seconds() / 60) if ahead else 0


def quarter_of(moment: datetime) -> int:
    """Return the first quarter that begins at or after a time."""
    return -(-(moment - EPOCH) // QUARTER)


def local_quarter(zone: tzinfo, first: int, last: int) -> str:
    """Return SQL for `quarter_no` in the local time of a zone.

    Args:
        zone: The time zone.
        first: The first quarter of the query.
        last: The last quarter of the query.
    """
    years = [(EPOCH + QUARTER * number).year for number in (first, last)]
    *earlier, (_, minutes) = changes(zone, *years)
    if not earlier:
        return f"(quarter_no + {minutes // 15})"
    cases = " ".join(
        f"when quarter_no < {quarter_of(until)} then {minutes // 15}"
        for until, minutes in earlier
    )
    return f"(quarter_no + case {cases} else {minutes // 15} end)"


def day_of(quarter: str) -> str:
    """Return the number of a local quarter's day, from 1970, as SQL."""
    # Add a day, since a negative number would be rounded up.
    return f"(({quarter} + {DAY}) / {DAY} - 1)"


def slot_of(quarter: str) -> str:
    """Return the hour of the week of a local quarter, 0 to 167 from Monday, as SQL."""
    return f"({day_of(quarter)} + 3) % 7 * 24 + ({quarter} + {DAY}) / 4 % 24"


def start_of(day: str, unit: str) -> str:
    """Return the number of the first day of a day's week or month, as SQL."""
    if unit == "week":
        return f"{day} - ({day} + 3) % 7"
    if unit == "month":
        first = f"strftime('%s', {day} * 86400, 'unixepoch', 'start of month')"
        return f"cast({first} as integer) / 86400"
    return day


def date_of(day: int) -> date:
    """Return a day by its number."""
    return date.fromordinal(DAYS + day)


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day begins in a zone.

    Raises:
        OverflowError: The year is out of range.
    """
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
