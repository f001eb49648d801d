"""Compute the wait before the next attempt."""

import random

MIN_S = 0.1
MAX_S = 4.0


class Backoff:
    """Full jitter: a random part of a limit that doubles, from 0.1 to 4 seconds."""

    def __init__(self) -> None:
        self._limit = MIN_S

    def next(self) -> float:
        """Return the seconds to wait now, and double the limit."""
        wait = random.uniform(0, self._limit)
        self._limit = min(MAX_S, self._limit * 2)
        return max(wait, MIN_S / 2)

    def reset(self) -> None:
        """Return to the shortest limit after a success."""
        self._limit = MIN_S
