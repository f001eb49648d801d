"""Build the MongoDB document of a line."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import bson
import orjson
from bson.binary import Binary
from bson.errors import BSONError
from bson.int64 import Int64
from cclake_archive.ids import document_id, gridfs_id

from cclake_flusher.bson_limits import line_problem
from cclake_flusher.envelope import scan_envelope
from cclake_flusher.salvage import salvage
from cclake_flusher.schema_drift import Key, unknown_parts
from cclake_flusher.text_index import search_text

MAX_BYTES = 12_000_000
_SESSION_FILE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


@dataclass(slots=True)
class Line:
    """One row of the queue."""

    seq: int
    host: str
    path: str
    file: str
    gen: int
    off: int
    len: int
    kind: str
    at: float
    body: bytes
    root: str | None = None
    base: int = 0

    @property
    def generation(self) -> int:
        """Return its generation in MongoDB, counted on from those of older buffers."""
        return self.base + self.gen


@dataclass(frozen=True, slots=True)
class Batch:
    """The common properties of a batch of documents.

    Attributes:
        buffer: The id of the buffer.
        at: When they are sent.
        has_text: Whether an entry gets its `text` now; if not, later (`Texts`).
    """

    buffer: str
    at: datetime
    has_text: bool = True


@dataclass(slots=True)
class Document:
    """A document that is ready to be sent.

    Attributes:
        id: Its `_id`.
        line: The row that it was built from.
        data: The document as BSON. The parsed line itself is not kept, because those
            of a batch would take many times the memory of their bytes.
        in_gridfs: Whether the bytes go to GridFS; `data` then refers to them.
        unknown: The record type and fields that this version does not know.
    """

    id: bytes
    line: Line
    data: bytes
    in_gridfs: bool = False
    unknown: tuple[Key, ...] = ()


def build(line: Line, batch: Batch) -> Document:
    """Build the document of a line, whatever the line contains."""
    try:
        return _parse(line, batch)
    except Exception as error:  # one unforeseen line must not stop all others
        reason = f"not understood: {type(error).__name__}: {error}"[:200]
        return raw_only(line, batch, reason)


def _parse(line: Line, batch: Batch) -> Document:
    id_ = document_id(line.file, line.off, line.body)
    if line.kind == "chunk":
        return _finish(id_, line, batch, None, {"raw": line.body})
    if len(line.body) > MAX_BYTES:
        return _large(id_, line, batch, scan_envelope(line.body), "")
    try:
        entry = orjson.loads(line.body)
    except orjson.JSONDecodeError as error:
        return _finish(id_, line, batch, None, _broken(line.body, str(error)))
    if not isinstance(entry, dict):
        content = {"raw": line.body, "error": "the line is not a JSON object"}
        return _finish(id_, line, batch, None, content)
    return _parsed(id_, line, batch, entry)


def raw_only(line: Line, batch: Batch, reason: str) -> Document:
    """Build the document of a line that MongoDB refuses to store parsed."""
    id_ = document_id(line.file, line.off, line.body)
    content = {"raw": line.body, "error": reason}
    return _finish(id_, line, batch, None, content)


def _parsed(id_: bytes, line: Line, batch: Batch, entry: dict[str, Any]) -> Document:
    exact = _serialised(entry) == line.body
    reason = line_problem(line.body, entry, exact=exact)
    if reason:
        content: dict[str, Any] = {"raw": line.body, "error": reason}
        return _finish(id_, line, batch, entry, content)
    content = {"entry": entry} if exact else {"entry": entry, "raw": line.body}
    try:
        return _finish(id_, line, batch, entry, content)
    except (BSONError, OverflowError, RecursionError) as error:
        content = {"raw": line.body, "error": f"not storable: {error}"[:200]}
        return _finish(id_, line, batch, entry, content)


def _serialised(entry: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(entry)
    except orjson.JSONEncodeError:
        return b""


def _broken(body: bytes, reason: str) -> dict[str, Any]:
    content: dict[str, Any] = {"raw": body, "error": f"not JSON: {reason}"[:200]}
    if records := salvage(body):
        content["salvaged"] = records
    return content


def _finish(
    id_: bytes,
    line: Line,
    batch: Batch,
    entry: dict[str, Any] | None,
    content: dict[str, Any],
) -> Document:
    document = _envelope(id_, line, batch, entry)
    document.update(content)
    searched = entry if entry is not None else _first(content.get("salvaged"))
    is_later = "entry" in content and not batch.has_text
    if searched and not is_later and (text := search_text(searched)):
        document["text"] = text
    data = bson.encode(document)
    if len(data) > MAX_BYTES:
        return _large(id_, line, batch, entry, content.get("error", ""))
    is_log = entry is not None and line.path.endswith(".jsonl")
    unknown = unknown_parts(entry or {}) if is_log else ()
    return Document(id_, line, data, unknown=unknown)


def _large(
    id_: bytes,
    line: Line,
    batch: Batch,
    entry: dict[str, Any] | None,
    error: str,
) -> Document:
    document = _envelope(id_, line, batch, entry)
    document["raw_file"] = gridfs_id(id_)
    document["error"] = error or "over 12 MB: in GridFS"
    return Document(id_, line, bson.encode(document), in_gridfs=True)


def _envelope(
    id_: bytes, line: Line, batch: Batch, entry: dict[str, Any] | None
) -> dict[str, Any]:
    entry = entry or {}
    return {
        "_id": Binary(id_),
        "host": line.host,
        "buffer": batch.buffer,
        "seq": Int64(line.seq),
        "kind": line.kind,
        "projectId": project_of(line.path, line.root),
        "sourceFile": line.path,
        "sessionId": _text(entry.get("sessionId")) or session_of(line.path),
        "type": _text(entry.get("type")),
        "uuid": _text(entry.get("uuid")),
        "timestamp": moment(entry.get("timestamp")),
        "ingestedAt": batch.at,
        "source": {
            "file": line.file,
            "gen": line.generation,
            "last_gen": line.generation,
            "off": Int64(line.off),
            "len": Int64(line.len),
        },
    }


@lru_cache(1000)
def project_of(path: str, root: str | None = None) -> str | None:
    """Return the folder that a path begins with; None for files beside the root.

    For a log directly below the root, return the name of the root, which is then the
    folder of a project.
    """
    first, slash, _rest = path.partition("/")
    if slash or not root:
        return first if slash and first != ".." else None
    name = re.split(r"[/\\]", root.rstrip("/\\"))[-1]
    return name if name not in ("", "projects") else None


@lru_cache(1000)
def session_of(path: str) -> str | None:
    """Return the session that the name of a file, or of its folder, states."""
    found = _SESSION_FILE.findall(path)
    return found[0] if found else None


def moment(value: object) -> datetime | None:
    """Return a point in time from ISO 8601 text or milliseconds since 1970."""
    try:
        if isinstance(value, str) and len(value) >= 19:
            parsed = datetime.fromisoformat(value)
            zoned = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
            return zoned.astimezone(UTC)  # overflows outside of the years 1 to 9999
        if isinstance(value, int | float) and 1e11 < value < 1e14:
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _first(records: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return records[0] if records else None
