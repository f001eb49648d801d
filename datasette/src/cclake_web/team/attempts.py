"""Limit password guessing: after several wrong ones, the next attempt must wait."""

import time
from collections.abc import Callable

FREE = 5  # wrong passwords after which there is a wait
FIRST_S, LONGEST_S = 15, 900  # each wait is twice as long as the one before
FORGOTTEN_S = 3600  # without a wrong password
MOST = 10_000  # pairs of a name and an address that are remembered
NAME = 100  # characters of a name that count

Key = tuple[str, str]


class Attempts:
    """Wrong passwords by name and address, in memory.

    The address is part of it, so that nobody can lock out a user from elsewhere.

    Args:
        clock: Returns the seconds since some moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The number of wrong passwords, and the time of the last one, the newest last.
        self._wrong: dict[Key, tuple[int, float]] = {}

    def wait(self, name: str, address: str) -> float:
        """Return the seconds until another password may be tried."""
        number, last = self._last(_key(name, address))
        if number < FREE:
            return 0.0
        pause = FIRST_S * 2.0 ** min(number - FREE, 16)
        return float(max(last + min(pause, LONGEST_S) - self._clock(), 0))

    def record(self, name: str, address: str, *, is_right: bool) -> None:
        """Record a password that was tried; a right one ends the waits."""
        key = _key(name, address)
        number, _ = self._last(key)
        self._wrong.pop(key, None)
        if is_right:
            return
        self._wrong[key] = (number + 1, self._clock())
        while len(self._wrong) > MOST:
            self._wrong.pop(next(iter(self._wrong)))

    def _last(self, key: Key) -> tuple[int, float]:
        number, last = self._wrong.get(key, (0, 0.0))
        return (0, 0.0) if self._clock() - last > FORGOTTEN_S else (number, last)


def _key(name: str, address: str) -> Key:
    return name[:NAME], address
