"""Run whenever there is new data: soon, not too often, and again after a failure."""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass

from cclake_common.stop import Stop

from cclake_pipeline.watermarks import Unreachable, Watermarks

FIRST_BACKOFF_S = 5.0
LONGEST_BACKOFF_S = 300.0


@dataclass(frozen=True)
class Pace:
    """When a run starts, in seconds.

    Attributes:
        interval: Maximum wait after new data, while more arrives.
        quiet: Seconds without new data after which a run starts.
        poll: Seconds between two queries of MongoDB.
        idle_poll: The same after `idle_after` seconds without new data.
        idle_after: Seconds without new data after which polling slows down.
        many: Number of new lines that make a backlog, for which `calm` applies.
        calm: The same as `quiet`, for a backlog.
        rest: Seconds of pause for each second of a run, so that an endless conversation
            takes a third of the time at most.
        burst: Seconds of runs without that pause; they are regained while nothing
            runs.
    """

    interval: float
    quiet: float = 0.5
    poll: float = 0.5
    idle_poll: float = 2.0
    idle_after: float = 60.0
    many: int = 10_000
    calm: float = 2.0
    rest: float = 2.0
    burst: float = 20.0


class Watch:
    """The loop of `pipeline watch`.

    Args:
        watermarks: The watermarks of MongoDB.
        run: Makes one run from a watermark; returns the one that it has reached, or
            None if it failed.
        prepare: Starts what a run needs; called when there is new data.
        pace: When a run starts.
        stop: Ends the loop.
        say: Logs a message about waiting.
    """

    def __init__(
        self,
        watermarks: Watermarks,
        run: Callable[[int], int | None],
        prepare: Callable[[], None],
        pace: Pace,
        stop: Stop,
        say: Callable[[str], None],
    ) -> None:
        self._watermarks = watermarks
        self._run = run
        self._prepare = prepare
        self._pace = pace
        self._stop = stop
        self._say = say
        self._reachable = True
        self._credit = pace.burst
        self._counted = time.monotonic()

    def forever(self, done: int | None = None) -> None:
        """Run at once, then whenever the watermarks have moved, until stopped.

        Args:
            done: The watermark of the last run elsewhere; without newer data, the first
                run waits.
        """
        failures = 0
        mark = self._wait_for_mongo()
        if mark is not None and mark == done:
            mark = self._wait_for_news(mark)
        while mark is not None:
            begin = time.monotonic()
            reached = self._run(mark)
            self._credit -= time.monotonic() - begin
            self._counted = time.monotonic()
            if reached is not None:
                failures = 0
                mark = self._wait_for_news(reached)
                continue
            failures += 1
            wait = min(FIRST_BACKOFF_S * 2.0 ** (failures - 1), LONGEST_BACKOFF_S)
            if not self._stop:
                self._say(f"trying again in {wait:.0f} s")
            self._pause(wait)
            mark = self._wait_for_mongo()

    def _wait_for_mongo(self) -> int | None:
        """Return the watermark as soon as MongoDB answers; None when asked to stop."""
        while not self._stop:
            mark = self._total()
            if mark is not None:
                return mark
            self._pause(self._pace.poll)
        return None

    def _wait_for_news(self, done: int) -> int | None:
        """Wait until new data pauses, or has kept coming for too long."""
        pace, seen, first, last = self._pace, done, 0.0, 0.0
        idle = time.monotonic() + pace.idle_after
        while not self._stop:
            poll = pace.poll if time.monotonic() < idle else pace.idle_poll
            self._pause(min(pace.poll, pace.quiet / 4) if first else poll)
            mark, now = self._total(), time.monotonic()
            if mark is not None and mark != seen:
                if not first:
                    first = now
                    self._prepare()
                seen, last = mark, now
            quiet = pace.quiet if seen - done < pace.many else pace.calm
            is_quiet = now - last >= quiet and self._may_run(now)
            if first and (is_quiet or now - first >= pace.interval):
                return seen
        return None

    def _may_run(self, now: float) -> bool:
        """Return whether the pauses so far allow another run."""
        earned = (now - self._counted) / self._pace.rest if self._pace.rest else 0.0
        self._credit = min(self._pace.burst, self._credit + earned)
        self._counted = now
        return self._credit >= 0 or not self._pace.rest

    def _total(self) -> int | None:
        try:
            total = self._watermarks.total()
        except Unreachable as error:
            if self._reachable:
                self._say(f"MongoDB is unavailable, waiting for it ({error})")
            self._reachable = False
            return None
        if not self._reachable:
            self._say("MongoDB is available again")
        self._reachable = True
        return total

    def _pause(self, seconds: float) -> None:
        select.select([self._stop.fd], [], [], seconds)
