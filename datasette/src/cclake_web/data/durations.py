"""Compute medians of durations, which the export has in steps of 8 %.

A duration is two hexadecimal digits n: at least 1.08^n ms, and less than 8 % more.
"""

from collections import Counter
from itertools import accumulate

STEP = 1.08


def median(codes: str) -> float | None:
    """Return the median of durations in seconds, to two digits, or None without any."""
    counts = sorted(Counter(bytes.fromhex(codes)).items())
    below = list(accumulate(count for _, count in counts))
    if not below:
        return None
    middle = ((below[-1] - 1) // 2, below[-1] // 2)
    both = [_ms(next(counts[n][0] for n, most in enumerate(below) if most > at))
            for at in middle]  # fmt: skip
    return float(f"{sum(both) / 2:.2g}") / 1000


def _ms(code: int) -> float:
    """Return the middle of a step."""
    return float(STEP ** (code + 0.5))
