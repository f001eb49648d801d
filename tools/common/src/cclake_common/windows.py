"""Find the five-hour windows of a subscription."""

from collections.abc import Sequence
from itertools import pairwise

HOURS = 5
"""The length of a window."""


def starts(hours: Sequence[int], *, whole: bool) -> list[int]:
    """Return the hours in which windows begin.

    A window begins with the first response after the end of the previous one.

    Args:
        hours: The hours with a response since 1970, each once, in order.
        whole: Whether they begin with the history. If not, skip to the first pause as
            long as a window, since a new window begins after it in any case.
    """
    begun, found = whole, list[int]()
    for before, hour in pairwise([hours[0] if hours else 0, *hours]):
        begun = begun or hour - before >= HOURS
        if begun and (not found or hour >= found[-1] + HOURS):
            found.append(hour)
    return found
