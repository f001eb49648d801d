"""Telling files that have a new place from new files."""

import os
import time

from cclake_tailer.catalog import Catalog, Inode, inode_of
from cclake_tailer.counters import Counters
from cclake_tailer.identity import handle_of, open_regular
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.tree import Found

REVIVE_SECONDS = 7 * 86400


class Moves:
    """Settles which of the found files are known ones that were renamed.

    All are settled before any is read: a file that took the place of another must
    not be taken for its next generation while the other only has a new name.
    """

    def __init__(self, catalog: Catalog, reader: Reader, counters: Counters) -> None:
        self._catalog = catalog
        self._reader = reader
        self._counters = counters
        self.aliases: list[Found] = []
        self.moved: list[Checkpoint] = []
        self.displaced: list[Checkpoint] = []

    def settle(self, found: list[Found]) -> None:
        """Move known files to their new places.

        Afterwards `aliases` holds the found names that are only further names of
        files still at their place, `moved` the files with a new place, `displaced`
        the files that lost theirs and were not found elsewhere.
        """
        displaced: list[Checkpoint] = []
        for item in found:
            inode = inode_of(item.stat)
            known = self._catalog.at(item.place)
            if known is not None and (known.dev, known.ino) == inode:
                continue
            other = self._catalog.with_inode(inode)
            if other is None or other is known:
                continue
            if self._is_at_its_place(other, inode):
                self.aliases.append(item)
            elif self._is_same(item, other):
                self._catalog.move(other, item.place)
                self._counters.renames_total += 1
                self.moved.append(other)
                if known is not None:
                    displaced.append(known)
        self.displaced = [each for each in displaced if not self._catalog.holds(each)]

    def is_alias(self, item: Found) -> bool:
        """Whether a found name belongs to a file that is still at another place."""
        other = self._catalog.with_inode(inode_of(item.stat))
        return other is not None and self._is_at_its_place(other, inode_of(item.stat))

    def _is_at_its_place(self, known: Checkpoint, inode: Inode) -> bool:
        if not self._catalog.holds(known):
            return False
        try:
            info = os.lstat(self._catalog.place_of(known).full)
        except OSError:
            return False
        return inode_of(info) == inode

    def _is_same(self, item: Found, known: Checkpoint) -> bool:
        if known.gone_at and time.time() - known.gone_at > REVIVE_SECONDS:
            return False
        try:
            fd = open_regular(item.place.full)
        except OSError:
            return False
        try:
            handle = handle_of(fd)
            if known.handle and handle and known.handle != handle:
                return False
            return self._reader.matches(fd, known)
        finally:
            os.close(fd)
