"""Ids, lines, watermarks and checkpoints, as the flusher stores them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Binary, Int64, ObjectId
from bson.dbref import DBRef
from cclake_archive.checkpoints import Checkpoint, hosts, read_checkpoints
from cclake_archive.ids import (
    content_hash,
    document_id,
    gridfs_id,
    hash_of,
    key_range,
    lowest_id,
    offset_of,
)
from cclake_archive.lines import BrokenLine, line_bytes, stored_bytes
from cclake_archive.watermarks import acknowledged, total
from gridfs import GridFSBucket
from harness import Mongod, connect
from hypothesis import given
from hypothesis.strategies import binary, integers
from pymongo.database import Database

KEY = "9f86d081884c7d65"
NEXT = "9f86d081884c7d66"


@pytest.fixture
def database(mongod: Mongod, mongo_db: str) -> Iterator[Database[Any]]:
    with connect(mongod.uri) as client:
        yield client[mongo_db]


@given(integers(0, 2**63 - 1), binary())
def test_an_id_is_file_offset_and_hash(off: int, line: bytes) -> None:
    identity = document_id(KEY, off, line)
    assert len(identity) == 24
    assert identity.startswith(bytes.fromhex(KEY))
    assert offset_of(identity) == off
    assert hash_of(identity) == content_hash(line)
    assert lowest_id(KEY, off) <= identity < lowest_id(KEY, off + 1)
    assert gridfs_id(identity) == gridfs_id(identity)


def test_a_range_holds_the_lines_of_a_file_from_an_offset_on(
    database: Database[Any],
) -> None:
    ids = [document_id(KEY, off, b"x") for off in (0, 7, 2**40)]
    others = [document_id(NEXT, 0, b"x"), document_id("0" * 16, 0, b"x")]
    database.conversations.insert_many({"_id": Binary(i)} for i in ids + others)

    def found(start: int) -> list[bytes]:
        wanted = {"_id": key_range(KEY, start)}
        return [bytes(one["_id"]) for one in database.conversations.find(wanted)]

    assert found(0) == ids
    assert found(7) == ids[1:]
    assert found(8) == ids[2:]


def test_a_line_is_its_raw_bytes_its_file_or_its_entry(
    database: Database[Any],
) -> None:
    name = ObjectId()
    GridFSBucket(database, "raw").upload_from_stream_with_id(name, "x", b"in GridFS")
    entry = {"b": "ä", "a": [1, None, 0.5]}
    assert line_bytes(database, {"raw": b"", "entry": entry}) == b""
    assert line_bytes(database, {"raw_file": name}) == b"in GridFS"
    assert line_bytes(database, {"entry": entry}) == (
        '{"b":"ä","a":[1,null,0.5]}'.encode()
    )
    assert stored_bytes(database, {"entry": entry}) is None


def test_an_entry_with_the_keys_of_a_reference_is_serialised_as_it_was(
    database: Database[Any],
) -> None:
    identity = Binary(document_id(KEY, 0, b"x"))
    entry = {"x": [{"$ref": "a", "$id": "b"}]}
    database.conversations.insert_one({"_id": identity, "entry": entry})
    document = database.conversations.find_one({"_id": identity})
    assert document
    assert isinstance(document["entry"]["x"][0], DBRef)
    assert line_bytes(database, document) == b'{"x":[{"$ref":"a","$id":"b"}]}'


def test_a_document_without_its_line_is_broken(database: Database[Any]) -> None:
    identity = Binary(document_id(KEY, 0, b"x"))
    database.conversations.insert_one({"_id": identity, "entry": {"x": Binary(b"y")}})
    document = database.conversations.find_one({"_id": identity})
    assert document
    with pytest.raises(BrokenLine, match="not JSON"):
        line_bytes(database, document)
    with pytest.raises(BrokenLine, match="neither entry nor raw"):
        line_bytes(database, {"_id": identity})
    with pytest.raises(BrokenLine, match="missing in GridFS"):
        line_bytes(database, {"raw_file": ObjectId()})


def test_a_watermark_counts_from_nothing(database: Database[Any]) -> None:
    assert acknowledged(database) == {}
    assert total(database) == 0
    marks = [{"_id": "a", "acked_seq": Int64(5)}, {"_id": "b", "acked_seq": Int64(7)}]
    database.watermarks.insert_many([*marks, {"_id": "new"}])
    assert acknowledged(database) == {"a": 5, "b": 7, "new": 0}
    assert acknowledged(database, {"a", "unknown"}) == {"a": 5}
    assert acknowledged(database, set()) == {}
    assert total(database) == 12


def test_checkpoints_come_by_host_and_path(database: Database[Any]) -> None:
    def stored(key: str, host: str, path: str, **more: Any) -> dict[str, Any]:
        place = {"_id": key, "host": host, "root": "/r", "path": path}
        return {**place, "gen": 0, "off": Int64(9), "checkpoint": "{}", **more}

    database.files.insert_many(
        [
            stored("3", "b", "a.jsonl", state="gone"),
            stored("2", "a", "z.jsonl", at=datetime(2026, 1, 1, tzinfo=UTC)),
            stored("1", "a", "../history.jsonl", root=None),
        ]
    )
    assert [point.key for point in read_checkpoints(database)] == ["1", "2", "3"]
    (gone,) = read_checkpoints(database, "b")
    assert gone == Checkpoint("3", "b", "/r", "a.jsonl", 0, 9, "gone")
    assert str(gone.on_disk) == "/r/a.jsonl"
    assert hosts(database) == ["a", "b"]


def test_the_history_lies_beside_its_root() -> None:
    point = Checkpoint("1", "a", "/me/projects", "../history.jsonl", 0, 9, "live")
    assert str(point.on_disk) == "/me/history.jsonl"
    assert point == replace(point, at="now")
