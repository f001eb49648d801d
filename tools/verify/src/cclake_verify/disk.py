"""Find and read the files on this machine, whose names may be hostile."""

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
class FileState:
    """The state of a file in the file system; it differs after any change."""

    size: int
    inode: int
    mtime_ns: int
    ctime_ns: int

    @property
    def touched_at(self) -> float:
        """Return the epoch seconds of the last change, even if mtime was restored."""
        return max(self.mtime_ns, self.ctime_ns) / 1e9


class DiskFile:
    """A regular file that is open for reading."""

    def __init__(self, path: Path) -> None:
        # Opening a FIFO or a device has side effects: check first.
        if not stat.S_ISREG(path.stat().st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
        # Do not block if a FIFO has taken the place of a log in the meantime.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._file = os.fdopen(handle, "rb", buffering=1 << 20)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
        self.state = state_of(status)

    def has(self, piece: Piece) -> bool:
        """Return whether the bytes at a piece's place are those in the archive."""
        self._file.seek(piece.off)
        data = self._file.read(piece.len)
        if len(data) != piece.len:
            return False
        if piece.is_line and data.endswith(b"\n"):
            data = data[:-1]
        return content_hash(data) == piece.hash

    def ends_torn(self, off: int) -> bool:
        """Return whether only an incomplete line follows an offset.

        Such a line is not archived: it has no newline and is not a JSON object.
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


def state_of(status: os.stat_result) -> FileState:
    """Return the part of a stat result that reveals changes."""
    return FileState(
        status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
    )


def stat_file(path: Path) -> FileState | None:
    """Return the state of a regular file; follow a link; None without a file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return state_of(status) if stat.S_ISREG(status.st_mode) else None


@dataclass(frozen=True, slots=True)
class Log:
    """A file below a root that should be archived.

    Attributes:
        path: Its path below the root, as records spell it.
        place: Its real path.
    """

    root: Path
    path: str
    place: Path
    state: FileState


@dataclass(slots=True)
class Listing:
    """The files below the roots.

    Attributes:
        logs: Files that should be archived.
        left_out: Number of all other files, by reason.
    """

    logs: list[Log] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def find_logs(roots: Iterable[Path]) -> Listing:
    """Return the files below the roots, and the history beside each.

    Links are followed, each folder is listed once, and a file with several names counts
    once. A link to a file below a root is not another file.
    """
    listing = Listing()
    seen: set[tuple[int, int]] = set()
    folders: set[tuple[int, int]] = set()
    places = [Path(root) for root in roots]
    linked = []
    for root in places:
        for path, relative in _files(root, folders):
            if path.is_symlink():
                linked.append((root, path, relative))
            else:
                _take(listing, root, path, relative, seen)
    for root, path, relative in linked:
        _take(listing, root, path, relative, seen)
    return listing


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
    listing: Listing, root: Path, path: Path, relative: str, seen: set[tuple[int, int]]
) -> None:
    try:
        status = path.stat()
    except OSError:
        if path.is_symlink():
            listing.left_out["dangling links"] += 1
        return
    if not stat.S_ISREG(status.st_mode):
        listing.left_out["not regular files"] += 1
    elif (status.st_dev, status.st_ino) in seen:
        listing.left_out["other names of a file"] += 1
    elif relative != HISTORY and not is_log(relative):
        kind = "compressed or renamed logs" if ".jsonl." in path.name else "not logs"
        listing.left_out[kind] += 1
    else:
        seen.add((status.st_dev, status.st_ino))
        listing.logs.append(Log(root, shown(relative), path, state_of(status)))


def shown(path: str) -> str:
    """Return a path as records spell it: bytes that are not UTF-8 are escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_log(relative: str) -> bool:
    """Return whether a path below a root is archived."""
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
