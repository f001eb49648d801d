"""Writes documents and watermarks as the flusher does."""

import uuid
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import orjson
from bson import Binary
from sample import RUNNING

Database = Any


class Shipper:
    """One buffer; each line that it ships is archived at once.

    Attributes:
        seq: The number of the last line.
    """

    def __init__(self, database: Database, buffer: str = "b") -> None:
        self.database, self.buffer, self.seq = database, buffer, 0

    def ship(
        self,
        message: dict[str, Any],
        session: str = RUNNING,
        path: str = "p/x.jsonl",
        **entry: Any,
    ) -> str:
        """Archive an entry; returns its document's id."""
        now = datetime.now(UTC)
        line = {
            "type": message["role"], "uuid": str(uuid.uuid4()), "sessionId": session,
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "message": message, **entry,
        }  # fmt: skip
        return self.line(line, path)

    def say(self, text: str, session: str = RUNNING, **entry: Any) -> str:
        """Archive a prompt; returns its document's id."""
        return self.ship({"role": "user", "content": text}, session, **entry)

    def answer(self, text: str, session: str = RUNNING, **entry: Any) -> str:
        """Archive an answer; returns its document's id."""
        content = [{"type": "text", "text": text}]
        said = {
            "role": "assistant",
            "id": f"msg_{uuid.uuid4().hex}",
            "content": content,
        }
        return self.ship(said, session, **entry)

    def line(self, entry: dict[str, Any], path: str = "p/x.jsonl") -> str:
        """Archive any entry; returns its document's id."""
        key = uuid.uuid4().bytes + (self.seq + 1).to_bytes(8, "big")
        said = (
            datetime.fromisoformat(entry["timestamp"]) if "timestamp" in entry else None
        )
        about = {
            "entry": entry, "timestamp": said, "sourceFile": path,
            "sessionId": entry.get("sessionId"), "type": entry.get("type"),
        }  # fmt: skip
        size = len(orjson.dumps(entry, default=str)) + 1
        self.insert(key, about, datetime.now(UTC), size)
        return key.hex()

    def insert(
        self, key: bytes, fields: dict[str, Any], now: datetime, size: int = 9
    ) -> None:
        """Archive a document as it is."""
        self.seq += 1
        self.database.conversations.insert_one({
            "_id": Binary(key, 0), "host": "laptop", "buffer": self.buffer,
            "seq": self.seq, "kind": "line", "projectId": "p", "sessionId": RUNNING,
            "sourceFile": "p/x.jsonl", "ingestedAt": now,
            "source": {"file": "00", "gen": 0, "off": 4711, "len": size}, **fields,
        })  # fmt: skip
        self.acknowledge()

    def acknowledge(self) -> None:
        """Move the watermark to the last line."""
        self.database.watermarks.update_one(
            {"_id": self.buffer}, {"$set": {"acked_seq": self.seq}}, upsert=True
        )


def key_of(line_uuid: str) -> str:
    """Return the key that gold gives to an entry."""
    return md5(f"u:{line_uuid}".encode(), usedforsecurity=False).hexdigest()[:16]
