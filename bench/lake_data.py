"""Documents as the flusher stores them, made fast: many, and of a real mix.

A tenth are prompts, a fifth tool calls and their results, the others answers; 160
to a session, 2 KB of text each by default. Names are random as in the log, so that
nothing is found by its order. They are encoded once and sent raw.
"""

import hashlib
import itertools
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson import Binary, Int64
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

BUFFER = "a" * 32
CHUNK = 5_000
PER_SESSION = 160
START = datetime(2025, 1, 1, tzinfo=UTC)
_CHANCE = random.Random(1)
_WORDS = [
    hashlib.blake2b(number.to_bytes(2, "big"), digest_size=4).hexdigest()[
        : 2 + number % 7
    ]
    for number in range(5_000)
]
_POOL = [" ".join(_CHANCE.choices(_WORDS, k=800)) for _ in range(500)]
Document = dict[str, Any]


def fill(database: Database[Document], first: int, last: int, size: int) -> None:
    """Insert the documents `first` to `last` and acknowledge them."""
    conversations = database["conversations"]
    conversations.create_index([("buffer", 1), ("seq", 1)])
    numbers = iter(range(first, last + 1))
    while chunk := list(itertools.islice(numbers, CHUNK)):
        conversations.insert_many(list(encoded(chunk, size)), ordered=False)
    database["watermarks"].update_one(
        {"_id": BUFFER},
        {"$set": {"host": "laptop", "acked_seq": Int64(last), "at": START}},
        upsert=True,
    )


def encoded(numbers: list[int], size: int) -> Iterator[RawBSONDocument]:
    """The documents of some numbers."""
    for number in numbers:
        yield RawBSONDocument(bson.encode(document(number, size)))


def document(number: int, size: int) -> Document:
    """One document; its number is its seq."""
    session, place = divmod(number, PER_SESSION)
    project = f"-home-me-p{session % 20:02d}"
    session_id = _uuid("session", session)
    path = f"{project}/{session_id}.jsonl"
    key = hashlib.blake2b(path.encode(), digest_size=8).digest()
    at = START + timedelta(minutes=20 * session, seconds=5 * place)
    entry = _entry(number, place, session_id, at, size)
    off, length = place * 4_000, size + 600
    return {
        "_id": Binary(key + off.to_bytes(8, "big") + number.to_bytes(8, "big")),
        "host": "laptop",
        "buffer": BUFFER,
        "seq": Int64(number),
        "kind": "line",
        "projectId": project,
        "sourceFile": path,
        "sessionId": session_id,
        "type": entry["type"],
        "uuid": entry["uuid"],
        "timestamp": at,
        "ingestedAt": at,
        "source": {
            "file": key.hex(),
            "gen": 0,
            "last_gen": 0,
            "off": Int64(off),
            "len": Int64(length),
        },
        "entry": entry,
    }


def _entry(
    number: int, place: int, session_id: str, at: datetime, size: int
) -> Document:
    kind = number % 10
    begin = number * 7 % 1_000
    text = _POOL[number % len(_POOL)][begin : begin + size]
    found: Document = {
        "parentUuid": _uuid("entry", number - 1) if place else None,
        "isSidechain": False,
        "userType": "external",
        "cwd": "/home/me/x",
        "sessionId": session_id,
        "version": "2.1.40",
        "gitBranch": "main",
        "type": "user" if kind in (0, 5) else "assistant",
        "uuid": _uuid("entry", number),
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if kind == 0:
        return found | {"message": {"role": "user", "content": text}}
    if kind == 5:
        result = {"type": "tool_result", "tool_use_id": _name("toolu", number - 1)}
        return found | {
            "message": {"role": "user", "content": [result | {"content": text}]},
            "toolUseResult": {"stdout": text[:100], "stderr": ""},
        }
    block: Document = {"type": "text", "text": text}
    if kind == 4:
        block = {"type": "tool_use", "id": _name("toolu", number), "name": "Bash"}
        block |= {"input": {"command": text}}
    return found | {
        "requestId": _name("req", number),
        "message": {
            "id": _name("msg", number),
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-6",
            "content": [block],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": number % 97,
                "output_tokens": number % 389,
                "cache_creation_input_tokens": 1_500,
                "cache_read_input_tokens": number % 90_000,
            },
        },
    }


def _uuid(kind: str, number: int) -> str:
    name = hashlib.blake2b(f"{kind}{number}".encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=name, version=4))


def _name(kind: str, number: int) -> str:
    name = hashlib.blake2b(f"{kind}{number}".encode(), digest_size=12)
    return f"{kind}_{name.hexdigest()}"
