"""Archives built by the rules of the contract, and by the real tools.

`archive` writes what the flusher would, so that a proof can be tested on an archive
with exactly one thing wrong; `ingest` runs the tools themselves.
"""

import os
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import gridfs
import orjson
from bson import Int64
from harness import BIN, PATIENCE, free_port, wait_for
from pymongo.database import Database

Document = dict[str, Any]
TOO_BIG = 12_000_000


def file_key(host: str, path: str) -> str:
    """The key of a file of the first root."""
    return blake2b(f"{host}\0{path}".encode(), digest_size=8).hexdigest()


def split_lines(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Offset, bytes without the newline and length of each line; `\\n` only."""
    off = 0
    for line in _lines(data):
        yield off, line.removesuffix(b"\n"), len(line)
        off += len(line)


def _lines(data: bytes) -> list[bytes]:
    parts = data.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def document_of(
    key: str, off: int, body: bytes, length: int, *, gen: int = 0, kind: str = "line"
) -> Document:
    """The document of one line or chunk, as the contract says."""
    identity = bytes.fromhex(key) + off.to_bytes(8, "big")
    made: Document = {
        "_id": identity + blake2b(body, digest_size=8).digest(),
        "kind": kind,
        "ingestedAt": datetime.now(UTC),
        "source": {
            "file": key,
            "gen": gen,
            "last_gen": gen,
            "off": Int64(off),
            "len": Int64(length),
        },
    }
    entry = _faithful(body) if kind == "line" else None
    if entry is None:
        made["raw"] = body
    else:
        made["entry"] = entry
    return made


def _faithful(body: bytes) -> Any:
    if b'"$ref"' in body or len(body) > TOO_BIG:
        return None
    try:
        entry = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and orjson.dumps(entry) == body else None


class Archive:
    """A database that is filled line by line, the way the flusher fills it."""

    def __init__(self, db: Database[Document], buffer: str = "b" * 32) -> None:
        self.db, self.buffer, self.seq = db, buffer, 0

    def keep(
        self,
        root: Path,
        path: str,
        *,
        host: str = "testhost",
        gen: int = 0,
        key: str | None = None,
        data: bytes | None = None,
        state: str = "live",
        upto: int | None = None,
    ) -> str:
        """Archive a file (or the bytes given) and its checkpoint; gives the file key."""
        key = key or file_key(host, path)
        data = (root / path).read_bytes() if data is None else data
        data = data if upto is None else data[:upto]
        lines = path.endswith(".jsonl")
        kind = "line" if lines else "chunk"
        pieces = split_lines(data) if lines else [(0, data, len(data))]
        for off, body, length in pieces:
            self.put(
                document_of(key, off, body, length, gen=gen, kind=kind), host, path
            )
        checkpoint = {
            "host": host, "root": str(root), "path": path, "paths": [path], "gen": gen,
            "off": Int64(len(data)), "size": Int64(len(data)), "state": state,
            "buffer": self.buffer, "at": datetime.now(UTC),
        }  # fmt: skip
        self.db.files.replace_one({"_id": key}, checkpoint, upsert=True)
        self.db.watermarks.replace_one(
            {"_id": self.buffer},
            {"host": host, "acked_seq": Int64(self.seq), "at": datetime.now(UTC)},
            upsert=True,
        )
        return key

    def put(self, document: Document, host: str, path: str) -> None:
        """Archive one document; one that is there already only moves its generation."""
        self.seq += 1
        if self.db.conversations.find_one({"_id": document["_id"]}, {"_id": 1}):
            source = document["source"]
            moved: dict[str, Any] = {
                "source.last_gen": source["last_gen"],
                "source.len": source["len"],
            }
            self.db.conversations.update_one({"_id": document["_id"]}, {"$max": moved})
            return
        raw = document.get("raw", b"")
        if len(raw) > TOO_BIG:
            del document["raw"]
            bucket = gridfs.GridFSBucket(self.db, "raw")
            document["raw_file"] = bucket.upload_from_stream("raw", raw)
        place = {"host": host, "buffer": self.buffer, "seq": Int64(self.seq)}
        names = {"sourceFile": path, "projectId": path.partition("/")[0]}
        self.db.conversations.insert_one(document | place | names)


def run(tool: str, *arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run a tool to its end; the caller looks at its exit status."""
    return subprocess.run(
        [str(BIN / tool), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | more.pop("env", {}),
        check=False,
        **more,
    )


def some_lines(seed: int, count: int, *, project: str = "-home-me-x") -> bytes:
    """Return lines that are hard to archive, equal for equal seeds."""
    chance = random.Random(seed)
    texts = ("plain", "Grüße 雪 🎉", "a.b\\u0000?", 'say "hi"\\n\\ttab', "x" * 3000)
    made = []
    for number in range(count):
        entry = {
            "type": chance.choice(("user", "assistant", "system", "strange")),
            "uuid": f"{seed:08x}-0000-4000-8000-{number:012x}",
            "sessionId": f"{seed:08x}-1111-4111-8111-111111111111",
            "timestamp": "2026-05-01T10:00:00.000Z",
            "cwd": f"/{project.strip('-').replace('-', '/')}",
            "message": {"content": chance.choice(texts), "n": [None, True, 1.5, -7]},
            "a.b": {"$ref" if chance.random() < 0.1 else "": "#/defs/x"},
        }
        made.append(orjson.dumps(entry))
        if chance.random() < 0.1:
            made.append(
                chance.choice((b"", b'{"cut": ', b'{"a":1}{"b":2}', b"\xff\x00"))
            )
    return b"".join(line + b"\n" for line in made)


def ingest(root: Path, *, home: Path) -> None:
    """Archive everything below a root with the real tools, and wait until it is there.

    Args:
        root: The folder with the logs.
        home: Folder for the buffer; kept, so that a second call continues it.
    """
    buffer = home / "buffer.db"
    home.mkdir(parents=True, exist_ok=True)
    env = os.environ | {
        "CLAUDE_DIR": str(root),
        "SQLITE_PATH": str(buffer),
        "CCLAKE_REST_SECONDS": "0",
    }
    script = (
        f'"{BIN}/buffer" append < <("{BIN}/tailer" --once'
        f' --resume <("{BIN}/buffer" checkpoints))'
    )
    subprocess.run(["bash", "-euc", script], env=env, check=True, timeout=PATIENCE)
    deliver(buffer, env)


def deliver(buffer: Path, env: dict[str, str]) -> None:
    """Run the flusher until a buffer is empty and every checkpoint delivered."""
    if _delivered(buffer):
        return
    command = [str(BIN / "flusher"), "run", "--health-port", str(free_port())]
    with subprocess.Popen(command, env=env) as flusher:
        try:
            wait_for(lambda: _delivered(buffer), "the buffer is empty")
        finally:
            flusher.terminate()
    assert flusher.returncode == 0


def _delivered(buffer: Path) -> bool:
    with closing(sqlite3.connect(buffer, timeout=PATIENCE)) as db:
        waiting = db.execute(
            "select (select count(*) from queue)"
            " + (select count(*) from files where not delivered)"
        ).fetchone()
    return bool(waiting[0] == 0)
