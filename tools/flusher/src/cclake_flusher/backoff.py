"""How long to wait before the next try."""

import random

SHORTEST_S = 0.1
LONGEST_S = 4.0


class Backoff:
    """Full jitter: a random part of a limit that doubles, from 0.1 to 4 seconds."""

    def __init__(self) -> None:
        self._limit = SHORTEST_S

    def next(self) -> float:
        """Seconds to wait now; the limit doubles."""
        wait = random.uniform(0, self._limit)
        self._limit = min(LONGEST_S, self._limit * 2)
        return max(wait, SHORTEST_S / 2)

    def reset(self) -> None:
        """Begin anew after a success."""
        self._limit = SHORTEST_S
