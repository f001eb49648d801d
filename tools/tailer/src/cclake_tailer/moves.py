"""Telling files that have a new place from new files."""

import errno
import os
import time

from cclake_tailer.catalog import Catalog, Inode, inode_of
from cclake_tailer.counters import Counters
from cclake_tailer.identity import handle_of, open_regular
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.tree import Found, Place, is_chunk

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
        self.moved: list[Checkpoint] = []
        self.displaced: list[Checkpoint] = []
        self.unsure: dict[Place, OSError] = {}

    def settle(self, found: list[Found]) -> None:
        """Move known files to their new places.

        Afterwards `moved` holds the files with a new place, `displaced` those that
        lost theirs and were not found elsewhere, `unsure` the places where it could
        not be told: the file there is none that is read now.
        """
        displaced: list[Checkpoint] = []
        for item in found:
            known = self._catalog.at(item.place)
            other = self._catalog.with_inode(inode_of(item.stat))
            if other is None or other is known or self.alias(item) is not None:
                continue
            if is_chunk(other.path) != is_chunk(item.place.path):
                # Archived as bytes, it can't continue as lines; editors save this way.
                self._catalog.disown(other)
                continue
            try:
                same = self._is_same(item, other)
            except OSError as error:
                self.unsure[item.place] = error
                continue
            if same:
                self._catalog.move(other, item.place)
                self._counters.renames_total += 1
                self.moved.append(other)
                if known is not None:
                    displaced.append(known)
        self.displaced = [each for each in displaced if not self._catalog.holds(each)]

    def alias(self, item: Found) -> Found | None:
        """The same file at the place that it is known by, if it is still there, too."""
        inode = inode_of(item.stat)
        known = self._catalog.with_inode(inode)
        if known is None or known is self._catalog.at(item.place):
            return None
        if not self._is_at_its_place(known, inode):
            return None
        return Found(self._catalog.place_of(known), item.stat)

    def _is_at_its_place(self, known: Checkpoint, inode: Inode) -> bool:
        if not self._catalog.holds(known):
            return False
        try:
            info = os.stat(self._catalog.place_of(known).full)  # noqa: PTH116
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
