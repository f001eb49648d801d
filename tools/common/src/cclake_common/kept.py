"""Read and write stars, labels and notes: `kept.db` in the data directory.

They are the user's own, so no publication touches them. A row is never deleted: an
empty row records that its star was removed, so that no older backup restores it.
"""

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cclake_common import settings
from cclake_common.failure import Failure

VERSION = 1
MOST_LABELS, LONGEST_LABEL, LONGEST_NOTE = 20, 60, 10_000
LONGEST_KEY = 400  # characters of an id
_SCHEMA = f"""
create table if not exists kept (
    session_id text not null,
    entry_key text not null,
    starred integer not null,
    labels text not null,
    note text not null,
    changed_at text not null,
    primary key (session_id, entry_key)
) without rowid;
pragma user_version = {VERSION};
"""
_FILE = re.compile("[0-9a-f]{32}")
_COLUMNS = "session_id, entry_key, starred, labels, note, changed_at"
_READ = f"select {_COLUMNS} from kept order by session_id, entry_key"
_WRITE = f"""insert into kept ({_COLUMNS}) values (?, ?, ?, ?, ?, ?)
on conflict do update set starred = excluded.starred, labels = excluded.labels,
note = excluded.note, changed_at = excluded.changed_at
where excluded.changed_at > kept.changed_at"""


@dataclass(frozen=True)
class Kept:
    """The kept data of a session or of a message.

    Attributes:
        session_id: The session.
        entry_key: The entry of the message; "" for the session itself.
        starred: Whether it has a star.
        labels: Its labels, in the order in which they were written.
        note: Its note.
        changed_at: When this was last changed, ISO 8601 in UTC.
    """

    session_id: str
    entry_key: str = ""
    starred: bool = False
    labels: tuple[str, ...] = ()
    note: str = ""
    changed_at: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept any more."""
        return not (self.starred or self.labels or self.note)

    def record(self) -> dict[str, Any]:
        """Return it as a JSON record."""
        return asdict(self) | {"labels": list(self.labels)}


def default_path() -> Path:
    """Return the path of the file in the data directory."""
    return settings.home() / "kept.db"


def user_path(name: str, path: Path) -> Path:
    """Return the path of the file of one user of a team.

    Args:
        name: The user.
        path: The file without a team.
    """
    file = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return file_named(file, path)


def file_named(name: str, path: Path) -> Path:
    """Return the path of a file by its name, "" for the one without a team.

    Raises:
        Failure: It is not the name of such a file.
    """
    if name and not _FILE.fullmatch(name):
        raise Failure(f"{name!a} is not a file of stars, labels and notes")
    return path.with_suffix("") / f"{name}.db" if name else path


def files(path: Path) -> dict[str, Path]:
    """Return the files of all users, and the one without a team, by their names."""
    own = sorted(path.with_suffix("").glob("*.db"))
    return {"": path} | {one.stem: one for one in own if _FILE.fullmatch(one.stem)}


def labels_of(text: str) -> tuple[str, ...]:
    """Return the labels in a comma-separated text, each once."""
    found = (" ".join(part.split())[:LONGEST_LABEL] for part in text.split(","))
    return tuple(dict.fromkeys(filter(None, found)))[:MOST_LABELS]


def from_record(record: Any) -> Kept:
    """Return the kept data in a JSON record.

    Raises:
        ValueError: It is not such a record.
    """
    try:
        labels = tuple(map(str, record["labels"]))
        return Kept(
            str(record["session_id"]), str(record["entry_key"]),
            bool(record["starred"]), labels, str(record["note"]),
            str(record["changed_at"]),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise ValueError("not a record of what is kept") from error


class Store:
    """The file of stars, labels and notes; the first change creates it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._known: list[Kept] = []

    def rows(self) -> list[Kept]:
        """Return every row, including empty ones, in the order of their keys.

        Raises:
            Failure: The file is damaged, or of a newer version.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return []
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen != self._seen:
            # Not read-only, so that SQLite rolls back a change that was interrupted.
            address = f"{self.path.absolute().as_uri()}?mode=rw"
            with (
                _explained(self.path),
                closing(sqlite3.connect(address, uri=True)) as db,
            ):
                # Version 0: the first change was interrupted.
                rows = db.execute(_READ) if _check(db, self.path) else []
                self._known = list(map(_row, rows))
            self._seen = seen
        return self._known

    def all(self) -> list[Kept]:
        """Return what is kept."""
        return [one for one in self.rows() if not one.is_empty]

    def of_session(self, session_id: str) -> dict[str, Kept]:
        """Return what is kept of a session and its messages, by entry."""
        return {
            one.entry_key: one for one in self.all() if one.session_id == session_id
        }

    def change(self, session_id: str, entry_key: str = "", **values: Any) -> Kept:
        """Change star, labels or note of a session or a message; return the result.

        Raises:
            Failure: The file can't be written.
        """
        with self._writing() as db:
            sql = f"select {_COLUMNS} from kept where session_id = ? and entry_key = ?"
            row = db.execute(sql, (session_id, entry_key)).fetchone()
            before = _row(row) if row else Kept(session_id, entry_key)
            after = replace(before, **values, changed_at=_after(before.changed_at))
            db.execute(_WRITE, _values(after))
        return after

    def merge(self, rows: Iterable[Kept]) -> int:
        """Write the rows that are newer than those here; return their number.

        Raises:
            Failure: The file can't be written.
        """
        with self._writing() as db:
            before = db.total_changes
            db.executemany(_WRITE, map(_values, rows))
            return db.total_changes - before

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Only its user may read it, as everything else in the data directory.
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
                _check(db, self.path)
                db.executescript(_SCHEMA)
                db.execute("pragma synchronous = full")
                db.execute("pragma fullfsync = on")  # for macOS
                db.execute("begin immediate")
                yield db
                db.execute("commit")


def _row(row: tuple[Any, ...]) -> Kept:
    session_id, entry_key, starred, labels, note, changed_at = row
    return Kept(
        session_id,
        entry_key,
        bool(starred),
        tuple(json.loads(labels)),
        note,
        changed_at,
    )


def _values(one: Kept) -> tuple[Any, ...]:
    labels = json.dumps(one.labels, ensure_ascii=False)
    return (
        one.session_id, one.entry_key, int(one.starred), labels, one.note,
        one.changed_at,
    )  # fmt: skip


def _after(before: str) -> str:
    """Return the time now; if the clock went back, a moment after the last change."""
    now = datetime.now(UTC)
    if before:
        now = max(now, datetime.fromisoformat(before) + timedelta(microseconds=1))
    return now.isoformat(timespec="microseconds")


def _check(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of a file; 0 if it has no table yet."""
    (version,) = db.execute("pragma user_version").fetchone()
    if version > VERSION:
        raise Failure(f"{path} is of a newer version of cclake")
    return int(version)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise Failure(f"cannot use {path}: {error}") from error
