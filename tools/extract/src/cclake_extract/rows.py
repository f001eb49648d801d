"""Convert documents of MongoDB into columns of the bronze table."""

import itertools
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
from bson import ObjectId
from cclake_archive.client import Document
from cclake_archive.lines import stored_bytes
from pymongo.database import Database

from cclake_extract.entry import parse_object

EMPTY: Document = {}
Columns = dict[str, list[Any]]


def columns_of(
    documents: list[Document], run: int, database: Database[Document]
) -> Columns:
    """Return the rows of documents in their order, one list for each column.

    Args:
        documents: Decoded documents of `conversations`.
        run: Number of the commit that adds them.
        database: Has the bytes that are not in the document itself.

    Raises:
        ValueError: A document lacks a required value, or some of its bytes.
    """
    columns = _lines(documents, run, database)
    for place in range(len(documents) - 1, -1, -1):
        if salvaged := documents[place].get("salvaged"):
            _insert_parts(columns, place, salvaged)
    return columns


def batch_of(columns: Columns, schema: pa.Schema) -> pa.RecordBatch:
    """Return one Arrow batch; columns unknown to this version are null."""
    rows = len(columns["doc_id"])
    nothing = [None] * rows
    return pa.RecordBatch.from_arrays(
        [pa.array(columns.get(f.name, nothing), type=f.type) for f in schema],
        schema=schema,
    )


def _lines(
    documents: list[Document], run: int, database: Database[Document]
) -> Columns:
    texts, raws, entries = _entries(documents, database)
    sources = _objects(documents, "source")
    columns: Columns = {
        "doc_id": [_hex(d["_id"]) for d in documents],
        "part": [0] * len(documents),
        "record_kind": [kind or "line" for kind in _texts(documents, "kind")],
        "host": _texts(documents, "host"),
        "buffer": [d["buffer"] for d in documents],
        "seq": [d["seq"] for d in documents],
        "extract_run": [run] * len(documents),
        "project_id": _texts(documents, "projectId"),
        "source_file": _texts(documents, "sourceFile"),
        "file_key": _texts(sources, "file"),
        "gen": _numbers(sources, "gen", 31),
        "off": _numbers(sources, "off"),
        "len": _numbers(sources, "len"),
        "session_id": _texts(documents, "sessionId"),
        "type": _texts(documents, "type"),
        "uuid": _texts(documents, "uuid"),
        "timestamp": _times(documents, "timestamp"),
        "ingested_at": _times(documents, "ingestedAt"),
        "error": _texts(documents, "error"),
        "entry": texts,
        "raw": raws,
    }
    return columns | _of_entries(entries)


def _entries(
    documents: list[Document], database: Database[Document]
) -> tuple[list[bytes | None], list[bytes | None], list[Document]]:
    texts: list[bytes | None] = []
    raws: list[bytes | None] = []
    entries: list[Document] = []
    for document in documents:
        entry = document.get("entry")
        raw = stored_bytes(database, document)
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
    messages = _objects(entries, "message")
    return {
        "subtype": [_subtype(entry) for entry in entries],
        "parent_uuid": _texts(entries, "parentUuid"),
        "message_id": _texts(messages, "id"),
        "request_id": _texts(entries, "requestId"),
        "model": _texts(messages, "model"),
        "is_sidechain": [
            v if type(v := e.get("isSidechain")) is bool else None for e in entries
        ],
        "agent_id": _texts(entries, "agentId"),
        "version": _texts(entries, "version"),
        "cwd": _texts(entries, "cwd"),
        "git_branch": _texts(entries, "gitBranch"),
    }


def _insert_parts(columns: Columns, place: int, salvaged: list[Any]) -> None:
    """Insert the salvaged records of the line at `place` after it."""
    entries = [record if type(record) is dict else EMPTY for record in salvaged]
    own: Columns = _of_entries(entries) | {
        "part": list(range(1, len(entries) + 1)),
        "record_kind": ["salvaged"] * len(entries),
        "type": _texts(entries, "type"),
        "uuid": _texts(entries, "uuid"),
        "timestamp": [_parsed_time(e.get("timestamp")) for e in entries],
        "session_id": [
            session or columns["session_id"][place]
            for session in _texts(entries, "sessionId")
        ],
        "entry": [orjson.dumps(record) for record in salvaged],
        "raw": [None] * len(entries),
    }
    for name, values in columns.items():
        line = itertools.repeat(values[place], len(entries))
        values[place + 1 : place + 1] = own.get(name, line)


def _subtype(entry: Document) -> str | None:
    if type(found := entry.get("subtype")) is str and found:
        return found
    for name in ("data", "attachment"):
        if (
            type(part := entry.get(name)) is dict
            and type(found := part.get("type")) is str
            and found
        ):
            return found
    return None


def _hex(identity: Any) -> str:
    if isinstance(identity, bytes):
        return identity.hex()
    if isinstance(identity, ObjectId):
        return str(identity)
    raise ValueError(f"_id is of type {type(identity).__name__}, not binary")


# A value whose type is not that of the column becomes null.


def _objects(found: list[Document], name: str) -> list[Document]:
    return [v if type(v := d.get(name)) is dict else EMPTY for d in found]


def _texts(found: list[Document], name: str) -> list[str | None]:
    return [v if type(v := d.get(name)) is str else None for d in found]


def _numbers(found: list[Document], name: str, bits: int = 63) -> list[int | None]:
    above = 1 << bits
    return [
        v
        if isinstance(v := d.get(name), int) and type(v) is not bool and 0 <= v < above
        else None
        for d in found
    ]


def _times(found: list[Document], name: str) -> list[datetime | None]:
    return [v if isinstance(v := d.get(name), datetime) else None for d in found]


def _parsed_time(value: Any) -> datetime | None:
    if type(value) is not str:
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
