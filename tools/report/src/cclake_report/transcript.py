"""Read API responses from the end of a transcript that Claude Code is writing."""

import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

MAX_BYTES = 4_000_000
"""Maximum number of bytes read from all files of a session."""
_CHUNK = 64 * 1024
_SYNTHETIC = "<synthetic>"
_HUGE = 10**12
Counts = dict[str, int]


class Part(NamedTuple):
    """The part of one model in a response."""

    model: str
    is_fast: bool
    is_us_only: bool
    counts: Counts


class Response(NamedTuple):
    """An API response, merged from all of its records.

    Attributes:
        message_id: Its id.
        at: The time of its first record, in seconds since 1970.
        parts: The part of each model.
        context_tokens: The tokens that the model read.
        is_sidechain: Whether a subagent requested it.
    """

    message_id: str
    at: float
    parts: list[Part]
    context_tokens: int
    is_sidechain: bool


class Tail(NamedTuple):
    """The newest responses of a session, oldest first.

    Attributes:
        responses: The responses.
        is_whole: Whether no older ones were left out.
    """

    responses: list[Response]
    is_whole: bool


def read_tail(transcript: Path, since: float | None) -> Tail:
    """Return the responses of a session that began after a time.

    Args:
        transcript: The file of the session; its subagents are in the folder beside it.
        since: The time, in seconds since 1970; None: the session is not published.
    """
    records: list[dict[str, Any]] = []
    left, is_whole = MAX_BYTES, True
    for path in _files(transcript, since):
        read, complete = _read_back(path, since, left, records)
        left -= read
        is_whole = is_whole and complete
    found = _merged(records)
    new = [r for r in found if since is None or r.at > since]
    return Tail(sorted(new, key=lambda r: r.at), is_whole)


def _files(transcript: Path, since: float | None) -> Iterator[Path]:
    yield transcript
    for folder, _, names in os.walk(transcript.parent / transcript.stem / "subagents"):
        for name in sorted(names):
            path = Path(folder, name)
            if name.endswith(".jsonl") and _is_newer(path, since):
                yield path


def _is_newer(path: Path, since: float | None) -> bool:
    try:
        return since is None or path.stat().st_mtime >= since
    except OSError:
        return False


def _read_back(
    path: Path, since: float | None, limit: int, records: list[dict[str, Any]]
) -> tuple[int, bool]:
    """Read a file from its end until a record is not newer than `since`.

    Returns:
        The number of bytes read, and whether nothing newer was left out.
    """
    try:
        # Opening a named pipe would wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return 0, True  # a session without an answer yet
    except OSError:
        return 0, False
    try:
        size = at = os.fstat(fd).st_size
        begun: list[bytes] = []  # parts of a line whose start is not read yet
        while at > 0:
            length = min(_CHUNK, at, limit - (size - at))
            if length <= 0:
                return size - at, False
            chunk = os.pread(fd, length, at - length)
            at -= length
            head, newline, rest = chunk.partition(b"\n")
            if newline:
                lines = b"".join([rest, *reversed(begun)]).split(b"\n")
                begun = [head]
            else:
                lines, begun = [], [*begun, head]
            if at == 0:
                lines.insert(0, b"".join(reversed(begun)))
            if _collect(lines, since, records):
                break
        return size - at, True
    except OSError:
        return 0, False
    finally:
        os.close(fd)


def _collect(
    lines: Iterable[bytes], since: float | None, records: list[dict[str, Any]]
) -> bool:
    """Add the records with usage; return whether one is not newer than `since`."""
    met = False
    for line in lines:
        if b'"assistant"' in line and b'"usage"' in line:
            record = _parsed(line)
            if record:
                records.append(record)
                met = met or (since is not None and record["at"] <= since)
    return met


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the usage of a record; None if it is incomplete or not a response."""
    try:
        entry = json.loads(line)
        if entry["type"] != "assistant":
            return None
        message = entry["message"]
        usage, model, message_id = message["usage"], message["model"], message["id"]
        at = datetime.fromisoformat(entry["timestamp"]).timestamp()
        names = (message_id, model)
        if model == _SYNTHETIC or not all(isinstance(n, str) and n for n in names):
            return None
        items = usage.get("iterations")
        items = [item for item in items or () if isinstance(item, dict)]
        return {
            "id": message_id,
            "at": at,
            "model": model,
            "is_sidechain": entry.get("isSidechain") is True,
            "is_fast": usage.get("speed") == "fast",
            "is_us_only": usage.get("inference_geo") == "us",
            "counts": _counts(usage),
            "items": [(item.get("model"), _counts(item)) for item in items],
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _counts(usage: dict[str, Any]) -> Counts:
    split = _object(usage.get("cache_creation"))
    short = _count(split.get("ephemeral_5m_input_tokens"))
    long = _count(split.get("ephemeral_1h_input_tokens"))
    written = max(_count(usage.get("cache_creation_input_tokens")), short + long)
    searches = _object(usage.get("server_tool_use")).get("web_search_requests")
    return {
        "input": _count(usage.get("input_tokens")),
        "output": _count(usage.get("output_tokens")),
        "cache_write_5m": written - long,
        "cache_write_1h": long,
        "cache_read": _count(usage.get("cache_read_input_tokens")),
        "web_search": _count(searches),
    }


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value < _HUGE else 0


def _merged(records: list[dict[str, Any]]) -> list[Response]:
    """Return each message once, with the maximum of each counter."""
    merged: dict[str, dict[str, Any]] = {}
    for record in records:
        known = merged.setdefault(record["id"], record)
        known["at"] = min(known["at"], record["at"])
        known["is_fast"] = known["is_fast"] or record["is_fast"]
        known["is_us_only"] = known["is_us_only"] or record["is_us_only"]
        known["items"] = max(known["items"], record["items"], key=_weight)
        for name, count in record["counts"].items():
            known["counts"][name] = max(known["counts"][name], count)
    return [_response(record) for record in merged.values()]


def _weight(items: list[tuple[Any, Counts]]) -> int:
    return sum(sum(counts.values()) for _, counts in items)


def _response(record: dict[str, Any]) -> Response:
    modes = record["is_fast"], record["is_us_only"]
    counts = record["counts"]
    parts = [Part(record["model"], *modes, counts)]
    items = [item for item in record["items"] if any(item[1].values())]
    if len(items) > 1:  # the top level has only the last of them
        parts = [
            Part(model if isinstance(model, str) else record["model"], *modes, sums)
            for model, sums in items
        ]
    context = sum(c for name, c in counts.items() if name not in _NOT_READ)
    sidechain = record["is_sidechain"]
    return Response(record["id"], record["at"], parts, context, sidechain)


_NOT_READ = ("output", "web_search")
