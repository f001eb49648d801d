"""Documents of MongoDB as columns of the bronze table."""

import itertools
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
from bson import ObjectId

from cclake_extract.entry import Bytes, Document, parse_object

EMPTY: Document = {}
Columns = dict[str, list[Any]]


def columns_of(documents: list[Document], run: int, lines: Bytes) -> Columns:
    """The rows of some documents, one list per column, in the order given.

    Args:
        documents: Decoded documents of `conversations`.
        run: Number of the commit that they go into.
        lines: Where bytes are read that are not in the document itself.

    Raises:
        ValueError: A document lacks what every row must have.
        gridfs.NoFile: The bytes of a document are not there.
    """
    columns = _lines(documents, run, lines)
    for place in range(len(documents) - 1, -1, -1):
        if salvaged := documents[place].get("salvaged"):
            _insert_parts(columns, place, salvaged)
    return columns


def batch_of(columns: Columns, schema: pa.Schema) -> pa.RecordBatch:
    """One Arrow batch; a column that this version does not fill is null."""
    rows = len(columns["doc_id"])
    nothing = [None] * rows
    return pa.RecordBatch.from_arrays(
        [pa.array(columns.get(f.name, nothing), type=f.type) for f in schema],
        schema=schema,
    )


def _lines(documents: list[Document], run: int, lines: Bytes) -> Columns:
    texts, raws, entries = _texts(documents, lines)
    sources = [_dict(d.get("source")) for d in documents]
    columns: Columns = {
        "doc_id": [_hex(d["_id"]) for d in documents],
        "part": [0] * len(documents),
        "record_kind": [_text(d.get("kind")) or "line" for d in documents],
        "host": [_text(d.get("host")) for d in documents],
        "buffer": [d["buffer"] for d in documents],
        "seq": [d["seq"] for d in documents],
        "extract_run": [run] * len(documents),
        "project_id": [_text(d.get("projectId")) for d in documents],
        "source_file": [_text(d.get("sourceFile")) for d in documents],
        "file_key": [_text(s.get("file")) for s in sources],
        "gen": [_int(s.get("gen"), 31) for s in sources],
        "off": [_int(s.get("off")) for s in sources],
        "len": [_int(s.get("len")) for s in sources],
        "session_id": [_text(d.get("sessionId")) for d in documents],
        "type": [_text(d.get("type")) for d in documents],
        "uuid": [_text(d.get("uuid")) for d in documents],
        "timestamp": [_when(d.get("timestamp")) for d in documents],
        "ingested_at": [_when(d.get("ingestedAt")) for d in documents],
        "error": [_text(d.get("error")) for d in documents],
        "entry": texts,
        "raw": raws,
    }
    return columns | _of_entries(entries)


def _texts(
    documents: list[Document], lines: Bytes
) -> tuple[list[bytes | None], list[bytes | None], list[Document]]:
    texts: list[bytes | None] = []
    raws: list[bytes | None] = []
    entries: list[Document] = []
    for document in documents:
        entry = document.get("entry")
        raw = lines.of(document)
        if raw is None:
            if type(entry) is not dict:
                raise ValueError("the document has neither entry nor raw")
            text: bytes | None = orjson.dumps(entry)
        else:
            text, parsed = parse_object(raw)
            if text is None and type(entry) is dict:
                text = orjson.dumps(entry)
            entry = entry if type(entry) is dict else parsed
        texts.append(text)
        raws.append(None if text == raw or raw is None else raw)
        entries.append(entry or EMPTY)
    return texts, raws, entries


def _of_entries(entries: list[Document]) -> Columns:
    messages = [_dict(e.get("message")) for e in entries]
    return {
        "subtype": [_subtype(e) for e in entries],
        "parent_uuid": [_text(e.get("parentUuid")) for e in entries],
        "message_id": [_text(m.get("id")) for m in messages],
        "request_id": [_text(e.get("requestId")) for e in entries],
        "model": [_text(m.get("model")) for m in messages],
        "is_sidechain": [
            v if type(v := e.get("isSidechain")) is bool else None for e in entries
        ],
        "agent_id": [_text(e.get("agentId")) for e in entries],
        "version": [_text(e.get("version")) for e in entries],
        "cwd": [_text(e.get("cwd")) for e in entries],
        "git_branch": [_text(e.get("gitBranch")) for e in entries],
    }


def _insert_parts(columns: Columns, place: int, salvaged: list[Any]) -> None:
    """Put the salvaged records of the line at `place` behind it."""
    entries = [_dict(record) for record in salvaged]
    own: Columns = _of_entries(entries) | {
        "part": list(range(1, len(entries) + 1)),
        "record_kind": ["salvaged"] * len(entries),
        "type": [_text(e.get("type")) for e in entries],
        "uuid": [_text(e.get("uuid")) for e in entries],
        "timestamp": [_parsed_time(e.get("timestamp")) for e in entries],
        "session_id": [
            _text(e.get("sessionId")) or columns["session_id"][place] for e in entries
        ],
        "entry": [orjson.dumps(record) for record in salvaged],
        "raw": [None] * len(entries),
    }
    for name, values in columns.items():
        line = itertools.repeat(values[place], len(entries))
        values[place + 1 : place + 1] = own.get(name, line)


def _subtype(entry: Document) -> str | None:
    return (
        _text(entry.get("subtype"))
        or _text(_dict(entry.get("data")).get("type"))
        or _text(_dict(entry.get("attachment")).get("type"))
    )


def _hex(identity: Any) -> str:
    if isinstance(identity, bytes):
        return identity.hex()
    if isinstance(identity, ObjectId):
        return str(identity)
    raise ValueError(f"_id is of type {type(identity).__name__}, not binary")


def _dict(value: Any) -> Document:
    return value if type(value) is dict else EMPTY


def _text(value: Any) -> str | None:
    return value if type(value) is str else None


def _int(value: Any, bits: int = 63) -> int | None:
    if isinstance(value, int) and type(value) is not bool and 0 <= value < 1 << bits:
        return int(value)
    return None


def _when(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _parsed_time(value: Any) -> datetime | None:
    if type(value) is not str:
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
