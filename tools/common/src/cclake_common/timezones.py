"""Find the time zone of the days, and where its days begin."""

import os
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cclake_common.failure import Failure


def zone(name: str) -> str:
    """Return the IANA name of a time zone; `local` is the zone of this machine.

    Raises:
        Failure: There is no such zone, or `TZ` is a rule such as `CET-1CEST`, not an
            IANA name.
    """
    local = name == "local"
    if local:
        name = local_zone()
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        which = f"TZ={name} does not name a time zone" if local else ""
        raise Failure(
            which or f"there is no time zone {name}",
            "Name one with --timezone, such as Europe/Berlin.",
            code=2,
        ) from None
    return name


def local_zone() -> str:
    """Return the time zone of this machine, UTC if it is unknown."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named and not Path(named).is_absolute():
        return named
    link = Path(named or "/etc/localtime")
    target = str(link.readlink()) if link.is_symlink() else named
    _, found, tail = target.partition("zoneinfo/")
    return tail if found else named or "UTC"


def midnight(zone: str, day: date) -> datetime:
    """Return the start of a local day, in UTC."""
    local = datetime.combine(day, time(), ZoneInfo(zone))
    try:
        return local.astimezone(UTC)
    except OverflowError:
        return local.replace(tzinfo=UTC)


def default_zone() -> str:
    """Return the IANA name of the time zone in `CCLAKE_TIMEZONE`, or of this machine.

    Raises:
        Failure: There is no such zone.
    """
    return zone(os.environ.get("CCLAKE_TIMEZONE") or "local")


def bounds(period: str, timezone: str, now: datetime) -> tuple[datetime, datetime]:
    """Return the start and the end of the current day, week or month, in UTC."""
    today = now.astimezone(ZoneInfo(timezone)).date()
    if period == "day":
        first, after = today, today + timedelta(days=1)
    elif period == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        after = date(today.year + today.month // 12, today.month % 12 + 1, 1)
    return midnight(timezone, first), midnight(timezone, after)


def quarter_no(moment: datetime) -> int:
    """Return the quarter of an hour of a time, as the marts count them."""
    return int(moment.timestamp()) // 900
