"""Following: wait for changes, read them, and keep looking after the rest."""

import select
import sys
import time
from dataclasses import dataclass

from cclake_common.stop import Stop
from cclake_common.visible import visible

from cclake_tailer.counters import Counters
from cclake_tailer.early import Early
from cclake_tailer.engine import Engine
from cclake_tailer.once import scan
from cclake_tailer.output import Output
from cclake_tailer.report import Report
from cclake_tailer.roots import network_type
from cclake_tailer.tree import Found, Place, Walker, is_chunk, is_folder, is_source
from cclake_tailer.watch import Changes, Watch

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
    ) -> None:
        self._engine = engine
        self._out = out
        self._counters = counters
        self._pace = pace
        self._stop = stop
        self._walker = Walker(side_files, engine.trouble, self._entered, self._link)
        self._report = Report(engine, counters, out, self._walker)
        self._watch: Watch | None = None
        self._early: Early | None = None
        self._settling: dict[Place, float] = {}
        self._unread: set[Place] = set()  # written to, and not read since
        self._caught_up = False
        self._next_scan = self._next_rest = self._next_retry = 0.0

    def run(self, polling: bool = False) -> None:
        """Follow until stopped; what was read is written with its checkpoint.

        Args:
            polling: Never use inotify.
        """
        if not polling:
            self._use_inotify()
        for root in self._engine.catalog.roots:
            if (kind := network_type(root)) is not None:
                self._degrade(f"{root} is on a network file system ({kind})")
            if not is_folder(root):
                say(f"no folder {root} yet: waiting for it")
        self._scan()
        self._counters.rescan_found_total = self._counters.rescans_total = 0
        self._report.tell(always=True)
        while not self._stop and not self._out.reader_gone():
            self._turn()
        self._report.tell(always=True)

    def _turn(self) -> None:
        engine = self._engine
        if engine.pending:
            read = engine.step()
            if read is not None:
                self._unread.discard(read)
        elif engine.comparer.is_due():
            engine.compare()
        else:
            self._out.flush()
            if not self._caught_up:
                self._caught_up = True
                self._report.tell(always=True)
            self._wait()
        self._report.tell()
        self._notice()
        now = time.monotonic()
        if now >= self._next_scan:
            self._scan()
        if now >= self._next_rest:
            self._next_rest = now + max(0.05, min(1.0, self._pace.rest / 4))
            engine.visitor.rest(self._pace.rest)
        if engine.refused and now >= self._next_retry:
            self._next_retry = now + RETRY
            self._retry()

    def _notice(self) -> set[Place]:
        """Look where the kernel says that something changed, and return the places."""
        changes, found = Changes(), list[Found]()
        if self._early is not None:
            changes, found, deleted = self._early.take()
            for place, fd in deleted:
                self._engine.rescue(place, fd)
            self._count_missed(changes, {place for place, _fd in deleted})
        self._counters.inotify_events_total += changes.events
        self._counters.inotify_overflows_total += changes.overflows
        places = self._due(changes) | self._engine.again
        self._engine.again = set()
        for left in changes.left:
            catalog = self._engine.catalog
            places.update(filter(left.holds, map(catalog.place_of, catalog)))
        if places or found:
            self._engine.look(places, found, first=True)
        self._unread = {
            place
            for place in (self._unread | changes.open) - changes.deleted
            if place in self._settling or self._engine.awaits(place)
        }
        if changes.rescan:
            self._next_scan = 0.0
        return places | changes.open | {item.place for item in found}

    def _count_missed(self, changes: Changes, rescued: set[Place]) -> None:
        """Count files that were written to and deleted before they could be read."""
        written = changes.open | self._unread
        self._counters.files_missed_total += sum(
            is_source(place.path, self._walker.side_files)
            for place in (changes.deleted & written) - rescued
        )
        missed = (self._walker.vanished & changes.came) - changes.left
        self._counters.folders_missed_total += len(missed)
        self._walker.vanished.clear()

    def _due(self, changes: Changes) -> set[Place]:
        """Places to look at now; files that are read whole may still be written to."""
        now = time.monotonic()
        side_files = self._walker.side_files
        due = {p for p in changes.places if is_source(p.path, side_files)}
        for place in changes.open:
            if is_source(place.path, side_files):
                if is_chunk(place.path):
                    self._settling.setdefault(place, now + SETTLE)
                else:
                    due.add(place)
        due.update(place for place, at in self._settling.items() if at <= now)
        for place in due:
            self._settling.pop(place, None)
        return due

    def _scan(self) -> None:
        """Look at everything; with working watches there should be nothing to find."""
        began = time.process_time()
        known_of = set(self._settling)
        homeless = [r for r in self._engine.catalog.roots if not self._enter_beside(r)]
        changed = scan(self._engine, self._walker)
        self._counters.rescans_total += 1
        took = time.process_time() - began
        if self._report.degraded or self._watch is None or homeless:
            self._next_scan = time.monotonic() + max(self._pace.poll, 20 * took)
        else:
            self._next_scan = time.monotonic() + max(self._pace.rescan, 1000 * took)
            # What the kernel has told by now was not found by the scan alone.
            known_of |= self._notice()
            self._counters.rescan_found_total += len(changed - known_of)

    def _retry(self) -> None:
        """Look again at what could not be read."""
        places, self._engine.refused = set(self._engine.refused), {}
        directories = {place for place in places if is_folder(place.full)}
        found = [item for place in directories for item in self._walker.walk(place)]
        self._engine.look(places - directories, found)

    def _wait(self) -> None:
        """Sleep until there is something to do."""
        due = [self._next_scan, self._report.due, *self._settling.values()]
        if self._engine.visitor.waiting:
            due.append(self._next_rest)
        if self._engine.refused:
            due.append(self._next_retry)
        if self._engine.again:
            due.append(0.0)
        if (compare := self._engine.comparer.due) is not None:
            due.append(compare)
        poll = select.poll()
        poll.register(self._stop.fd, select.POLLIN)
        poll.register(self._out.fd, 0)  # an error: the reader is gone
        if self._watch is not None:
            poll.register(self._watch.fd, select.POLLIN)
        poll.poll(max(0.0, min(due) - time.monotonic()) * 1000)

    def _use_inotify(self) -> None:
        try:
            self._watch = self._report.watch = Watch()
        except OSError as error:
            self._degrade(f"no inotify ({error.strerror})")
            return
        self._early = Early(self._watch, self._walker)
        self._out.while_blocked(self._watch.fd, self._early.notice)

    def _degrade(self, reason: str) -> None:
        if reason not in self._report.degraded:
            self._report.degraded.append(reason)
            say(f"{reason}: looking every {self._pace.poll:g} s")

    def _entered(self, place: Place) -> None:
        if self._watch is not None:
            self._watch.add(place)
            if self._watch.full:
                self._degrade("no more inotify watches (fs.inotify.max_user_watches)")

    def _link(self, place: Place) -> None:
        if self._watch is not None:
            self._watch.add_linked(place)

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
    print(f"tailer: {visible(message)}", file=sys.stderr, flush=True)
