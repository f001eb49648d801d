"""The flusher against a real MongoDB, with a buffer that `buffer append` fills."""

import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pytest
from cclake_common.stop import Stop
from cclake_flusher.delivery import Delivery
from cclake_flusher.documents import MAX_BYTES
from cclake_flusher.flusher import Flusher, Settings, is_settled
from cclake_flusher.indexes import ReaderIndexes
from cclake_flusher.mongo import Mongo
from cclake_flusher.queue import Queue
from cclake_flusher.state import State
from cclake_flusher.text_index import Texts
from harness import BIN, Mongod, connect, free_port, wait_for
from pymongo.database import Database
from pymongo.errors import OperationFailure

PATH = "-home-me/a.jsonl"
Store = Database[dict[str, Any]]


def key(path: str = PATH) -> str:
    return blake2b(f"laptop\0{path}".encode(), digest_size=8).hexdigest()


class Bench:
    """A buffer and a database; `flush` delivers what waits, and returns."""

    def __init__(self, home: Path, uri: str, database: str) -> None:
        self.home, self.uri, self.name = home, uri, database
        self.path = home / "buffer.db"
        self.client = connect(uri, tz_aware=True)
        self.db: Store = self.client[database]
        self.ends: dict[tuple[str, int], int] = {}

    def append(
        self, *bodies: bytes, path: str = PATH, gen: int = 0, **more: Any
    ) -> None:
        """Append lines to a file's generation, with their checkpoint."""
        off = self.ends.get((path, gen), 0)
        where = {"host": "laptop", "path": path, "file": key(path), "gen": gen}
        records = []
        for body in bodies:
            line = {"kind": "line"} | where | {"off": off, "len": len(body) + 1}
            line["raw"] = base64.b64encode(body).decode()
            records.append(json.dumps(line))
            off += len(body) + 1
        self.ends[path, gen] = off
        checkpoint = {"kind": "checkpoint", "root": "/r", "off": off, "size": off}
        checkpoint |= {"state": "live"} | where | more
        self.feed(*records, json.dumps(checkpoint))

    def feed(self, *records: str) -> None:
        """Give records to `buffer append`."""
        subprocess.run(
            [BIN / "buffer", "append"],
            input="".join(record + "\n" for record in records).encode(),
            env=os.environ | {"CCLAKE_HOME": str(self.home)},
            check=True,
        )

    def flush(
        self, count: int = 1000, size: int = 8_000_000, has_index: bool = False
    ) -> State:
        """Deliver what waits, to a MongoDB without or with its text index."""
        handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
        stop, state = Stop(), State()
        stop.requested = True
        mongo = Mongo(self.uri, self.name)
        settings = Settings(self.path, "laptop", count, size)
        indexes = ReaderIndexes(self.uri, self.name)
        indexes.built = has_index
        Flusher(settings, mongo, indexes, state, stop).run()
        mongo.close()
        signal.signal(signal.SIGTERM, handlers[0])
        signal.signal(signal.SIGINT, handlers[1])
        return state

    def query(self, sql: str) -> list[Any]:
        connection = sqlite3.connect(self.path)
        rows = connection.execute(sql).fetchall()
        connection.close()
        return rows

    def counters(self) -> dict[str, int]:
        return dict(self.query("select name, value from counters"))

    def buffer_id(self) -> str:
        return str(self.query("select value from meta where name = 'buffer_id'")[0][0])

    def document(self, body: bytes) -> dict[str, Any]:
        digest = blake2b(body, digest_size=8).digest()
        found = [d for d in self.db.conversations.find() if d["_id"][16:] == digest]
        assert len(found) == 1
        return found[0]


@pytest.fixture
def bench(tmp_path: Path, mongod: Mongod, mongo_db: str) -> Iterator[Bench]:
    bench = Bench(tmp_path / "home", mongod.uri, mongo_db)
    yield bench
    bench.client.close()


def test_lines_files_and_the_watermark_arrive_and_the_queue_is_empty(
    bench: Bench,
) -> None:
    bench.append(b'{"type":"user","n":1}', b'{"type":"user","n":2}')
    state = bench.flush()
    assert (state.delivered, state.duplicates) == (2, 0)
    assert bench.query("select count(*) from queue") == [(0,)]
    assert bench.counters() | {"bytes_read": 0} == {
        "bytes_read": 0,
        "lines_read": 2,
        "delivered": 2,
        "duplicates": 0,
        "dead": 0,
    }
    mark = bench.db.watermarks.find_one({"_id": bench.buffer_id()})
    assert mark is not None
    assert (mark["acked_seq"], mark["host"]) == (2, "laptop")
    file = bench.db.files.find_one({"_id": key()})
    assert file is not None
    del file["at"]
    assert file.pop("checkpoint") == bench.query("select checkpoint from files")[0][0]
    assert file == {
        "_id": key(),
        "host": "laptop",
        "root": "/r",
        "path": PATH,
        "paths": [PATH],
        "gen": 0,
        "off": 44,
        "size": 44,
        "state": "live",
        "buffer": bench.buffer_id(),
    }
    assert bench.query("select delivered from files") == [(1,)]


def test_batches_end_by_count_and_by_bytes(bench: Bench) -> None:
    bench.append(*(b'{"n":%d}' % n for n in range(10)))
    assert bench.flush(count=4).batches == 3
    bench.append(*(b'{"n":%d,"x":"%s"}' % (n, b"x" * 1000) for n in range(10)))
    assert bench.flush(size=3000).batches == 4
    assert bench.db.conversations.count_documents({}) == 20


def test_a_checkpoint_without_lines_is_delivered_too(bench: Bench) -> None:
    bench.append(b"{}")
    bench.flush()
    bench.append(state="gone")
    bench.flush()
    file = bench.db.files.find_one({"_id": key()})
    assert file is not None
    assert file["state"] == "gone"


def test_a_file_keeps_all_its_former_paths(bench: Bench) -> None:
    bench.append(b"{}")
    bench.flush()
    bench.append(path=PATH, state="live", off=3)
    moved: dict[str, Any] = {
        "kind": "checkpoint",
        "host": "laptop",
        "root": "/r",
        "path": "b/c.jsonl",
    }
    moved |= {"file": key(), "gen": 0, "off": 3, "size": 3, "state": "live"}
    bench.feed(json.dumps(moved))
    bench.flush()
    file = bench.db.files.find_one({"_id": key()})
    assert file is not None
    assert (file["path"], file["paths"]) == ("b/c.jsonl", [PATH, "b/c.jsonl"])


def test_a_checkpoint_waits_for_its_lines(bench: Bench) -> None:
    bench.append(*(b'{"n":%d}' % n for n in range(3)))
    connection = sqlite3.connect(bench.path)
    connection.execute("update counters set value = value where 0")
    from cclake_flusher.queue import Queue

    queue = Queue(bench.path)
    assert queue.undelivered() == []
    queue.acked = 2
    assert queue.undelivered() == [], "the third line is not in MongoDB yet"
    queue.acked = 3
    assert [each.off for each in queue.undelivered()] == [24]
    queue.close()
    connection.close()


def test_a_repeated_line_is_counted_and_changes_nothing(bench: Bench) -> None:
    bench.append(b'{"n":1}')
    bench.flush()
    before = bench.document(b'{"n":1}')
    bench.ends.clear()
    bench.append(b'{"n":1}')
    state = bench.flush()
    assert (state.delivered, state.duplicates) == (0, 1)
    assert bench.document(b'{"n":1}') == before


def test_equal_lines_of_one_file_and_one_batch_are_two_documents(bench: Bench) -> None:
    bench.append(b'{"n":1}', b'{"n":1}')
    bench.flush()
    assert bench.db.conversations.count_documents({}) == 2


def test_a_newer_generation_updates_last_gen_of_lines_that_it_still_has(
    bench: Bench,
) -> None:
    bench.append(b'{"n":1}', b'{"n":2}')
    bench.flush()
    bench.append(b'{"n":1}', b'{"n":3}', gen=1)
    bench.flush()
    gens = {
        d["entry"]["n"]: (d["source"]["gen"], d["source"]["last_gen"])
        for d in bench.db.conversations.find()
    }
    assert gens == {1: (0, 1), 2: (0, 0), 3: (1, 1)}


def test_a_later_newline_changes_only_the_length(bench: Bench) -> None:
    where = {"host": "laptop", "path": PATH, "file": key(), "gen": 0}
    line = {"kind": "line"} | where | {"off": 0, "len": 2, "raw": "e30="}
    mark = {"kind": "checkpoint"} | where | {"off": 2, "size": 2}
    bench.feed(json.dumps(line), json.dumps(mark))
    bench.flush()
    before = bench.document(b"{}")
    bench.feed(json.dumps(line | {"len": 3}), json.dumps(mark | {"off": 3, "size": 3}))
    bench.flush()
    after = bench.document(b"{}")
    assert (before["source"].pop("len"), after["source"].pop("len")) == (2, 3)
    assert before == after


def lose(bench: Bench) -> str:
    """Lose the buffer; the id that it had."""
    lost = bench.buffer_id()
    for file in bench.home.glob("buffer.db*"):
        file.unlink()
    bench.ends.clear()
    return lost


def test_lines_that_a_lost_buffer_never_acknowledged_get_a_new_sequence_number(
    bench: Bench,
) -> None:
    bench.append(b'{"n":1}')
    bench.flush()
    # Another buffer inserted a line, and was lost before its watermark moved.
    other = {"buffer": "f" * 32, "seq": 9}
    bench.db.conversations.update_one({}, {"$set": other})
    bench.db.watermarks.insert_one({"_id": "f" * 32, "acked_seq": 8})
    lose(bench)
    bench.append(b'{"n":1}')
    bench.flush()
    found = bench.document(b'{"n":1}')
    assert (found["buffer"], found["seq"]) == (bench.buffer_id(), 1)


def test_lines_that_a_lost_buffer_acknowledged_keep_their_sequence_number(
    bench: Bench,
) -> None:
    bench.append(b'{"n":1}')
    bench.flush()
    lost = lose(bench)
    bench.append(b'{"n":1}')
    bench.flush()
    assert bench.document(b'{"n":1}')["buffer"] == lost


def test_after_a_lost_buffer_generations_continue_above_the_old_ones(
    bench: Bench,
) -> None:
    bench.append(b'{"n":1}', b'{"old":1}', gen=2)
    bench.flush()
    lose(bench)
    # While no buffer was there the file was rewritten; the tailer counts from 0.
    bench.append(b'{"n":1}', b'{"new":1}')
    bench.flush()
    file = bench.db.files.find_one({"_id": key()})
    assert file is not None
    assert file["gen"] == 3
    newest = bench.db.conversations.find({"source.last_gen": file["gen"]})
    assert [d["entry"] for d in newest.sort("_id", 1)] == [{"n": 1}, {"new": 1}]
    bench.append(b'{"more":1}')
    bench.flush()
    assert bench.document(b'{"more":1}')["source"]["gen"] == 3, "also after a restart"


DEEP = 190
POISON = [
    b"not json",
    b"",
    b"\xff\xfe",
    b'{"a":NaN}',
    b'{"a":18446744073709551616}',
    b'{"a":9223372036854775808}',
    b'{"a\\u0000":1}',
    b'{"a":"\\ud83d"}',
    b'{"$set":{"a.b":1}}',
    b'{"":1,"_id":5,"$x":1}',
    b'{"$ref":"a","$id":1}',
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"a":' * 1500 + b"1" + b"}" * 1500,
    b"[1]",
    b'{"a":[' + b"0," * 6_000_000 + b"0]}",
]


def test_poisonous_lines_do_not_stop_others_and_keep_their_bytes(
    bench: Bench,
) -> None:
    good = [b'{"n":%d}' % n for n in range(50)]
    bench.append(*good[:25], *POISON, *good[25:])
    state = bench.flush()
    assert state.delivered == len(good) + len(POISON)
    assert bench.query("select count(*) from dead_letters") == [(0,)]
    stored = [stored_bytes(bench.db, d) for d in bench.db.conversations.find()]
    assert sorted(stored) == sorted(good + POISON)


def stored_bytes(db: Store, document: dict[str, Any]) -> bytes:
    if "raw_file" in document:
        chunks = db["raw.chunks"].find({"files_id": document["raw_file"]}).sort("n", 1)
        return b"".join(chunk["data"] for chunk in chunks)
    return (
        bytes(document["raw"]) if "raw" in document else orjson.dumps(document["entry"])
    )


def test_a_line_over_twelve_megabytes_comes_back_from_gridfs(bench: Bench) -> None:
    body = orjson.dumps({"type": "user", "x": "y" * (MAX_BYTES + 5_000_000)})
    bench.append(body)
    bench.flush()
    found = bench.document(body)
    assert "entry" not in found
    assert "raw" not in found
    assert stored_bytes(bench.db, found) == body
    bench.ends.clear()
    bench.append(body)
    assert bench.flush().duplicates == 1
    assert bench.db["raw.files"].count_documents({}) == 1


def refuse(bench: Bench, validator: dict[str, Any]) -> None:
    """Let the collection refuse documents, as a team's rule might."""
    bench.db.create_collection("conversations", validator=validator)


def test_a_document_that_is_refused_parsed_is_stored_as_bytes(bench: Bench) -> None:
    refuse(bench, {"entry.secret": {"$exists": False}})
    bench.append(b'{"n":1}', b'{"secret":1}', b'{"n":2}')
    state = bench.flush()
    assert state.delivered == 3
    found = bench.document(b'{"secret":1}')
    assert bytes(found["raw"]) == b'{"secret":1}'
    assert found["error"].startswith("refused: ")


def test_a_line_that_is_refused_in_every_form_is_a_dead_letter(bench: Bench) -> None:
    refuse(bench, {"source.off": {"$ne": 8}})
    bench.append(b'{"n":1}', b'{"n":2}', b'{"n":3}')
    state = bench.flush()
    assert (state.delivered, dict(state.dead)) == (2, {"121": 1})
    letters = bench.query("select seq, off, len, code, body, reason from dead_letters")
    assert [row[:5] for row in letters] == [(2, 8, 8, 121, b'{"n":2}')]
    assert bench.counters()["dead"] == 1
    mark = bench.db.watermarks.find_one({"_id": bench.buffer_id()})
    assert mark is not None
    assert mark["acked_seq"] == 3
    names = {"conversations", "files", "watermarks", "format_guard"}
    assert set(bench.db.list_collection_names()) == names, "nothing else is left"
    bench.db.command("collMod", "conversations", validator={})
    tool: list[Any] = [BIN / "buffer", "dead-letters"]
    environ = os.environ | {"CCLAKE_HOME": str(bench.home)}
    listed = subprocess.run([*tool, "list", "--json"], env=environ, capture_output=True)
    letter = json.loads(listed.stdout)
    assert letter["reason"]
    age = datetime.now(UTC) - datetime.fromisoformat(letter["at"])
    assert timedelta() <= age < timedelta(minutes=5)
    shown = subprocess.run([*tool, "show", "1"], env=environ, capture_output=True)
    assert shown.stdout == b'{"n":2}\n'
    subprocess.run([*tool, "retry"], env=environ, check=True, capture_output=True)
    assert bench.flush().delivered == 1
    assert bench.db.conversations.count_documents({}) == 3
    assert bench.counters()["dead"] == 0


@pytest.mark.parametrize("refused", ["watermarks", "files"])
def test_no_line_leaves_the_buffer_before_the_watermark_is_above_it(
    bench: Bench, refused: str
) -> None:
    bench.db.create_collection(refused, validator={"_id": "nothing"})
    bench.append(b'{"n":1}', b'{"n":2}')
    environ = os.environ | {
        "CCLAKE_HOME": str(bench.home),
        "MONGO_URI": bench.uri,
        "MONGO_DB": bench.name,
        "HEALTH_PORT": str(free_port()),
        "SYNC_INTERVAL_MS": "100",
    }
    process = subprocess.Popen([BIN / "flusher", "run"], env=environ)
    try:
        wait_for(lambda: bench.db.conversations.count_documents({}) == 2)
        time.sleep(1)  # it goes on trying, with nothing new to deliver
        assert bench.query("select count(*) from queue") == [(2,)]
        bench.db.command("collMod", refused, validator={})
        wait_for(lambda: bench.query("select count(*) from queue") == [(0,)])
    finally:
        process.terminate()
        process.wait()
    mark = bench.db.watermarks.find_one({"_id": bench.buffer_id()})
    assert mark is not None
    assert mark["acked_seq"] == 2
    assert bench.counters()["delivered"] == 2


def test_a_watermark_that_a_killed_process_left_behind_is_updated(bench: Bench) -> None:
    bench.append(b'{"n":1}')
    bench.flush()
    bench.db.watermarks.delete_many({})
    bench.flush()
    mark = bench.db.watermarks.find_one({"_id": bench.buffer_id()})
    assert mark is not None
    assert mark["acked_seq"] == 1


def test_a_refusal_by_another_unique_index_is_not_a_duplicate(bench: Bench) -> None:
    bench.db.conversations.create_index("entry.n", unique=True)
    bench.db.conversations.create_index("source.off", unique=True)
    bench.append(b'{"n":1}')
    bench.append(b'{"n":1}', path="-home-me/b.jsonl")
    state = bench.flush()
    assert state.duplicates == 0
    assert bench.query("select code from dead_letters") == [(11000,)]


def test_unknown_types_and_fields_are_counted_by_version(bench: Bench) -> None:
    bench.append(
        b'{"type":"user","version":"2.1.0","message":{}}',
        b'{"type":"hologram","version":"3.0.0"}',
        b'{"type":"user","version":"3.0.0","newField":1}',
        b'{"type":"user","version":"3.0.0","newField":2}',
        b'{"type":5}',
        b'{"type":["user"],"version":[]}',
    )
    bench.flush()
    found = {
        tuple(each["_id"].values()): each["count"]
        for each in bench.db.format_guard.find()
    }
    assert found == {
        ("3.0.0", "type", "hologram"): 1,
        ("3.0.0", "field", "newField"): 2,
        ("unknown", "type", "int"): 1,
        ("unknown", "type", "list"): 1,
    }


def test_readers_indexes_wait_for_quiet_and_longer_after_a_backlog() -> None:
    assert not is_settled(now=9.0, last_lines=8.0, last_full=None)
    assert is_settled(now=9.0, last_lines=6.0, last_full=None)
    assert not is_settled(now=9.0, last_lines=6.0, last_full=6.0)  # the pipeline's turn
    assert is_settled(now=90.0, last_lines=80.0, last_full=6.0)


def test_a_text_search_in_mongodb_finds_what_was_said(bench: Bench) -> None:
    prompt = b'{"type":"user","message":{"content":"Bring mir den Zwetschgenkuchen"}}'
    answer = (
        b'{"type":"assistant","language":"klingon","message":{"content":'
        b'[{"type":"thinking","thinking":"rhubarb?"},{"type":"text","text":"cake"}]}}'
    )
    bench.append(prompt, answer, b'{"type":"user","toolUseResult":"rhubarb"}')
    bench.flush()
    indexes = ReaderIndexes(bench.uri, bench.name)
    indexes.build()
    wait_for(lambda: indexes.built, "the indexes are built")

    def found(words: str) -> list[Any]:
        wanted = {"$text": {"$search": words}}
        return [d["entry"] for d in bench.db.conversations.find(wanted)]

    assert found("zwetschgenkuchen") == [orjson.loads(prompt)]
    assert found("rhubarb") == [orjson.loads(answer)]
    assert found("nothing") == []
    names = {each["name"] for each in bench.db.conversations.list_indexes()}
    assert names == {
        *("_id_", "buffer_seq", "project_time", "session_time", "ingested", "words")
    }


def said(number: int) -> bytes:
    return b'{"type":"user","message":{"content":"word%d"}}' % number


def texts(bench: Bench) -> list[str | None]:
    found = bench.db.conversations.find({}, {"text": 1}).sort("seq")
    return [document.get("text") for document in found]


def filling(bench: Bench) -> Iterator[list[str | None]]:
    """Give a hundred documents their text at a time, as an idle flusher does."""
    mongo = Mongo(bench.uri, bench.name)
    mark = bench.db.watermarks.find_one({}) or {}
    filler = Texts(mongo)
    filler.open(mark["_id"], mark["acked_seq"])
    while filler.fill(mark["acked_seq"]):
        yield texts(bench)
    mongo.close()


def test_documents_get_their_text_after_delivery_where_the_index_is_built(
    bench: Bench,
) -> None:
    bench.append(said(0), b'{"type":"user","toolUseResult":"none"}')
    bench.flush()
    bench.append(*map(said, range(1, 151)), b"not JSON")
    bench.flush(has_index=True)
    assert texts(bench)[:3] == ["word0", None, None]
    first, second = filling(bench)
    assert first[100:104] == ["word99", "word100", None, None]
    assert second[100:] == [*(f"word{n}" for n in range(99, 151)), None]
    assert list(filling(bench)) == []


def test_a_repeated_document_gets_the_text_that_it_was_inserted_without(
    bench: Bench,
) -> None:
    bench.append(said(1))
    queue, mongo = Queue(bench.path), Mongo(bench.uri, bench.name)
    lines = queue.read(1000, 8_000_000)
    # The flusher is killed after this, and before the watermark.
    Delivery(mongo, State()).deliver(lines, queue.buffer, has_text=False)
    queue.close()
    mongo.close()
    bench.flush()
    assert texts(bench) == [None]
    assert list(filling(bench)) == [["word1"]]


def test_documents_of_a_replaced_buffer_get_their_text_too(bench: Bench) -> None:
    bench.append(said(0))
    bench.flush()
    bench.append(*map(said, range(1, 151)))
    bench.flush(has_index=True)
    for path in bench.home.glob("buffer.db*"):
        path.unlink()
    mongo = Mongo(bench.uri, bench.name)
    filler = Texts(mongo)
    filler.open("the next buffer", 0)
    assert [filler.fill(0) for _ in range(3)] == [True, True, False]
    assert texts(bench) == [f"word{n}" for n in range(151)]
    filler.open("another one", 0)
    assert not filler.fill(0)
    mongo.close()


def test_an_idle_flusher_builds_the_text_index_and_keeps_it_up_to_date(
    bench: Bench,
) -> None:
    bench.append(said(1))
    environment = os.environ | {"CCLAKE_HOME": str(bench.home), "MONGO_URI": bench.uri}
    options = ["--mongo-db", bench.name, "--sync-interval-ms", "100"]
    flusher = subprocess.Popen(
        [BIN / "flusher", "run", *options, "--health-port", str(free_port())],
        env=environment,
    )

    def finds(word: str) -> bool:
        wanted = {"$text": {"$search": word}}
        with suppress(OperationFailure):  # until the index is built
            return bool(bench.db.conversations.find_one(wanted))
        return False

    wait_for(lambda: finds("word1"), "the index is built")
    bench.append(said(2))
    wait_for(lambda: finds("word2"), "the next line is in the index")
    flusher.terminate()
    assert flusher.wait() == 0


def test_the_collection_and_its_indexes_are_compressed_with_zstd(bench: Bench) -> None:
    bench.append(b"{}")
    bench.flush()
    indexes = ReaderIndexes(bench.uri, bench.name)
    indexes.build()
    wait_for(lambda: indexes.built, "the indexes are built")
    stats = bench.db.command("collstats", "conversations", indexDetails=True)
    parts = {"documents": stats["wiredTiger"], **stats["indexDetails"]}
    assert len(parts) == 7
    for name, part in parts.items():
        assert "block_compressor=zstd" in part["creationString"], name


def test_the_driver_does_not_import_what_it_cannot_use() -> None:
    code = "import sys, cclake_flusher.cli; print('cryptography' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
