"""Times as the exports write them, and the days of a time zone."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo


def moment(text: str | None) -> datetime | None:
    """Return a time of the export; None if there is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def day_start(day: str, zone: tzinfo | None, days: int = 0) -> str:
    """Return when a day begins in a zone, as the export writes times.

    Args:
        day: Such as 2026-11-01; "" has no beginning.
        zone: The zone of the day; None is that of this machine.
        days: Number of days to add to it.
    """
    if not day:
        return ""
    try:
        local = date.fromisoformat(day) + timedelta(days=days)
        there = datetime.combine(local, time(), zone).astimezone(UTC)
    except OverflowError:
        return ""
    return there.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
