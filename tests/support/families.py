"""Log files of sessions that were made from one another, and of records without one.

In each family the name of the newest session sorts first, so that names decide nothing.
"""

import json
from pathlib import Path
from typing import Any

from logfile import Json, Log, stamp

FOLDER = "-home-me-family"


def sid(letters: str) -> str:
    """Return the id of a session, by its four letters."""
    return f"{letters}{letters}-0000-4000-8000-000000000000"


def write(root: Path) -> Path:
    """Write all families; returns the folder of the projects."""
    projects = root / "projects"
    for log in [
        *_forks_of_forks(),
        *_plain(),
        *_parts(),
        *_background(),
        *_circle(),
        *_lost(),
        *_gateway(),
    ]:
        log.save(projects / FOLDER / f"{log.session}.jsonl")
    _nameless(projects)
    return projects


def _begin(letters: str, day: int, turns: int = 3, **always: Any) -> Log:
    log = Log(sid(letters), day=day, **always)
    for number in range(turns):
        log.user(f"{letters} question {number}")
        log.answer(f"msg_01{letters}{number}", _text(f"{letters} answer {number}"))
    return log


def _copy(source: Log, letters: str, day: int, mark: str = "", count: int = 99) -> Log:
    """Return a session that begins with the records of another.

    Args:
        mark: "same" keeps the uuids and names the source, "new" changes them as well,
            "" has no mark.
    """
    log = Log(sid(letters), day=day)
    for entry in source.entries[:count]:
        copied = {key: each for key, each in entry.items() if key != "forkedFrom"}
        copied["sessionId"] = log.session
        if mark:
            copied["forkedFrom"] = {
                "sessionId": source.session,
                "messageUuid": entry["uuid"],
            }
        if mark == "new":
            copied["uuid"] = f"{letters}-{len(log.lines)}"
        log.put(copied)
    log.last = log.entries[-1]["uuid"]
    return log


def _go_on(log: Log, letters: str) -> Log:
    log.user(f"{letters} goes on")
    log.answer(f"msg_01{letters}9", _text(f"{letters} went on"))
    return log


def _forks_of_forks() -> list[Log]:
    first = _begin("c0c0", 1)
    second = _go_on(_copy(first, "b0b0", 2, "new"), "b0b0")
    third = _go_on(_copy(second, "a0a0", 3, "new"), "a0a0")
    return [first, second, third]


def _plain() -> list[Log]:
    """Without marks: the first to go on is the original."""
    first = _begin("c1c1", 1)
    fork = _go_on(_copy(first, "a1a1", 2), "a1a1")
    again = _go_on(_copy(fork, "b1b1", 3), "b1b1")
    first.second += 60
    _go_on(first, "c1c1")
    return [first, fork, again]


def _parts() -> list[Log]:
    """Without marks: the original has nothing of its own."""
    first = _begin("c2c2", 1)
    return [first, _go_on(_copy(first, "a2a2", 2), "a2a2")]


def _background() -> list[Log]:
    first = _begin("c3c3", 1)
    moved = _copy(first, "a3a3", 1)
    moved.second = first.second + 60
    moved.always = {"sessionKind": "bg"}
    _go_on(moved, "a3a3")
    first.put({"type": "continued-in", "continuedInSessionId": moved.session})
    other = _begin("c4c4", 1)
    unnamed = _copy(other, "a4a4", 1)
    unnamed.always = {"sessionKind": "bg"}
    unnamed.second = other.second + 5
    _go_on(unnamed, "a4a4")
    other.second += 600
    return [first, moved, _go_on(other, "c4c4"), unnamed]


def _circle() -> list[Log]:
    """Marks that contradict each other."""
    first = _begin("c5c5", 1)
    fork = _go_on(_copy(first, "a5a5", 2, "same"), "a5a5")
    first.user("c5c5 q", forkedFrom={"sessionId": fork.session, "messageUuid": "none"})
    for log, other in ((first, fork), (fork, first)):
        log.put({"type": "continued-in", "continuedInSessionId": other.session,
                 "sessionId": log.session})  # fmt: skip
    return [first, fork]


def _lost() -> list[Log]:
    """Marked forks of a session that is in no file, and a plain copy of a fork."""
    first = _begin("c6c6", 1)
    missing = _go_on(_copy(first, "f6f6", 2, "new"), "f6f6")
    last = _go_on(_copy(missing, "a6a6", 3, "new"), "a6a6")
    other = _begin("c7c7", 1)
    fork = _go_on(_copy(other, "b7b7", 2, "same"), "b7b7")
    return [first, last, other, fork, _go_on(_copy(fork, "a7a7", 3), "a7a7")]


def _gateway() -> list[Log]:
    """A gateway that uses its ids again: a session, its copy, and a stranger."""
    first, stranger = (_begin("c8c8", 1, 0), _begin("c9c9", 2, 0))
    for log in (first, stranger):
        log.user("a question")
        message = {"id": "chatcmpl-1", "role": "assistant", "model": "glm-4.6",
                   "content": [_text("an answer")], "usage": {"input_tokens": 7}}  # fmt: skip
        log.add("assistant", message=message)
    return [first, _go_on(_copy(first, "a8a8", 3), "a8a8"), stranger]


def _nameless(projects: Path) -> None:
    """Records that do not say which session they belong to."""
    resumed = _begin("d0d0", 1)
    snapshot: Json = {"type": "file-history-snapshot", "messageId": "x", "snapshot": {}}
    early = {"type": "summary", "summary": "A short one", "leafUuid": resumed.last}
    _lines(projects / FOLDER / f"{sid('e0e0')}.jsonl",
           [early, snapshot, *resumed.entries, snapshot])  # fmt: skip
    audit = [
        {"type": kind, "uuid": f"audit-{number}", "session_id": sid("d1d1"),
         "_audit_timestamp": stamp(86_400 + number),
         "message": {"role": kind, "content": f"audited {number}"}}
        for number, kind in enumerate(("user", "assistant"))
    ]  # fmt: skip
    _lines(projects / "folders" / f"local_{sid('e1e1')}" / "audit.jsonl", audit)
    mixed = Log(sid("d2d2"), day=2)
    mixed.user("d2d2 says who it is")
    bare = {"type": "user", "uuid": "bare", "timestamp": stamp(172_900),
            "message": {"role": "user", "content": "one of d2d2"}}  # fmt: skip
    inner = projects / f"-home-me-{sid('e2e2')}" / "main.jsonl"
    _lines(inner, [bare, *mixed.entries])


def _lines(path: Path, entries: list[Json]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in entries))


def _text(words: str) -> Json:
    return {"type": "text", "text": words}
