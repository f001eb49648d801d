"""Following: wait for changes, read them, and keep looking after the rest."""

import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cclake_common.stop import Stop

from cclake_tailer.counters import Counters, stats_record
from cclake_tailer.engine import Engine
from cclake_tailer.once import scan
from cclake_tailer.output import Output
from cclake_tailer.roots import network_type
from cclake_tailer.tree import Place, Walker, is_chunk, is_source
from cclake_tailer.watch import Changes, Watch

STATS_CHANGED = 5.0
STATS_ALWAYS = 30.0
RETRY = 2.0
SETTLE = 1.0


@dataclass(frozen=True)
class Pace:
    """Seconds between things.

    Attributes:
        rest: After which a last line without newline counts as finished.
        rescan: Between safety scans; they are never more than a thousandth of the time.
        poll: Between scans where the kernel does not tell of changes.
    """

    rest: float = 30.0
    rescan: float = 60.0
    poll: float = 2.0


class Follower:
    """Follows the roots until it is stopped or nobody reads its records."""

    def __init__(
        self,
        engine: Engine,
        out: Output,
        counters: Counters,
        pace: Pace,
        side_files: bool,
        stop: Stop,
        polling: bool = False,
    ) -> None:
        self._engine = engine
        self._out = out
        self._counters = counters
        self._pace = pace
        self._stop = stop
        self._degraded = False
        self._watch = None if polling else self._make_watch()
        self._walker = Walker(side_files, engine.trouble, self._entered)
        self._settling: dict[Place, float] = {}
        self._next_scan = self._next_rest = self._next_retry = 0.0
        self._told_at = float("-inf")
        self._told: object = None

    def run(self) -> None:
        """Follow until stopped; what was read is written with its checkpoint."""
        for root in self._engine.catalog.roots:
            if (kind := network_type(root)) is not None:
                self._degrade(f"{root} is on a network file system ({kind})")
            if not Path(root).is_dir():
                say(f"no folder {root} yet: waiting for it")
        self._scan()
        self._counters.rescan_found_total = self._counters.rescans_total = 0
        self._tell(always=True)
        while not self._stop and not self._out.reader_gone():
            self._turn()
        self._out.flush()

    def _turn(self) -> None:
        engine = self._engine
        if engine.pending:
            engine.step()
        else:
            self._out.flush()
            self._tell()
            self._wait()
        self._notice()
        now = time.monotonic()
        if now >= self._next_scan:
            self._scan()
        if now >= self._next_rest:
            self._next_rest = now + max(0.05, min(1.0, self._pace.rest / 4))
            engine.rest(self._pace.rest)
        if engine.later and now >= self._next_retry:
            self._next_retry = now + RETRY
            places, engine.later = engine.later, set()
            engine.look(places)

    def _notice(self) -> set[Place]:
        """Look where the kernel says that something changed, and return the places."""
        changes = self._watch.read() if self._watch is not None else Changes()
        self._counters.inotify_events_total += changes.events
        self._counters.inotify_overflows_total += changes.overflows
        found = [
            item for place in changes.directories for item in self._walker.walk(place)
        ]
        now = time.monotonic()
        places = self._due(changes, now) | self._engine.again
        self._engine.again = set()
        if changes.left:
            places.update(
                place
                for known in self._engine.catalog
                if any(
                    (place := self._engine.catalog.place_of(known)).is_in(left)
                    for left in changes.left
                )
            )
        if places or found:
            self._engine.look(places, found, first=True)
        if changes.rescan:
            self._next_scan = 0.0
        return places | changes.open | {item.place for item in found}

    def _due(self, changes: Changes, now: float) -> set[Place]:
        """Places to look at now; files that are read whole may still be written to."""
        side_files = self._walker.side_files
        for place in changes.open:
            if is_chunk(place.path) and is_source(place.path, side_files):
                self._settling.setdefault(place, now + SETTLE)
            else:
                changes.places.add(place)
        due = {place for place, at in self._settling.items() if at <= now}
        due.update(p for p in changes.places if is_source(p.path, side_files))
        for place in due:
            self._settling.pop(place, None)
        return due

    def _scan(self) -> None:
        """Look at everything; with working watches there should be nothing to find."""
        began = time.monotonic()
        roots = self._engine.catalog.roots
        homeless = [root for root in roots if not self._enter_beside(root)]
        changed = scan(self._engine, self._walker)
        self._counters.rescans_total += 1
        took = time.monotonic() - began
        if self._polls or homeless:
            self._next_scan = time.monotonic() + max(self._pace.poll, 20 * took)
        else:
            self._next_scan = time.monotonic() + max(self._pace.rescan, 1000 * took)
            # What the kernel has told by now was not found by the scan alone.
            self._counters.rescan_found_total += len(changed - self._notice())

    def _wait(self) -> None:
        """Sleep until there is something to do."""
        due = [self._next_scan, self._told_at + STATS_ALWAYS]
        if any(True for _key in self._engine.held):
            due.append(self._next_rest)
        if self._engine.later:
            due.append(self._next_retry)
        due.extend(self._settling.values())
        if self._told != self._now():
            due.append(self._told_at + STATS_CHANGED)
        poll = select.poll()
        poll.register(self._stop.fd, select.POLLIN)
        poll.register(self._out.fd, 0)  # an error: the reader is gone
        if self._watch is not None:
            poll.register(self._watch.fd, select.POLLIN)
        if not self._engine.again:
            poll.poll(max(0.0, min(due) - time.monotonic()) * 1000)

    def _tell(self, always: bool = False) -> None:
        """Write a stats record when it is time to."""
        age = time.monotonic() - self._told_at
        now = self._now()
        changed = now != self._told and age >= STATS_CHANGED
        if always or changed or age >= STATS_ALWAYS:
            self._told_at, self._told = time.monotonic(), now
            catalog = self._engine.catalog
            record = stats_record(catalog.host, self._counters, **self._gauges())
            self._out.add((record,))
            self._out.flush()

    def _now(self) -> object:
        return self._counters.totals() | {"reasons": sorted(self._counters.reasons)}

    def _gauges(self) -> dict[str, object]:
        engine = self._engine
        live = gone = 0
        for known in engine.catalog:
            live += known.state == "live"
            gone += known.state == "gone"
        held = [engine.catalog.with_key(key) for key in engine.held]
        return {
            "mode": "polling" if self._polls else "inotify",
            "files_live": live,
            "files_gone": gone,
            "files_refused": len(engine.later),
            "dirs_watched": 0 if self._watch is None else len(self._watch),
            "partial_bytes": sum(known.size - known.off for known in held),
            "behind_bytes": engine.behind(),
        }

    @property
    def _polls(self) -> bool:
        return self._watch is None or self._degraded

    def _degrade(self, reason: str) -> None:
        if reason not in self._counters.reasons:
            self._counters.reasons.add(reason)
            say(f"{reason}: looking every {self._pace.poll:g} s")
        self._degraded = True

    def _make_watch(self) -> Watch | None:
        try:
            return Watch()
        except OSError as error:
            self._degrade(f"no inotify ({error.strerror})")
            return None

    def _entered(self, place: Place) -> None:
        if self._watch is not None:
            self._watch.add(place)
            if self._watch.full:
                self._degrade("no more inotify watches (fs.inotify.max_user_watches)")

    def _enter_beside(self, root: str) -> bool:
        """Watch the folder that a root is in; false when that is not there."""
        try:
            if self._watch is not None:
                self._watch.add_beside(root)
        except OSError:
            return False
        return True


def say(message: str) -> None:
    """One line on standard error."""
    print(f"tailer: {message}", file=sys.stderr, flush=True)
