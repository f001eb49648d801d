"""Runs whenever new data has come: soon, not too often, again after a failure."""

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
        interval: Longest wait after new data, while more and more comes.
        quiet: A run starts when nothing new has come for so long.
        poll: How often MongoDB is asked.
        keep: After so long without news, what is kept for the next run is let go.
    """

    interval: float
    quiet: float = 2.0
    poll: float = 1.0
    keep: float = 600.0


class Watch:
    """The loop of `pipeline watch`.

    Args:
        watermarks: Where the news shows.
        run: Makes one run from a watermark; tells whether it was done.
        rest: Lets go of what is kept between runs.
        pace: When a run starts.
        stop: Ends the loop.
        say: Told about waiting, for the log.
    """

    def __init__(
        self,
        watermarks: Watermarks,
        run: Callable[[int], bool],
        rest: Callable[[], None],
        pace: Pace,
        stop: Stop,
        say: Callable[[str], None],
    ) -> None:
        self._watermarks = watermarks
        self._run = run
        self._rest = rest
        self._pace = pace
        self._stop = stop
        self._say = say
        self._reachable = True

    def forever(self, done: int | None = None) -> None:
        """Run at once, then whenever the watermarks have moved, until stopped.

        Args:
            done: The watermark of a run that has just been made elsewhere: where
                nothing has come since, the first run waits for news.
        """
        failures = 0
        mark = self._wait_for_mongo()
        if mark is not None and mark == done:
            mark = self._wait_for_news(mark)
        while mark is not None:
            if self._run(mark):
                failures = 0
                mark = self._wait_for_news(mark)
                continue
            failures += 1
            wait = min(FIRST_BACKOFF_S * 2.0 ** (failures - 1), LONGEST_BACKOFF_S)
            if not self._stop:
                self._say(f"trying again in {wait:.0f} s")
            self._pause(wait)
            mark = self._wait_for_mongo()

    def _wait_for_mongo(self) -> int | None:
        """The watermark as soon as MongoDB answers; None when asked to stop."""
        while not self._stop:
            mark = self._total()
            if mark is not None:
                return mark
            self._pause(self._pace.poll)
        return None

    def _wait_for_news(self, done: int) -> int | None:
        """Wait until new data has come and then paused, or came for too long."""
        seen, first, begin = done, None, time.monotonic()
        last = begin
        while not self._stop:
            self._pause(self._pace.poll)
            mark, now = self._total(), time.monotonic()
            if mark is not None and mark != seen:
                seen, last, first = mark, now, first or now
            if first is None:
                if now - begin >= self._pace.keep:
                    self._rest()
            elif now - last >= self._pace.quiet or now - first >= self._pace.interval:
                return seen
        return None

    def _total(self) -> int | None:
        try:
            total = self._watermarks.total()
        except Unreachable as error:
            if self._reachable:
                self._say(f"MongoDB is away, waiting for it ({error})")
            self._reachable = False
            return None
        if not self._reachable:
            self._say("MongoDB is back")
        self._reachable = True
        return total

    def _pause(self, seconds: float) -> None:
        select.select([self._stop.fd], [], [], seconds)
