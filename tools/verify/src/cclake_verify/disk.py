"""The files on this machine, opened with the care that hostile names ask for."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import orjson

from cclake_verify.documents import Piece, content_hash

HISTORY = "../history.jsonl"


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
        # Not blocking: a FIFO may have taken the place of a log.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
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
    """The look of a regular file, or None where there is none."""
    try:
        status = path.lstat()
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


def logs_below(root: Path) -> Iterator[Log]:
    """Every file below a root that belongs into the archive, and the history beside.

    Nothing is followed: a link is not a log, and a file with many names counts once.
    """
    history = root.parent / "history.jsonl"
    found = look_at(history)
    if found:
        yield Log(root, HISTORY, history, found)
    seen: set[int] = set()
    for folder, _names, files in os.walk(root):
        for name in sorted(files):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if not is_log(relative):
                continue
            found = look_at(path)
            if found and found.inode not in seen:
                seen.add(found.inode)
                yield Log(root, shown(relative), path, found)


def shown(path: str) -> str:
    """The path as it stands in records: a name that is not UTF-8 is escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_log(relative: str) -> bool:
    """Whether a path below a root is one that is archived."""
    return relative.endswith((".jsonl", ".meta.json")) or _in_results(relative)


def has_lines(relative: str) -> bool:
    """Whether an archived path is split into lines."""
    return relative.endswith(".jsonl") and not _in_results(relative)


def _in_results(relative: str) -> bool:
    return "tool-results" in relative.split("/")[:-1]
