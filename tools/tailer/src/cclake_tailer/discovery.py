"""Find the files below a root that are archived."""

# Names may hold any byte and are many: os.path keeps them, and costs less.
# ruff: noqa: PTH114, PTH116, PTH118, PTH120

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HISTORY = "../history.jsonl"
_RESULTS = "tool-results"
_SIDE_FOLDERS = {"subagents", _RESULTS, "workflows"}
_SESSION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DANGLING = "a dangling link"
NOT_REGULAR = "not a regular file"
COMPRESSED = "a compressed or renamed log"


class Place(NamedTuple):
    """A path below a root, `/` between parts, as os.fsdecode gives it."""

    root: str
    path: str

    @property
    def full(self) -> str:
        """Return the path in the file system."""
        if self.path == HISTORY:
            return os.path.join(os.path.dirname(self.root), "history.jsonl")
        return os.path.join(self.root, self.path)

    def holds(self, place: "Place") -> bool:
        """Return whether a place is this directory or anything below it."""
        if self.root != place.root:
            return False
        path = self.path
        return not path or place.path == path or place.path.startswith(path + "/")

    def child(self, name: str) -> "Place":
        """Return the place of a name in this directory."""
        return Place(self.root, f"{self.path}/{name}" if self.path else name)


class Found(NamedTuple):
    """A regular file at a place."""

    place: Place
    stat: os.stat_result


def is_chunk(path: str) -> bool:
    """Return whether a path is archived as chunks of bytes, not as lines."""
    return not path.endswith(".jsonl") or _in_results(path)


def is_source(path: str, side_files: bool = True) -> bool:
    """Return whether a path below a root is archived at all."""
    if path.endswith(".jsonl") and not _in_results(path):
        return True
    return side_files and (path.endswith(".meta.json") or _is_of_session(path))


def _in_results(path: str) -> bool:
    return f"/{_RESULTS}/" in path or path.startswith(f"{_RESULTS}/")


def _is_of_session(path: str) -> bool:
    """Return whether a path lies in the folder of a session, named by its id.

    That folder lies in the folder of a project. Other folders with such a name do not
    count, because Claude Desktop keeps whole workspaces in some of them.
    """
    folders = path.split("/")[:-1]
    if not _SIDE_FOLDERS.isdisjoint(folders):
        return True
    return any(
        _SESSION.fullmatch(name)
        and not _SESSION.fullmatch(folders[number - 1])
        and (number == 1 or folders[number - 2] == "projects")
        for number, name in enumerate(folders[1:], 1)
    )


class Directories:
    """The directories that were entered, each by the path that came first."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, int], Place] = {}

    def enter(self, place: Place, inode: tuple[int, int]) -> bool:
        """Return whether to list a directory at this place.

        That is not so if the directory still exists at the place that came first.
        """
        first = self._places.setdefault(inode, place)
        if first != place:
            with contextlib.suppress(OSError):
                info = os.stat(first.full)
                if (info.st_dev, info.st_ino) == inode:
                    return False
            self._places[inode] = place
        return True


class Walker:
    """Walk the folders below roots.

    Args:
        side_files: Whether to find side files as well.
        on_error: Called with the place and the error of anything that can't be read.
        on_directory: Called with a directory before it is listed, so that a watch can
            be set before anything in it changes unnoticed.
        on_link: Called with the place of a link to a file outside of its root.

    Attributes:
        left_out: Names that look like logs but are not archived, with the reason.
        vanished: Directories that were deleted before they could be listed.
    """

    def __init__(
        self,
        side_files: bool,
        on_error: Callable[[Place, OSError], None],
        on_directory: Callable[[Place], None] = lambda _place: None,
        on_link: Callable[[Place], None] = lambda _place: None,
    ) -> None:
        self.side_files = side_files
        self._on_error = on_error
        self._on_directory = on_directory
        self._on_link = on_link
        self.left_out: dict[Place, str] = {}
        self.vanished: set[Place] = set()
        self._directories = Directories()

    def walk_root(self, root: str) -> Iterator[Found]:
        """Yield the sources below a root, and the history beside it."""
        history = Place(root, HISTORY)
        if os.path.lexists(history.full):
            yield from self._offer(history)
        yield from self.walk(Place(root, ""))

    def walk(self, start: Place) -> Iterator[Found]:
        """Yield the sources in and below a directory; links to files come last."""
        links: list[Place] = []
        pending = [start]
        while pending:
            place = pending.pop()
            try:
                info = os.stat(place.full)
                if not self._directories.enter(place, (info.st_dev, info.st_ino)):
                    continue
                self._on_directory(place)
                with os.scandir(place.full) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                if place.path or error.errno != errno.ENOENT:
                    self._on_error(place, error)
                if error.errno == errno.ENOENT:
                    self.vanished.add(place)
                continue
            for entry in entries:
                yield from self._look(place, entry, pending, links)
        for place in links:
            yield from self._offer(place)

    def _look(
        self,
        parent: Place,
        entry: "os.DirEntry[str]",
        pending: list[Place],
        links: list[Place],
    ) -> Iterator[Found]:
        place = parent.child(entry.name)
        try:
            if entry.is_dir():
                # Links come last, so that a directory is entered by its own name first.
                pending.insert(0 if entry.is_symlink() else len(pending), place)
            elif entry.is_symlink():
                links.append(place)
            elif is_source(place.path, self.side_files):
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(info.st_mode):
                    yield Found(place, info)
                else:
                    self.left_out[place] = NOT_REGULAR
            elif ".jsonl." in entry.name:
                self.left_out[place] = COMPRESSED
        except OSError as error:
            if entry.is_symlink():
                self.left_out[place] = DANGLING
            else:
                self._on_error(place, error)

    def _offer(self, link: Place) -> Iterator[Found]:
        """Yield the file that a link leads to, where it is a source."""
        try:
            info = os.stat(link.full)
        except OSError:
            self.left_out[link] = DANGLING
            return
        if not is_source(link.path, self.side_files):
            return
        if not stat.S_ISREG(info.st_mode):
            self.left_out[link] = NOT_REGULAR
            return
        if os.path.islink(link.full) and leads_out(link):
            self._on_link(link)
        yield Found(link, info)


def leads_out(place: Place) -> bool:
    """Return whether the link at a place points outside of its root."""
    real, root = os.path.realpath(place.full), os.path.realpath(place.root)
    return not real.startswith(root.rstrip("/") + "/")


def is_folder(path: str) -> bool:
    """Return whether a folder exists; False if that is unknown.

    `Path.is_dir` raises an error if the parent folder may not be read.
    """
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False
