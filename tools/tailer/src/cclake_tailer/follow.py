"""Follow the roots: wait for changes, read them, and scan for anything missed."""

import select
import sys
import time
from dataclasses import dataclass

from cclake_common.failure import READER_GONE
from cclake_common.memory import BACKLOG, trim
from cclake_common.stop import Stop
from cclake_common.visible import visible

from cclake_tailer.counters import Counters
from cclake_tailer.discovery import Found, Place, Walker, is_chunk, is_folder, is_source
from cclake_tailer.event_buffer import EventBuffer
from cclake_tailer.file_server import FileServer
from cclake_tailer.once import scan
from cclake_tailer.output import Output
from cclake_tailer.stats import StatsReporter
from cclake_tailer.watch import Changes, Watch, network_type

RETRY = 2.0
SETTLE = 1.0


@dataclass(frozen=True)
class Pace:
    """The intervals of the follower, in seconds.

    Attributes:
        rest: Idle time after which a last line without a newline counts as complete.
        rescan: Pause between safety scans, which take at most a thousandth of the time.
        poll: Pause between scans where the kernel does not report changes.
    """

    rest: float = 30.0
    rescan: float = 60.0
    poll: float = 2.0


class Follower:
    """Follow the roots until stopped, or until nobody reads the records."""

    def __init__(
        self,
        server: FileServer,
        out: Output,
        counters: Counters,
        pace: Pace,
        side_files: bool,
        stop: Stop,
    ) -> None:
        self._server = server
        self._out = out
        self._counters = counters
        self._pace = pace
        self._stop = stop
        self._walker = Walker(
            side_files, server.note_error, self._on_directory, self._on_link
        )
        self._stats = StatsReporter(server, counters, out, self._walker)
        self._watch: Watch | None = None
        self._events: EventBuffer | None = None
        self._settling: dict[Place, float] = {}
        self._unread: set[Place] = set()  # written to, and not read since
        self._caught_up = False
        self._trimmed = 0  # bytes read when memory was last trimmed
        self._next_scan = self._next_rest = self._next_retry = 0.0

    def run(self, polling: bool = False) -> None:
        """Follow until stopped; every line that was read gets its checkpoint.

        Args:
            polling: Never use inotify.
        """
        if sys.platform == "linux" and not polling:
            self._use_inotify()
        for root in self._server.registry.roots:
            if (kind := network_type(root)) is not None:
                self._degrade(f"{root} is on a network file system ({kind})")
            if not is_folder(root):
                say(f"waiting for the folder {root}")
        self._scan()
        self._counters.rescan_found_total = self._counters.rescans_total = 0
        self._stats.write(always=True)
        while not self._stop and not self._out.reader_gone():
            self._turn()
        self._stats.write(always=True)

    def _turn(self) -> None:
        server = self._server
        if server.pending:
            read = server.step()
            if read is not None:
                self._unread.discard(read)
        elif server.comparer.is_due():
            server.compare()
        else:
            self._out.flush()
            if not self._caught_up:
                self._caught_up = True
                self._stats.write(always=True)
            if self._counters.bytes_pread_total - self._trimmed > BACKLOG:
                self._trimmed = self._counters.bytes_pread_total
                trim()
            self._wait()
        self._stats.write()
        self._read_events()
        now = time.monotonic()
        if now >= self._next_scan:
            self._scan()
        if now >= self._next_rest:
            self._next_rest = now + max(0.05, min(1.0, self._pace.rest / 4))
            server.watcher.finish_idle(self._pace.rest)
        if server.refused and now >= self._next_retry:
            self._next_retry = now + RETRY
            self._retry()

    def _read_events(self) -> set[Place]:
        """Look at the places that inotify reports, and return them."""
        changes, found = Changes(), list[Found]()
        if self._events is not None:
            changes, found, deleted = self._events.take()
            for place, fd in deleted:
                self._server.read_deleted(place, fd)
            self._count_missed(changes, {place for place, _fd in deleted})
        self._counters.inotify_events_total += changes.events
        self._counters.inotify_overflows_total += changes.overflows
        places = self._places_due(changes) | self._server.recheck
        self._server.recheck = set()
        for left in changes.left:
            registry = self._server.registry
            places.update(filter(left.holds, map(registry.place_of, registry)))
        if places or found:
            self._server.look(places, found, first=True)
        self._unread = {
            place
            for place in (self._unread | changes.open) - changes.deleted
            if place in self._settling or self._server.awaits(place)
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

    def _places_due(self, changes: Changes) -> set[Place]:
        """Return the places to look at now; side files get time to be written fully."""
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
        """Scan all roots; where inotify works there should be nothing to find."""
        began = time.process_time()
        reported = set(self._settling)
        orphans = [r for r in self._server.registry.roots if not self._watch_parent(r)]
        changed = scan(self._server, self._walker)
        self._counters.rescans_total += 1
        took = time.process_time() - began
        if self._stats.degraded or self._watch is None or orphans:
            self._next_scan = time.monotonic() + max(self._pace.poll, 20 * took)
        else:
            self._next_scan = time.monotonic() + max(self._pace.rescan, 1000 * took)
            # Changes that inotify has reported by now were not found by the scan alone.
            reported |= self._read_events()
            self._counters.rescan_found_total += len(changed - reported)

    def _retry(self) -> None:
        """Look again at what could not be read."""
        places, self._server.refused = set(self._server.refused), {}
        directories = {place for place in places if is_folder(place.full)}
        found = [item for place in directories for item in self._walker.walk(place)]
        self._server.look(places - directories, found)

    def _wait(self) -> None:
        """Sleep until there is something to do."""
        due = [self._next_scan, self._stats.due, *self._settling.values()]
        if self._server.watcher.waiting:
            due.append(self._next_rest)
        if self._server.refused:
            due.append(self._next_retry)
        if self._server.recheck:
            due.append(0.0)
        if (compare := self._server.comparer.due) is not None:
            due.append(compare)
        poll = select.poll()
        poll.register(self._stop.fd, select.POLLIN)
        poll.register(self._out.fd, READER_GONE)
        if self._watch is not None:
            poll.register(self._watch.fd, select.POLLIN)
        poll.poll(max(0.0, min(due) - time.monotonic()) * 1000)

    def _use_inotify(self) -> None:
        try:
            self._watch = self._stats.watch = Watch()
        except OSError as error:
            self._degrade(f"inotify does not work ({error.strerror})")
            return
        self._events = EventBuffer(self._watch, self._walker)
        self._out.while_blocked(self._watch.fd, self._events.drain)

    def _degrade(self, reason: str) -> None:
        if reason not in self._stats.degraded:
            self._stats.degraded.append(reason)
            say(f"{reason}: scanning every {self._pace.poll:g} s")

    def _on_directory(self, place: Place) -> None:
        if self._watch is not None:
            self._watch.add(place)
            if self._watch.full:
                self._degrade("out of inotify watches (fs.inotify.max_user_watches)")

    def _on_link(self, place: Place) -> None:
        if self._watch is not None:
            self._watch.add_linked(place)

    def _watch_parent(self, root: str) -> bool:
        """Watch the parent folder of a root; return whether it exists."""
        try:
            if self._watch is not None:
                self._watch.add_parent(root)
        except OSError:
            return False
        return True


def say(message: str) -> None:
    """Print one line on standard error."""
    print(f"tailer: {visible(message)}", file=sys.stderr, flush=True)
