"""The files on this machine, opened with the care that hostile names ask for."""

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import orjson
from cclake_archive.checkpoints import HISTORY
from cclake_archive.ids import content_hash

from cclake_verify.documents import Piece

SESSION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
SIDE_FOLDERS = {"subagents", "tool-results", "workflows"}


@dataclass(frozen=True, slots=True)
class Look:
    """What the file system says of a file; equal looks mean an untouched file."""

    size: int
    inode: int
    mtime_ns: int
    ctime_ns: int

    @property
    def touched_at(self) -> float:
        """Epoch seconds of the last change, also where the old mtime was kept."""
        return max(self.mtime_ns, self.ctime_ns) / 1e9


class DiskFile:
    """A regular file that is open for reading."""

    def __init__(self, path: Path) -> None:
        # Opening a FIFO or a device is not without effect: look first.
        if not stat.S_ISREG(path.stat().st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
        # Not blocking: a FIFO may have taken the place of a log since.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._file = os.fdopen(handle, "rb", buffering=1 << 20)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
        self.look = look(status)

    def holds(self, piece: Piece) -> bool:
        """Whether the bytes at a piece's place are those that the archive has."""
        self._file.seek(piece.off)
        data = self._file.read(piece.len)
        if len(data) != piece.len:
            return False
        if piece.is_line and data.endswith(b"\n"):
            data = data[:-1]
        return content_hash(data) == piece.hash

    def ends_torn(self, off: int) -> bool:
        """Whether all that follows is one line that was never finished.

        Such a line is not archived: it has no newline and is no JSON object.
        """
        self._file.seek(off)
        while block := self._file.read(1 << 20):
            if b"\n" in block:
                return False
        self._file.seek(off)
        try:
            return not isinstance(orjson.loads(self._file.read()), dict)
        except orjson.JSONDecodeError:
            return True

    def __enter__(self) -> "DiskFile":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._file.close()


def look(status: os.stat_result) -> Look:
    """The part of a stat result that tells whether a file was touched."""
    return Look(status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def look_at(path: Path) -> Look | None:
    """Return the look of a regular file (a link is followed), or None without one."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return look(status) if stat.S_ISREG(status.st_mode) else None


@dataclass(frozen=True, slots=True)
class Log:
    """A file below a root that belongs into the archive.

    Attributes:
        path: Its path below the root, as records show it.
        place: Where it really is.
    """

    root: Path
    path: str
    place: Path
    look: Look


@dataclass(slots=True)
class Tree:
    """The files below the roots: those that belong into the archive, and the others.

    Attributes:
        logs: Files that belong into the archive.
        left_out: Number of files that do not, by reason.
    """

    logs: list[Log] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def look_around(roots: Iterable[Path]) -> Tree:
    """Return what is below the roots, with the history beside each.

    Links are followed, each folder is listed once, and a file with many names counts
    once. A link to something below a root is not another file.
    """
    tree = Tree()
    seen: set[tuple[int, int]] = set()
    folders: set[tuple[int, int]] = set()
    places = [Path(root) for root in roots]
    linked = []
    for root in places:
        for path, relative in _files(root, folders):
            if path.is_symlink():
                linked.append((root, path, relative))
            else:
                _take(tree, root, path, relative, seen)
    for root, path, relative in linked:
        _take(tree, root, path, relative, seen)
    return tree


def _files(root: Path, folders: set[tuple[int, int]]) -> Iterator[tuple[Path, str]]:
    """Yield every name below a root that is not a folder, in order."""
    history = root.parent / "history.jsonl"
    if os.path.lexists(history):
        yield history, HISTORY
    for folder, names, files in os.walk(root, followlinks=True):
        names.sort()
        try:
            status = Path(folder).stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in folders:
            names.clear()
            continue
        folders.add((status.st_dev, status.st_ino))
        for name in sorted(files):
            path = Path(folder, name)
            yield path, path.relative_to(root).as_posix()


def _take(
    tree: Tree, root: Path, path: Path, relative: str, seen: set[tuple[int, int]]
) -> None:
    try:
        status = path.stat()
    except OSError:
        if path.is_symlink():
            tree.left_out["links that lead nowhere"] += 1
        return
    if not stat.S_ISREG(status.st_mode):
        tree.left_out["not regular files"] += 1
    elif (status.st_dev, status.st_ino) in seen:
        tree.left_out["other names of a file"] += 1
    elif relative != HISTORY and not is_log(relative):
        kind = "packed or renamed logs" if ".jsonl." in path.name else "not logs"
        tree.left_out[kind] += 1
    else:
        seen.add((status.st_dev, status.st_ino))
        tree.logs.append(Log(root, shown(relative), path, look(status)))


def shown(path: str) -> str:
    """The path as it stands in records: a name that is not UTF-8 is escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_log(relative: str) -> bool:
    """Return whether a path below a root is one that is archived."""
    return relative.endswith((".jsonl", ".meta.json")) or _is_of_session(relative)


def has_lines(relative: str) -> bool:
    """Return whether an archived path is split into lines."""
    return relative.endswith(".jsonl") and "tool-results" not in _folders(relative)


def _folders(relative: str) -> list[str]:
    return relative.split("/")[:-1]


def _is_of_session(relative: str) -> bool:
    """Return whether a path lies in the folder of a session, named by its id."""
    folders = _folders(relative)
    if not SIDE_FOLDERS.isdisjoint(folders):
        return True
    return any(
        SESSION.fullmatch(name)
        and not SESSION.fullmatch(folders[number - 1])
        and (number == 1 or folders[number - 2] == "projects")
        for number, name in enumerate(folders[1:], 1)
    )
