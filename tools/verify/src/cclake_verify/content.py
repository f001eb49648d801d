"""Compare the content of every line in MongoDB, Iceberg and DuckDB.

Rows are compared in groups, by the sum of their hashes. So memory does not grow with
the number of lines, and the order of the rows does not matter.
"""

import re
from calendar import timegm
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import duckdb
import msgspec
import orjson
import pyarrow as pa
from bson import CodecOptions
from bson.codec_options import DatetimeConversion
from cclake_archive.client import Document
from cclake_lake.long_lines import LONG_BYTES, SHORT_BYTES, shorten
from pymongo.database import Database

from cclake_verify.checksums import SQL_CHECKSUM, Checksum, checksum_of

Row = tuple[Any, ...]
Advance = Callable[[int], None]
# Number of sequence numbers of a buffer that form one group.
SEQ_RANGE = 50_000
MODULUS = 2**64
SHOWN = 3
PROJECTION = dict.fromkeys(
    (
        "kind", "host", "buffer", "seq", "projectId", "sourceFile", "source",
        "sessionId", "type", "uuid", "timestamp", "ingestedAt", "error", "salvaged",
    ),
    1,
)  # fmt: skip
CODEC: CodecOptions[Document] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
# Columns of a row that bronze copies from the document, for `fingerprint`.
COPIED = (
    "doc_id", "part", "record_kind", "host", "buffer", "seq", "project_id",
    "source_file", "gen", "session_id", "type", "uuid", "timestamp", "ingested_at",
    "error",
)  # fmt: skip
# Columns that bronze takes out of the entry.
DERIVED = (
    "subtype", "parent_uuid", "message_id", "request_id", "model", "is_sidechain",
    "agent_id", "version", "cwd", "git_branch",
)  # fmt: skip
LONG_LINES = {
    "raw": f"case when len > {LONG_BYTES} then null else raw end",
    "entry": f"case when len > {LONG_BYTES} and strlen(entry) > {SHORT_BYTES}"
    " then null else entry end",
}
TIMES = ("timestamp", "ingested_at")
# Any escape; the group matches half of a surrogate pair, which bronze replaces.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


@dataclass(slots=True)
class Group:
    """The number of rows that are compared together, and the sum of their hashes."""

    rows: int = 0
    digest: int = 0

    def add(self, value: int, rows: int = 1) -> None:
        """Add rows."""
        self.rows += rows
        self.digest = (self.digest + value) % MODULUS


Groups = dict[Any, Group]


@dataclass(slots=True)
class Content:
    """The result of reading the bronze table once.

    Attributes:
        sums: Checksum of the entries, by extraction run.
        runs: Hash of all columns, by extraction run.
        ranges: Hash of the columns copied from documents, by buffer and `seq` range.
        wrong: Number of rows that contradict their `doc_id` or their entry.
        examples: Identities of some of those rows.
    """

    sums: dict[int, Checksum] = field(default_factory=dict)
    runs: Groups = field(default_factory=lambda: defaultdict(Group))
    ranges: Groups = field(default_factory=lambda: defaultdict(Group))
    wrong: int = 0
    examples: list[str] = field(default_factory=list)


def read_bronze(
    batches: Iterable[pa.RecordBatch], advance: Advance = lambda _rows: None
) -> Content:
    """Read all rows of the bronze table once.

    Args:
        batches: Its rows.
        advance: Called with the number of rows just read.
    """
    found = Content()
    with duckdb.connect() as connection:
        for batch in batches:
            connection.register("batch", batch)
            _by_run(connection, batch.schema.names, found)
            _check(batch, found)
            advance(batch.num_rows)
    return found


def read_raw(connection: duckdb.DuckDBPyConnection) -> Groups:
    """Read all rows of `raw.conversations` into groups like `Content.runs`."""
    described = connection.execute("describe raw.conversations").fetchall()
    groups: Groups = defaultdict(Group)
    for run, rows, digest in connection.execute(
        f"select extract_run, count(*), {_hash(row[0] for row in described)}"
        " from raw.conversations group by 1"
    ).fetchall():
        groups[run].add(int(digest), rows)
    return groups


def read_documents(
    db: Database[Document],
    condition: Document,
    keys: set[str],
    ranges: Groups,
    advance: Advance = lambda _rows: None,
) -> tuple[Checksum, set[str]]:
    """Read the columns that bronze copies from documents.

    Args:
        db: The database of the archive.
        condition: Selects the documents.
        keys: Keys of all known files.
        ranges: Groups to add the rows to, like `Content.ranges`.
        advance: Called with the number of documents just read.

    Returns:
        The checksum of the entries, and the keys of unknown files.
    """
    unknown: set[str] = set()
    collection = db.conversations.with_options(CODEC)

    def identities() -> Iterator[tuple[str, int]]:
        with collection.find(condition, PROJECTION, batch_size=5_000) as cursor:
            for number, document in enumerate(cursor, 1):
                doc_id = bytes(document["_id"]).hex()
                if doc_id[:16] not in keys:
                    unknown.add(doc_id[:16])
                for row in _rows_of(doc_id, document):
                    _add_to_range(ranges, row)
                if number % 1_000 == 0:
                    advance(1_000)
                yield doc_id, len(document.get("salvaged") or [])

    return checksum_of(identities()), unknown


def differing(left: Groups, right: Groups) -> list[Any]:
    """Return the groups that differ between the two sides, in order."""
    return sorted(
        key
        for key in left.keys() | right.keys()
        if left.get(key, Group()) != right.get(key, Group())
    )


def _by_run(
    connection: duckdb.DuckDBPyConnection, names: list[str], found: Content
) -> None:
    for run, lines, parts, digest, rows, content in connection.execute(
        f"select extract_run, {SQL_CHECKSUM}, count(*), {_hash(names)}"
        " from batch group by 1"
    ).fetchall():
        known = found.sums.get(run, Checksum())
        found.sums[run] = known + Checksum(run, lines, parts, int(digest))
        found.runs[run].add(int(content), rows)


def _hash(names: Iterable[str]) -> str:
    """Return SQL that sums the hashes of rows, without the long bytes DuckDB lacks."""
    listed = ", ".join(LONG_LINES.get(name, f'"{name}"') for name in names)
    return f"sum(hash({listed})::hugeint) % {MODULUS}"


def _check(batch: pa.RecordBatch, found: Content) -> None:
    """Check each row for contradictions, and add it to its range."""

    def values(name: str) -> list[Any]:
        column = batch.column(name)
        if name in TIMES:
            column = column.cast(pa.int64())
        return list(column.to_pylist())

    copied = [values(name) for name in COPIED]
    derived = [values(name) for name in DERIVED]
    texts = batch.column("entry").cast(pa.binary()).to_pylist()
    raws, keys = values("raw"), values("file_key")
    places, lengths = values("off"), values("len")
    for number, row in enumerate(zip(*copied, strict=True)):
        doc_id, part, kind, *_ = row
        text, raw = texts[number], raws[number]
        valid = _is_derived(text, [column[number] for column in derived])
        if part == 0:
            line = text if raw is None else raw
            valid = valid and _is_line(doc_id, kind, line, lengths[number])
            valid = valid and (text is None or raw is None or _is_text_of(text, raw))
            valid = valid and keys[number] == doc_id[:16]
            valid = valid and places[number] == int(doc_id[16:32], 16)
        if not valid:
            found.wrong += 1
            if found.wrong <= SHOWN:
                found.examples.append(f"{doc_id}:{part}" if part else doc_id)
        _add_to_range(found.ranges, (*row, text if part else None))


def _is_line(doc_id: str, kind: str, line: bytes | None, length: int) -> bool:
    if line is None or blake2b(line, digest_size=8).hexdigest() != doc_id[32:]:
        return False
    return 0 <= length - len(line) <= (kind != "chunk")


def _is_text_of(text: bytes, raw: bytes) -> bool:
    """Return whether an entry is what bronze derives from the bytes beside it."""
    if len(raw) <= LONG_BYTES:
        return text == _repaired(raw)
    if text == raw:  # written by an earlier version of extract
        return True
    try:
        short = shorten(raw)
    except msgspec.DecodeError:
        return False
    return text in (short, _repaired(short))


def _repaired(raw: bytes) -> bytes:
    return _ESCAPE.sub(lambda m: b"\\ufffd" if m.group(1) else m.group(0), raw)


def _is_derived(text: bytes | None, columns: list[Any]) -> bool:
    if text is None:
        entry: Any = {}
    else:
        try:
            entry = orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
    return columns == _derived(entry if isinstance(entry, dict) else {})


def _derived(entry: Document) -> list[Any]:
    """Return the columns of `DERIVED` by the rules of docs/contracts.md."""
    message = entry.get("message")
    message = message if isinstance(message, dict) else {}
    sidechain = entry.get("isSidechain")
    return [
        _subtype(entry),
        _text(entry.get("parentUuid")),
        _text(message.get("id")),
        _text(entry.get("requestId")),
        _text(message.get("model")),
        sidechain if isinstance(sidechain, bool) else None,
        _text(entry.get("agentId")),
        _text(entry.get("version")),
        _text(entry.get("cwd")),
        _text(entry.get("gitBranch")),
    ]


def _subtype(entry: Document) -> str | None:
    named = [entry]
    named += [
        {"subtype": part.get("type")}
        for name in ("data", "attachment")
        if isinstance(part := entry.get(name), dict)
    ]
    return next((found for one in named if (found := _text(one.get("subtype")))), None)


def _rows_of(doc_id: str, document: Document) -> Iterator[Row]:
    """Yield the rows of a document: the columns of `COPIED` and a salvaged entry."""
    source = document.get("source")
    gen = source.get("gen") if isinstance(source, dict) else None
    is_number = isinstance(gen, int) and not isinstance(gen, bool)
    host, buffer, seq = _text(document.get("host")), document["buffer"], document["seq"]
    place = (_text(document.get("projectId")), _text(document.get("sourceFile")), gen)
    place = place if is_number else (*place[:2], None)
    session = _text(document.get("sessionId"))
    kind, uuid = _text(document.get("type")), _text(document.get("uuid"))
    said, got = document.get("timestamp"), document.get("ingestedAt")
    end = (_micros(got), _text(document.get("error")))
    yield (
        doc_id, 0, _text(document.get("kind")) or "line", host, buffer, seq, *place,
        session, kind, uuid, _micros(said), *end, None,
    )  # fmt: skip
    for part, record in enumerate(document.get("salvaged") or [], 1):
        entry = record if isinstance(record, dict) else {}
        yield (
            doc_id, part, "salvaged", host, buffer, seq, *place,
            _text(entry.get("sessionId")) or session, _text(entry.get("type")),
            _text(entry.get("uuid")), _micros(_time(entry.get("timestamp"))), *end,
            orjson.dumps(record, default=repr),
        )  # fmt: skip


def _add_to_range(ranges: Groups, row: Row) -> None:
    # `hash` differs between processes, but these groups are not stored.
    ranges[(row[4], (row[5] - 1) // SEQ_RANGE)].add(hash(row))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _micros(value: Any) -> int | None:
    """Return the microseconds since 1970 of a time; None for anything else."""
    if not isinstance(value, datetime):
        return None
    return timegm(value.utctimetuple()) * 1_000_000 + value.microsecond


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
