"""Documents as the flusher would store them, made without it; the same every time."""

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from bson import Binary, Int64
from pymongo.database import Database

WORDS = [
    hashlib.blake2b(bytes([n % 256, n // 256]), digest_size=3).hexdigest()[: 2 + n % 5]
    for n in range(3_000)
]
START = datetime(2025, 6, 1, tzinfo=UTC)
Document = dict[str, Any]


def text(number: int, size: int) -> str:
    """Words by chance, the same for the same number: they compress as texts do."""
    return " ".join(random.Random(number).choices(WORDS, k=size // 5))


def entry(number: int, size: int = 200) -> Document:
    """An entry of a session; a tenth are user lines, the others answers."""
    session = f"{number // 100:08x}-0000-4000-8000-000000000000"
    at = START + timedelta(seconds=number)
    user = number % 10 == 0
    message: Document = {"role": "user", "content": f"prompt {number}"}
    if not user:
        message = {
            "id": f"msg_{number}",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [
                {"type": "text", "text": f"answer {number} " + text(number, size)}
            ],
            "usage": {"input_tokens": number % 97, "output_tokens": number % 89},
        }
    return {
        "type": "user" if user else "assistant",
        "uuid": f"{number:08x}-1111-4111-8111-111111111111",
        "parentUuid": None,
        "sessionId": session,
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "isSidechain": False,
        "version": "2.1.0",
        "cwd": "/home/me/x",
        "gitBranch": "main",
        "message": message,
    }


def document(
    line: bytes,
    seq: int,
    *,
    buffer: str = "a" * 32,
    host: str = "laptop",
    off: int | None = None,
    path: str = "-home-me-x/5f.jsonl",
    **more: Any,
) -> Document:
    """The document of one line, by the contract; `more` replaces or adds fields."""
    key = hashlib.blake2b(f"{host}\0{path}".encode(), digest_size=8).digest()
    off = seq * 1000 if off is None else off
    digest = hashlib.blake2b(line, digest_size=8).digest()
    found: Document = {
        "_id": Binary(key + off.to_bytes(8, "big") + digest),
        "host": host,
        "buffer": buffer,
        "seq": Int64(seq),
        "kind": "line",
        "projectId": path.split("/")[0],
        "sourceFile": path,
        "sessionId": None,
        "type": None,
        "uuid": None,
        "timestamp": None,
        "ingestedAt": START + timedelta(seconds=seq),
        "source": {
            "file": key.hex(),
            "gen": 0,
            "last_gen": 0,
            "off": Int64(off),
            "len": Int64(len(line) + 1),
        },
    }
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        found |= {"entry": parsed} | {
            k: parsed[k] for k in ("sessionId", "type", "uuid") if k in parsed
        }
        if isinstance(at := parsed.get("timestamp"), str):
            found["timestamp"] = datetime.fromisoformat(at)
    if not isinstance(parsed, dict) or orjson.dumps(parsed) != line:
        found["raw"] = line
    return found | more


def documents(
    first: int, last: int, size: int = 200, **options: Any
) -> Iterator[Document]:
    """The documents of the lines `first` to `last`; their seq is their number."""
    for number in range(first, last + 1):
        yield document(orjson.dumps(entry(number, size)), number, **options)


def store(
    database: Database[Document], found: list[Document], acked: int | None = None
) -> None:
    """Insert documents and acknowledge their buffer up to `acked`, or to the last."""
    database["conversations"].create_index([("buffer", 1), ("seq", 1)])
    if found:
        database["conversations"].insert_many(found)
    acknowledge(database, found[-1]["buffer"], acked or int(found[-1]["seq"]))


def acknowledge(database: Database[Document], buffer: str, seq: int) -> None:
    """Move the watermark of a buffer."""
    database["watermarks"].update_one(
        {"_id": buffer},
        {"$set": {"host": "laptop", "acked_seq": Int64(seq), "at": START}},
        upsert=True,
    )
