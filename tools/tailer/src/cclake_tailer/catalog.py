"""Every file that was ever read, by place, by inode and by key."""

import os
from collections.abc import Iterator

from cclake_tailer.identity import file_key
from cclake_tailer.records import Checkpoint
from cclake_tailer.tree import Found, Place

Inode = tuple[int, int]


def inode_of(info: os.stat_result) -> Inode:
    """Device and inode number."""
    return info.st_dev, info.st_ino


def shown(path: str) -> str:
    """The path as it stands in records: a name that is not UTF-8 is escaped."""
    if path.isascii():
        return path
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _newer(known: Checkpoint, holder: Checkpoint) -> bool:
    """Whether a checkpoint, rather than another one, says what is at their place."""
    if known.file == holder.file or known.state == "live":
        return True
    return holder.state == "gone" and (known.gone_at or 0) > (holder.gone_at or 0)


class Catalog:
    """Finds what is known of a file.

    Args:
        host: Name of this machine.
        roots: The roots in order; keys below the first do not hold its name.
    """

    def __init__(self, host: str, roots: list[str]) -> None:
        self.host = host
        self.roots = roots
        self._by_place: dict[tuple[str, str], Checkpoint] = {}
        self._by_inode: dict[Inode, Checkpoint] = {}
        self._by_key: dict[str, Checkpoint] = {}
        self._odd_names: dict[tuple[str, str], str] = {}

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def resume(self, known: Checkpoint) -> None:
        """Take a checkpoint of an earlier run; a later one replaces an earlier one."""
        earlier = self._by_key.get(known.file)
        if earlier is not None:
            self._forget(earlier)
        self._by_key[known.file] = known
        holder = self._by_place.get((known.root, known.path))
        if holder is None or _newer(known, holder):
            self._by_place[known.root, known.path] = known
        if known.state == "live" or (known.dev, known.ino) not in self._by_inode:
            self._by_inode[known.dev, known.ino] = known

    def at(self, place: Place) -> Checkpoint | None:
        """What is known of the file at a place."""
        at = place.root, shown(place.path)
        known = self._by_place.get(at)
        if known is None:
            # The same folder, mounted or configured under another name.
            known = self._by_key.get(self._key(place))
            if known is None or known.root in self.roots:
                return None
            known.root = place.root
            self._put(known, place)
        elif known.path != place.path:  # a checkpoint does not have such a name
            self._odd_names[at] = place.path
        return known

    def with_key(self, key: str) -> Checkpoint:
        """What is known of the file with a key."""
        return self._by_key[key]

    def with_inode(self, inode: Inode) -> Checkpoint | None:
        """What is known of the file with an inode."""
        return self._by_inode.get(inode)

    def place_of(self, known: Checkpoint) -> Place:
        """Where a file was seen last."""
        at = known.root, known.path
        return Place(known.root, self._odd_names.get(at, known.path))

    def create(self, found: Found) -> Checkpoint:
        """Begin to know a file."""
        place = found.place
        nth = 0
        while (key := self._key(place, nth)) in self._by_key:
            nth += 1
        known = Checkpoint(self.host, place.root, shown(place.path), key)
        self._by_key[key] = known
        self._put(known, place)
        self.set_inode(known, inode_of(found.stat))
        return known

    def move(self, known: Checkpoint, place: Place) -> None:
        """A file is now at another place; what was known of that place is displaced."""
        at = known.root, known.path
        if self._by_place.get(at) is known:
            del self._by_place[at]
        known.root, known.path = place.root, shown(place.path)
        self._put(known, place)

    def set_inode(self, known: Checkpoint, inode: Inode) -> None:
        """A file has this inode now."""
        if self._by_inode.get((known.dev, known.ino)) is known:
            del self._by_inode[known.dev, known.ino]
        known.dev, known.ino = inode
        self._by_inode[inode] = known

    def disown(self, known: Checkpoint) -> None:
        """Forget the inode of a file, which belongs to another file now."""
        if self._by_inode.get((known.dev, known.ino)) is known:
            del self._by_inode[known.dev, known.ino]
        known.dev = known.ino = 0
        known.handle = None

    def holds(self, known: Checkpoint) -> bool:
        """Whether a file is the one at its place, not displaced by another."""
        return self._by_place.get((known.root, known.path)) is known

    def _forget(self, known: Checkpoint) -> None:
        """It is neither at its place nor has its inode: a later checkpoint says so."""
        if self.holds(known):
            del self._by_place[known.root, known.path]
        if self._by_inode.get((known.dev, known.ino)) is known:
            del self._by_inode[known.dev, known.ino]

    def _put(self, known: Checkpoint, place: Place) -> None:
        at = known.root, known.path
        self._by_place[at] = known
        if known.path != place.path:
            self._odd_names[at] = place.path

    def _key(self, place: Place, nth: int = 0) -> str:
        root = None if place.root == self.roots[0] else place.root
        return file_key(self.host, root, place.path, nth)
