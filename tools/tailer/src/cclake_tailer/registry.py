"""The registry of known files, found by place, by inode and by key."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from cclake_common.failure import Failure

from cclake_tailer.discovery import Found, Place
from cclake_tailer.fingerprint import file_key
from cclake_tailer.records import Checkpoint, decode

Inode = tuple[int, int]


def inode_of(info: os.stat_result) -> Inode:
    """Return the device and inode number."""
    return info.st_dev, info.st_ino


def shown(path: str) -> str:
    """Return a path as records spell it: bytes that are not UTF-8 are escaped."""
    if path.isascii():
        return path
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _newer(known: Checkpoint, holder: Checkpoint) -> bool:
    """Return whether a checkpoint describes their common place better than another."""
    if known.file == holder.file or known.state == "live":
        return True
    return holder.state == "gone" and (known.gone_at or 0) > (holder.gone_at or 0)


class Registry:
    """Hold the checkpoint of every file that was ever read.

    Args:
        host: Name of this machine.
        roots: The roots in order; file keys below the first do not contain its name.
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
        """Add a checkpoint of an earlier run; a later one replaces an earlier one."""
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
        """Return the checkpoint of the file at a place."""
        at = place.root, shown(place.path)
        known = self._by_place.get(at)
        if known is None:
            # The folder may be mounted or configured under another name now.
            known = self._by_key.get(self._key(place))
            if known is None or known.root in self.roots:
                return None
            known.root = place.root
            self._put(known, place)
        elif known.path != place.path:  # the checkpoint holds the escaped name only
            self._odd_names[at] = place.path
        return known

    def with_key(self, key: str) -> Checkpoint:
        """Return the checkpoint of the file with a key."""
        return self._by_key[key]

    def with_inode(self, inode: Inode) -> Checkpoint | None:
        """Return the checkpoint of the file with an inode."""
        return self._by_inode.get(inode)

    def place_of(self, known: Checkpoint) -> Place:
        """Return the place where a file was last seen."""
        at = known.root, known.path
        return Place(known.root, self._odd_names.get(at, known.path))

    def create(self, found: Found) -> Checkpoint:
        """Register a new file."""
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
        """Set the new place of a file; any other file registered there is displaced."""
        at = known.root, known.path
        if self._by_place.get(at) is known:
            del self._by_place[at]
        known.root, known.path = place.root, shown(place.path)
        self._put(known, place)

    def set_inode(self, known: Checkpoint, inode: Inode) -> None:
        """Set the inode of a file."""
        if self._by_inode.get((known.dev, known.ino)) is known:
            del self._by_inode[known.dev, known.ino]
        known.dev, known.ino = inode
        self._by_inode[inode] = known

    def disown(self, known: Checkpoint) -> None:
        """Clear the inode of a file, because another file has it now."""
        if self._by_inode.get((known.dev, known.ino)) is known:
            del self._by_inode[known.dev, known.ino]
        known.dev = known.ino = 0
        known.handle = None

    def holds(self, known: Checkpoint) -> bool:
        """Return whether a file still has its place, not displaced by another."""
        return self._by_place.get((known.root, known.path)) is known

    def _forget(self, known: Checkpoint) -> None:
        """Remove the place and the inode of a checkpoint that a later one replaces."""
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


def load_checkpoints(source: str, registry: Registry) -> None:
    """Load the checkpoint records of an earlier run into a registry.

    Args:
        source: A file with records, or '-' for standard input. Records of other
            kinds and of other hosts are skipped.
        registry: The registry to fill.

    Raises:
        Failure: The file can't be read, or contains something other than records.
    """
    try:
        with sys.stdin.buffer if source == "-" else Path(source).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                _resume_from(line, f"{source}:{number}", registry)
    except OSError as error:
        raise Failure(
            f"cannot read checkpoints from {source}: {error.strerror}",
            "Leave --resume out to read everything from the start.",
        ) from error


def _resume_from(line: bytes, where: str, registry: Registry) -> None:
    if not line.strip():
        return
    try:
        known = decode(line)
    except ValueError as error:
        raise Failure(
            f"{where} is not a record: {error}",
            "Give the output of 'buffer checkpoints' or of an earlier tailer.",
        ) from error
    if known is not None and known.host == registry.host:
        registry.resume(known)
