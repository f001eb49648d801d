"""Distinguish renamed files from new ones."""

import errno
import os
import time

from cclake_tailer.counters import Counters
from cclake_tailer.discovery import Found, Place, is_chunk
from cclake_tailer.fingerprint import handle_of, open_regular
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.registry import Inode, Registry, inode_of

REVIVE_SECONDS = 7 * 86400


class Renames:
    """Find out which of the found files are known ones that were renamed.

    All are resolved before any is read. Otherwise a file that took the place of a
    renamed one would be read as the next generation of that one.
    """

    def __init__(self, registry: Registry, reader: Reader, counters: Counters) -> None:
        self._registry = registry
        self._reader = reader
        self._counters = counters
        self.moved: list[Checkpoint] = []
        self.displaced: list[Checkpoint] = []
        self.undecided: dict[Place, OSError] = {}

    def resolve(self, found: list[Found]) -> None:
        """Move known files to their new places.

        Afterwards `moved` holds the files with a new place and `displaced` those that
        lost theirs and were not found elsewhere. `undecided` holds the places whose
        file could not be identified; it must not be read now.
        """
        displaced: list[Checkpoint] = []
        for item in found:
            known = self._registry.at(item.place)
            other = self._registry.with_inode(inode_of(item.stat))
            if other is None or other is known or self.alias(item) is not None:
                continue
            if is_chunk(other.path) != is_chunk(item.place.path):
                # A file that was archived as bytes can't continue as lines. Editors
                # that save through a temporary file cause this.
                self._registry.disown(other)
                continue
            try:
                same = self._is_same(item, other)
            except OSError as error:
                self.undecided[item.place] = error
                continue
            if same:
                self._registry.move(other, item.place)
                self._counters.renames_total += 1
                self.moved.append(other)
                if known is not None:
                    displaced.append(known)
        self.displaced = [each for each in displaced if not self._registry.holds(each)]

    def alias(self, item: Found) -> Found | None:
        """Return the file at the place it is known by, if it is still there as well."""
        inode = inode_of(item.stat)
        known = self._registry.with_inode(inode)
        if known is None or known is self._registry.at(item.place):
            return None
        if not self._is_at_its_place(known, inode):
            return None
        return Found(self._registry.place_of(known), item.stat)

    def _is_at_its_place(self, known: Checkpoint, inode: Inode) -> bool:
        if not self._registry.holds(known):
            return False
        try:
            info = os.stat(self._registry.place_of(known).full)  # noqa: PTH116
        except OSError:
            return False
        return inode_of(info) == inode

    def _is_same(self, item: Found, known: Checkpoint) -> bool:
        if known.gone_at and time.time() - known.gone_at > REVIVE_SECONDS:
            return False
        fd = open_regular(item.place.full)
        try:
            if inode_of(os.fstat(fd)) != inode_of(item.stat):
                raise FileNotFoundError(errno.ENOENT, "it was replaced")
            handle = handle_of(fd)
            if known.handle and handle:
                return known.handle == handle
            return self._reader.matches(fd, known)
        finally:
            os.close(fd)
