"""Check sections 1 to 3 of docs/contracts.md with the real tools."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from harness import Mongod
from ledger import file_key, line_id
from live import Live

SESSION = "5f5f5f5f-1111-4111-8111-111111111111"
LOG = f"-home-me-x/{SESSION}.jsonl"
ENTRY = b'{"type":"user","uuid":"u1","message":{"content":"hello"},"n":1.50}'
PLAIN = b'{"type":"assistant","sessionId":"s1","message":{"content":[]}}'
BROKEN = b'{"type":"user","cut{"type":"user","uuid":"u2"}'
CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts.md"


@pytest.fixture
def live(tmp_path: Path, mongod: Mongod, mongo_db: str) -> Iterator[Live]:
    with Live(tmp_path, mongod.uri, MONGO_DB=mongo_db) as live:
        yield live


def by_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in found if each["kind"] == kind]


def test_the_pipe_carries_lines_chunks_and_checkpoints_as_documented(
    live: Live,
) -> None:
    live.ledger.append(LOG, ENTRY, BROKEN)
    meta = live.root / f"-home-me-x/{SESSION}/subagents/agent-a1.meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_bytes(b'{"agentType":"x"}')
    text = live.run("tailer", "--once")
    assert b'"entry":' + ENTRY + b"}\n" in text.encode(), "verbatim, and the last key"
    found = [json.loads(line) for line in text.splitlines()]
    first, broken = by_kind(found, "line")
    where = {"host": "testhost", "path": LOG, "file": file_key("testhost", LOG)}
    assert first == {"kind": "line"} | where | {
        "gen": 0,
        "off": 0,
        "len": len(ENTRY) + 1,
        "entry": json.loads(ENTRY),
    }
    assert broken["off"] == first["len"]
    assert broken.keys() - first.keys() == {"raw", "error"}
    (chunk,) = by_kind(found, "chunk")
    assert chunk["len"] == len(b'{"agentType":"x"}')
    assert "error" not in chunk
    for mark in by_kind(found, "checkpoint"):
        promised = {
            *("kind", "host", "root", "path", "file", "gen", "off", "size", "state"),
            *("dev", "ino", "handle", "head_len", "head", "tail_len", "tail"),
        }
        assert promised <= mark.keys()
    last = {each["path"]: each for each in by_kind(found, "checkpoint")}[LOG]
    assert last["off"] == last["size"] == len(ENTRY) + len(BROKEN) + 2


def test_the_buffer_has_the_documented_tables_and_columns(live: Live) -> None:
    live.ledger.append(LOG, ENTRY)
    live.run("bash", "-c", "buffer append < <(exec tailer --once)")
    connection = sqlite3.connect(live.buffer)
    section = CONTRACTS.read_text().split("## 2. ")[1].split("## 3. ")[0]
    tables = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert {name for name, _columns in tables} >= {"queue", "files", "dead_letters"}
    for name, columns in tables:
        if name == "meta":
            continue
        promised = set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", columns)))
        rows = connection.execute(f"pragma table_info({name})").fetchall()
        assert promised == {row[1] for row in rows}, name
    connection.close()


def test_the_document_has_the_documented_fields(live: Live) -> None:
    live.ledger.append(LOG, ENTRY, PLAIN, BROKEN)
    live.start()
    live.wait_delivered()
    stored = live.database.conversations.find().sort("_id", 1)
    entry, plain, broken = list(stored)
    section = CONTRACTS.read_text().split("### conversations")[1].split("###")[0]
    fields = set(
        re.findall(
            r"`(\w+)`", " ".join(re.findall(r"^\| (.+?) \|", section, re.MULTILINE))
        )
    )
    for document in (entry, plain, broken):
        assert document.keys() <= fields
    always = {
        *("_id", "host", "buffer", "seq", "kind", "projectId", "sourceFile"),
        *("sessionId", "type", "uuid", "timestamp", "ingestedAt", "source"),
    }
    assert all(always <= document.keys() for document in (entry, plain, broken))
    key = file_key("testhost", LOG)
    assert bytes(entry["_id"]) == line_id(key, 0, ENTRY)
    assert bytes(plain["_id"]) == line_id(key, len(ENTRY) + 1, PLAIN)
    assert isinstance(entry["seq"], bson.Int64)
    assert (plain["sessionId"], entry["sessionId"]) == ("s1", SESSION)
    assert bytes(entry["raw"]) == ENTRY, "1.50 does not come back from a number"
    assert "raw" not in plain
    assert "entry" not in broken
    assert [each["uuid"] for each in broken["salvaged"]] == ["u2"]
    assert entry["text"] == "hello"
    ends = [d["source"]["off"] + d["source"]["len"] for d in (entry, plain, broken)]
    assert ends == [plain["source"]["off"], broken["source"]["off"], ends[2]]
    file = live.database.files.find_one({"_id": key})
    assert file is not None
    assert file["off"] == ends[2]
    mark = live.database.watermarks.find_one({"_id": entry["buffer"]})
    assert mark is not None
    assert mark["acked_seq"] == 3
