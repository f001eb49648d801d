"""Find the files of a session by the beginning of its id."""

import re
from collections.abc import Collection, Sequence

from cclake_archive.checkpoints import Checkpoint
from cclake_archive.client import Document
from cclake_archive.lines import CONVERSATIONS
from cclake_common.failure import Failure
from pymongo.database import Database

SHOWN = 5
_ENDING = re.compile(r"(\.meta)?\.jsonl?$")


def files_of(
    db: Database[Document], files: Sequence[Checkpoint], beginning: str
) -> frozenset[str]:
    """Return the keys of the files of one session.

    A session has the files that are named after it, those in its folder, and those with
    a line that names it, because a fork or a subagent may be anywhere.

    Args:
        db: The archive.
        files: The files to choose from.
        beginning: A session's id or a file's name, or an unambiguous beginning of one.

    Raises:
        Failure: Nothing, or more than one thing, begins like that.
    """
    named: dict[str, set[str]] = {}
    for file in files:
        for name in _names(file.path):
            if name.startswith(beginning):
                named.setdefault(name, set()).add(file.key)
    keys = {file.key for file in files}
    for session, key in _of_lines(db, beginning):
        if key in keys:
            named.setdefault(session, set()).add(key)
    return frozenset(named[_only(named.keys(), beginning)])


def _names(path: str) -> set[str]:
    """Return the names that select a file: its own, and the session of its folder.

    Files of tools have arbitrary names, which are not included.
    """
    parts = path.split("/")
    if len(parts) < 2:
        return set()
    ending = _ENDING.search(parts[-1])
    own = {parts[-1][: ending.start()]} if ending else set()
    return own | {_ENDING.sub("", parts[1])}


def _of_lines(db: Database[Document], beginning: str) -> list[tuple[str, str]]:
    """Return matching sessions, each with the key of a file that has its lines."""
    begins = {"$regex": f"^{re.escape(beginning)}"}
    pair = {"session": "$sessionId", "file": "$source.file"}
    found = db[CONVERSATIONS].aggregate(
        [{"$match": {"sessionId": begins}}, {"$group": {"_id": pair}}]
    )
    return [(str(one["_id"]["session"]), str(one["_id"]["file"])) for one in found]


def _only(names: Collection[str], beginning: str) -> str:
    if beginning in names:
        return beginning
    ordered = sorted(names)
    if not ordered:
        raise Failure(
            f"no session or file of the archive begins with {beginning}",
            "The pages show the id of a session; `restore --dry-run` lists all files.",
        )
    if len(ordered) > 1:
        more = ", …" if len(ordered) > SHOWN else ""
        raise Failure(
            f"{len(ordered)} sessions or files begin with {beginning}",
            f"Give more characters of one: {', '.join(ordered[:SHOWN])}{more}",
        )
    return ordered[0]
