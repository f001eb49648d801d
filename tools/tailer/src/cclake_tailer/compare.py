"""Compare files that may have been edited with the bytes that were read of them."""

import heapq
import os
import time
import zlib
from dataclasses import dataclass

import msgspec

from cclake_tailer.counters import Counters
from cclake_tailer.discovery import Found, Place
from cclake_tailer.fingerprint import open_regular
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.registry import Registry, inode_of

REST = 120.0
SETTLE = 1.0
RETRY = 60.0
# Changes within one tick of a file system's clock leave equal times (FAT: 2 s).
TICK = 2.0
SLICE = 1 << 20
# The next comparison of a file waits for this many times as long as the last one took.
EDITED_PAUSE, GROWN_PAUSE = 20.0, 1000.0


@dataclass
class _Comparison:
    """A comparison in progress."""

    known: Checkpoint
    gen: int
    place: Place
    fd: int
    state: tuple[int, int, int]
    edited: bool
    at: int = 0
    crc: int = 0
    adler: int = 1
    took: float = 0.0


class Comparer:
    """Compare files that may have been edited with the bytes that were read of them.

    A file that changed without growing is compared soon. One that grew was probably
    appended to. Comparing it each time would take quadratic time, so it is compared
    once it has rested.

    Args:
        registry: All known files.
        reader: Writes the checkpoints of files that are found unchanged.
        counters: The totals to update.
        rest: Seconds without a change after which a file that grew is compared.
    """

    def __init__(
        self, registry: Registry, reader: Reader, counters: Counters, rest: float = REST
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._counters = counters
        self.rest = rest
        self.settle = SETTLE
        self.tick = TICK
        self.pauses = EDITED_PAUSE, GROWN_PAUSE
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._sizes: dict[str, int] = {}  # of edited files, when that was noticed
        self._not_before: dict[str, float] = {}
        self._pass: _Comparison | None = None
        for known in registry:
            if known.unchecked is True and known.state == "live":
                self._schedule(known, self._rest_left(known))

    def __len__(self) -> int:
        return len(self._due)

    @property
    def due(self) -> float | None:
        """Return the time of the next comparison (time.monotonic); None without one."""
        if self._pass is not None:
            return 0.0
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def is_due(self) -> bool:
        """Return whether a comparison is due now."""
        due = self.due
        return due is not None and due <= time.monotonic()

    def note_state(
        self,
        known: Checkpoint,
        info: os.stat_result,
        replaced: bool = False,
        grown: bool = False,
    ) -> None:
        """Record the state of a file in its checkpoint, and schedule its comparison.

        Args:
            known: The file; its head and the bytes before its offset are unchanged.
            info: Its current state.
            replaced: Another file has taken its place.
            grown: It has grown, even if its size equals the recorded one.
        """
        times = (known.mtime_ns, known.ctime_ns or info.st_ctime_ns)
        same = times == (info.st_mtime_ns, info.st_ctime_ns)
        grown = grown or info.st_size > known.size
        edited = replaced or (not grown and not same)
        known.size = info.st_size
        known.mtime_ns, known.ctime_ns = info.st_mtime_ns, info.st_ctime_ns
        if known.off and edited:
            self._mark_unchecked(known, self.settle)
            self._sizes[known.file] = known.size
        elif (known.off and grown) or 0 <= _age(known) < self.tick:
            self._mark_unchecked(known, self._rest_left(known))

    def forget(self, known: Checkpoint) -> None:
        """Cancel the comparison of a file that is read again or has been deleted."""
        self._due.pop(known.file, None)
        self._sizes.pop(known.file, None)
        known.unchecked = msgspec.UNSET

    def step(self) -> Found | None:
        """Compare a slice of the file that is due.

        Returns:
            A file that differs from what was archived; its next generation has begun.
        """
        if self._pass is None:
            due = self.due
            if due is None or due > time.monotonic():
                return None
            key = heapq.heappop(self._heap)[1]
            del self._due[key]
            known = self._registry.with_key(key)
            self._pass = self._begin(known, self._sizes.pop(key, -1) == known.size)
            return None
        began = time.process_time()
        going = self._read(self._pass)
        self._pass.took += time.process_time() - began
        if going:
            return None
        done, self._pass = self._pass, None
        try:
            return self._end(done)
        finally:
            os.close(done.fd)

    def is_unchanged(self, fd: int, known: Checkpoint) -> bool:
        """Return whether an open file still has all bytes that were read of it.

        Raises:
            OSError: It can't be read.
        """
        one = _Comparison(
            known, known.gen, self._registry.place_of(known), fd, (0, 0, 0), True
        )
        while self._read(one):
            pass
        return self._is_equal(one)

    def _mark_unchecked(self, known: Checkpoint, wait: float) -> None:
        known.unchecked = True
        self._schedule(known, wait)

    def _schedule(self, known: Checkpoint, wait: float) -> None:
        at = max(time.monotonic() + wait, self._not_before.get(known.file, 0.0))
        if at < self._due.get(known.file, float("inf")):
            self._due[known.file] = at
            heapq.heappush(self._heap, (at, known.file))

    def _rest_left(self, known: Checkpoint) -> float:
        age = _age(known)
        return max(0.0, self.rest - age) if age >= 0 else self.rest

    def _begin(self, known: Checkpoint, edited: bool) -> _Comparison | None:
        if known.state != "live" or not known.off or not self._registry.holds(known):
            return None
        if not edited and self._rest_left(known) and _age(known) >= 0:
            self._schedule(known, self._rest_left(known))
            return None
        place = self._registry.place_of(known)
        try:
            fd = open_regular(place.full)
        except OSError:
            self._schedule(known, RETRY)
            return None
        self._counters.files_opened_total += 1
        info = os.fstat(fd)
        if inode_of(info) != (known.dev, known.ino):
            os.close(fd)
            self._schedule(known, RETRY)
            return None
        self._counters.files_compared_total += 1
        return _Comparison(known, known.gen, place, fd, _state_of(info), edited)

    def _read(self, one: _Comparison) -> bool:
        """Read a slice; return False if there is nothing left that is worth reading."""
        known = one.known
        legacy = known.crc is msgspec.UNSET and one.edited
        if legacy or known.gen != one.gen or one.at >= known.off:
            return False
        try:
            data = os.pread(one.fd, min(SLICE, known.off - one.at), one.at)
        except OSError:
            return False
        one.at += len(data)
        one.crc, one.adler = zlib.crc32(data, one.crc), zlib.adler32(data, one.adler)
        self._counters.bytes_pread_total += len(data)
        self._counters.bytes_compared_total += len(data)
        return bool(data) and one.at < known.off

    def _is_equal(self, one: _Comparison) -> bool:
        """Return whether the bytes are those that were read, as far as is known."""
        known = one.known
        if one.at != known.off:
            return False
        if known.crc is msgspec.UNSET:
            # The checkpoint is older than the checksums. A file that only grew gets its
            # first one now. An edited one is read again; MongoDB refuses the repeats.
            known.crc, known.adler = one.crc, one.adler
            return not one.edited
        return (one.crc, one.adler) == (known.crc, known.adler)

    def _end(self, one: _Comparison) -> Found | None:
        known, info = one.known, os.fstat(one.fd)
        pause = one.took * self.pauses[not one.edited]
        self._not_before[known.file] = time.monotonic() + pause
        if known.gen != one.gen:
            return None
        if not self._is_equal(one):
            self._counters.truncations_total += 1
            self.forget(known)
            self._reader.restart(known)
            return Found(one.place, info)
        now = known.size, known.mtime_ns, known.ctime_ns
        if len({one.state, _state_of(info), now}) > 1 or 0 <= _age(known) < self.tick:
            self._schedule(known, self._rest_left(known))
        elif known.file not in self._due:
            known.unchecked = msgspec.UNSET
        self._reader.checkpoint(known)
        return None


def _state_of(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _age(known: Checkpoint) -> float:
    """Return seconds since a file's last change; negative if that is in the future."""
    return time.time() - max(known.mtime_ns, known.ctime_ns) / 1e9
