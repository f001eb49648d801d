"""Compute axes: round ticks, and periods without gaps."""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache

DAYS = 100  # more days than these are drawn as weeks
WEEKS = 150  # more weeks than these are drawn as months


def ticks(highest: float, wanted: int = 4) -> list[float]:
    """Return round values from 0 to at least `highest`, in steps of 1, 2 or 5."""
    if highest < 1e-12 or not math.isfinite(highest):
        return [0.0, 1.0]
    rough = highest / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(size * unit for size in (1, 2, 5, 10) if size * unit >= rough * 0.999)
    count = math.ceil(highest / step - 1e-9)
    return [float(f"{step * number:.10g}") for number in range(count + 1)]


def periods(days: Sequence[date]) -> tuple[str, list[date]]:
    """Return the unit (day, week, month) and every period between two days."""
    if not days:
        return "day", []
    first, last = min(days), max(days)
    span = (last - first).days + 1
    unit = "day" if span <= DAYS else "week" if span <= 7 * WEEKS else "month"
    found = [start_of(first, unit)]
    while (following := after(found[-1], unit)) <= last:
        found.append(following)
    return unit, found


def start_of(day: date, unit: str) -> date:
    """Return the first day of the period that a day lies in."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def after(start: date, unit: str) -> date:
    """Return the first day of the next period."""
    if unit == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=7 if unit == "week" else 1)


@lru_cache(maxsize=4096)
def label(start: date, unit: str, year: bool = False) -> str:
    """Return a period as a short text, with its year if several are shown."""
    if unit == "month":
        return start.strftime("%b %Y")
    return start.strftime("%-d %b %Y" if year else "%-d %b")
