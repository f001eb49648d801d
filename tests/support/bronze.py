"""Bronze rows straight from log files, without any of the tools.

Written from docs/contracts.md (sections 1, 3 and 4) alone, so that the gold
tests hold even where a tool is wrong.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = {
    "doc_id": "varchar", "part": "integer", "record_kind": "varchar",
    "host": "varchar", "buffer": "varchar", "seq": "bigint",
    "extract_run": "bigint", "project_id": "varchar", "source_file": "varchar",
    "file_key": "varchar", "gen": "integer", "off": "bigint", "len": "bigint",
    "session_id": "varchar", "type": "varchar", "subtype": "varchar",
    "uuid": "varchar", "parent_uuid": "varchar", "timestamp": "timestamptz",
    "ingested_at": "timestamptz", "message_id": "varchar",
    "request_id": "varchar", "model": "varchar", "is_sidechain": "boolean",
    "agent_id": "varchar", "version": "varchar", "cwd": "varchar",
    "git_branch": "varchar", "error": "varchar", "entry": "varchar",
    "raw": "blob",
}  # fmt: skip
INGESTED = datetime(2026, 11, 1, tzinfo=UTC)
START = re.compile(rb'\{"')
Row = dict[str, Any]


def rows_of(root: Path, host: str = "laptop", run: int = 1) -> list[Row]:
    """Every line of every file below a root, and of the history beside it."""
    rows: list[Row] = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            rows.extend(_rows_of_file(path, path.relative_to(root).as_posix(), host))
    history = root.parent / "history.jsonl"
    if history.is_file():
        rows.extend(_rows_of_file(history, "../history.jsonl", host))
    for seq, row in enumerate(rows, 1):
        row.update(buffer="b" * 32, seq=seq, extract_run=run)
    return rows


def save(path: Path, rows: Iterable[Row]) -> None:
    """Write rows to a Parquet file with the columns of raw.conversations."""
    pq.write_table(_table(list(rows)), path)


def _table(rows: list[Row]) -> pa.Table:
    kinds = {"integer": pa.int32(), "bigint": pa.int64(), "boolean": pa.bool_(),
             "varchar": pa.string(), "blob": pa.binary(),
             "timestamptz": pa.timestamp("us", "UTC")}  # fmt: skip
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    return pa.table(
        {name: [row.get(name) for row in rows] for name in COLUMNS}, schema=schema
    )


def _rows_of_file(path: Path, name: str, host: str) -> Iterator[Row]:
    key = blake2b(f"{host}\0{name}".encode(), digest_size=8).hexdigest()
    data = path.read_bytes()
    base: Row = {
        "host": host, "source_file": name, "file_key": key, "gen": 0,
        "project_id": name.split("/")[0], "ingested_at": INGESTED,
    }  # fmt: skip
    if path.suffix != ".jsonl":
        yield base | _identity(key, 0, data) | {
            "part": 0, "record_kind": "chunk", "off": 0, "len": len(data), "raw": data,
        }  # fmt: skip
        return
    off = 0
    while off < len(data):
        end = data.find(b"\n", off)
        line = data[off:] if end < 0 else data[off:end]
        if end < 0 and _parse(line) is None:
            return  # a torn tail waits for the rest of its line
        length = len(line) + (end >= 0)
        place = base | _identity(key, off, line) | {"off": off, "len": length}
        yield from _rows_of_line(place, line)
        off += length


def _identity(key: str, off: int, line: bytes) -> Row:
    digest = blake2b(line, digest_size=8).hexdigest()
    return {"doc_id": f"{key}{off:016x}{digest}"}


def _rows_of_line(place: Row, line: bytes) -> Iterator[Row]:
    entry = _parse(line)
    if entry is not None and not _lone(entry):
        yield place | {"part": 0, "record_kind": "line"} | _envelope(entry, place) | {
            "entry": line.decode()
        }  # fmt: skip
        return
    reason = "invalid JSON" if entry is None else "lone surrogate"
    yield place | {
        "part": 0, "record_kind": "line", "error": reason, "raw": line,
        "session_id": _stem(place),
    }  # fmt: skip
    for part, found in enumerate(_salvage(line), 1):
        text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
        clean = re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)
        yield (
            place
            | {"part": part, "record_kind": "salvaged"}
            | _envelope(json.loads(clean), place)
            | {"entry": clean}
        )


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _lone(entry: dict[str, Any]) -> bool:
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _salvage(line: bytes) -> Iterator[dict[str, Any]]:
    """The records that parse somewhere in a broken line, in order."""
    text = line.decode("utf-8", "replace")
    decoder = json.JSONDecoder()
    at = 0
    while (at := text.find('{"', at)) >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError:
            at += 1
            continue
        if isinstance(found, dict) and "type" in found and "message" in found:
            yield found
            at = end
        else:
            at += 1


def _stem(place: Row) -> str:
    return Path(place["source_file"]).stem


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _envelope(entry: dict[str, Any], place: Row) -> Row:
    message = entry.get("message")
    message = message if isinstance(message, dict) else {}
    inner = next(
        (
            found
            for found in (
                entry.get("subtype"),
                (entry.get("data") or {}).get("type")
                if isinstance(entry.get("data"), dict)
                else None,
                (entry.get("attachment") or {}).get("type")
                if isinstance(entry.get("attachment"), dict)
                else None,
            )
            if isinstance(found, str)
        ),
        None,
    )
    side = entry.get("isSidechain")
    return {
        "session_id": _text(entry.get("sessionId")) or _stem(place),
        "type": _text(entry.get("type")),
        "subtype": inner,
        "uuid": _text(entry.get("uuid")),
        "parent_uuid": _text(entry.get("parentUuid")),
        "timestamp": _time(entry.get("timestamp")),
        "message_id": _text(message.get("id")),
        "request_id": _text(entry.get("requestId")),
        "model": _text(message.get("model")),
        "is_sidechain": side if isinstance(side, bool) else None,
        "agent_id": _text(entry.get("agentId")),
        "version": _text(entry.get("version")),
        "cwd": _text(entry.get("cwd")),
        "git_branch": _text(entry.get("gitBranch")),
    }


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
