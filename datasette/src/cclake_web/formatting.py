"""Format numbers, times and short texts for people."""

import re
from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from typing import Any

from cclake_common.model_names import short_name
from cclake_common.times import moment

from cclake_web.render.safe import visible

_MARKS = re.compile(
    r"[*`]{1,3}|^#+\s+|</?(?:command|local-command|bash|user|system|task|agent)"
    r"-[a-z-]{1,30}>",
    re.MULTILINE,
)
_SPACE = re.compile(r"\s+")


def count(value: float | None) -> str:
    """Return 1234 as 1,234, 12345 as 12.3k and 4200000 as 4.2M."""
    if value is None:
        return "–"
    number = float(value)
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            scaled = number / (1e3 if unit == "k" else size)
            return f"{scaled:.1f}".removesuffix(".0") + unit
    return f"{number:,.0f}"


def money(value: float | None) -> str:
    """Return dollars with cents; small sums as <$0.01, unknown ones as a dash."""
    if value is None:
        return "–"
    if 0 < value < 0.005:
        return "<$0.01"
    return f"${value:,.2f}" if value < 1000 else f"${value:,.0f}"


def no_cost(unpriced: int) -> str:
    """Return why the cost is unknown: no price, or no token counts."""
    return "no price" if unpriced else "no usage"


def missing(unpriced: int, uncounted: int) -> str:
    """Return what a sum of costs leaves out, as `report` words it."""
    said = ((unpriced, "without a price"), (uncounted, "logged without token counts"))
    return ", ".join(f"{plural(n, 'response')} {why}" for n, why in said if n)


def duration(seconds: float | None) -> str:
    """Return seconds as 8s, 2m 10s, 3h 5m or 2d 4h."""
    if seconds is None:
        return "–"
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    whole = round(seconds)
    parts = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))
    for size, unit, small, small_unit in parts:
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size}{unit}" + (f" {rest}{small_unit}" if rest else "")
    return f"{whole}s"


def plural(number: float | None, word: str) -> str:
    """Return a number with its noun: 1 call, 12 calls, 12 entries, 12 days."""
    if number != 1:
        soft = word.endswith("y") and word[-2:-1] not in "aeiou"  # entry, not day
        word = word[:-1] + "ies" if soft else word + "s"
    return f"{count(number)} {word}"


def change(now: float, before: float) -> str:
    """Return a change as +12% or ×3.4; "" where there was nothing before."""
    if not before:
        return ""
    ratio = now / before
    if ratio >= 2:
        return f"×{ratio:.1f}" if ratio < 100 else f"×{ratio:,.0f}"
    percent = round((ratio - 1) * 100)
    return f"{percent:+d}%".replace("-", "−") if percent else "±0%"


def points(now: float, before: float) -> str:
    """Return the change of a share as +3 points."""
    moved = round((now - before) * 100)
    said = f"{moved:+d}".replace("-", "−") if moved else "±0"
    return f"{said} {'point' if abs(moved) == 1 else 'points'}"


def in_zone(text: str | None, zone: tzinfo) -> datetime | None:
    """Return a time in a zone, or None if it is out of the range of years."""
    found = moment(text)
    try:
        return found.astimezone(zone) if found else None
    except (OverflowError, ValueError):
        return None


def clock(text: str | None, zone: tzinfo) -> str:
    """Return the time of day in the viewer's zone: 14:05."""
    found = in_zone(text, zone)
    return found.strftime("%H:%M") if found else ""


def full(text: str | None, zone: tzinfo) -> str:
    """Return date and time in the viewer's zone, for tooltips."""
    found = in_zone(text, zone)
    return found.strftime("%a %-d %B %Y, %H:%M:%S") if found else ""


def day(text: str | None, zone: tzinfo, today: date) -> str:
    """Return Today, Yesterday or Monday, 2 November; with the year of other years."""
    found = in_zone(text, zone)
    if not found:
        return "No date"
    that = found.date()
    ago = (today - that).days
    if ago in (0, 1):
        return ("Today", "Yesterday")[ago]
    return that.strftime("%A, %-d %B" if that.year == today.year else "%-d %B %Y")


def one_line(text: str | None, limit: int = 160) -> str:
    """Return a text as one line, without Markdown marks and wrapper tags."""
    return squeeze(_MARKS.sub("", (text or "")[: limit * 8]), limit)


def squeeze(text: str | None, limit: int = 160) -> str:
    """Return a text as one line, otherwise unchanged."""
    plain = _SPACE.sub(" ", visible((text or "")[: limit * 8])).strip()
    return plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "…"


def title(session: Mapping[str, Any]) -> str:
    """Return the name of a session: its title, its first prompt, or its short id."""
    given = session["title"] or session["first_prompt"] or ""
    named = str(given) != session["session_id"]
    if given and named:
        return str(given)
    first, _, part = session["session_id"].partition("#")
    return f"Session {first[:8]} {part}".strip()


def model_name(model: str | None) -> str:
    """Return `sonnet 4.5` for `claude-sonnet-4-5`."""
    return short_name(model or "")


def model_names(models: str | None) -> str:
    """Return the short names of the models of a session."""
    return ", ".join(short_name(one.strip()) for one in (models or "").split(","))
