"""Every physical line of a log tree has exactly one document, through the real tools.

Set CCLAKE_REAL_LOGS to a folder with real logs to run this over them, too.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pytest
from corpus import ingest, run
from gridfs import GridFSBucket
from harness import PATIENCE, Mongod, connect
from pymongo.database import Database

REAL = os.environ.get("CCLAKE_REAL_LOGS")
FIXTURES = Path(__file__).parents[1] / "fixtures"


def _real() -> Path:
    if not REAL:
        pytest.skip("CCLAKE_REAL_LOGS is not set")
    return Path(REAL)


def _parity(folder: Path) -> Path:
    generator = FIXTURES / "parity" / "generate.py"
    command = [sys.executable, str(generator), str(folder), "6", "20"]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    return folder


HOSTILE = [
    b"", b"\r", b" ", b"{}", b'{"a":1}\r', b"\xef\xbb\xbf{}", b"null", b"[1,2]", b'"text"',
    b'{"a":1}{"b":2}', b'{"cut":{"of', b"\x00" * 5000, b"\xff\xfe\xfd", b'{"s":"\\ud83d"}',
    b'{"a":NaN}', b'{"a":1e400}', b'{"a":1.0,"b":1e2,"c":-0.0,"d":0.1}', b'{ "a" : 1 }',
    b'{"a":9223372036854775808}', b'{"a":-9223372036854775809}', b'{"a":2e3}',
    b'{"a":123456789012345678901234567890}', b'{"a":1,"a":2}', b'{"":{"":""}}',
    b'{"_id":7,"$set":{"a.b":1},"$where":"x"}', b'{"a":{"$ref":"c","$id":1,"$db":"d"}}',
    b'{"a":[{"$ref":"c","x":1,"$id":null}]}', b'{"k\\u0000ey":1}', b'{"k":"v\\u0000"}',
    b'{"deep":' * 250 + b"1" + b"}" * 250, b"[" * 3000 + b"]" * 3000,
    b'{"keys":{' + b",".join(b'"%d":0' % n for n in range(5000)) + b"}}",
    b'{"list":[' + b"0," * 50_000 + b"0]}", '{"ü":"\u2028 雪"}'.encode(),
    b'{"timestamp":"not a time","type":7,"uuid":{},"sessionId":[]}',
    b'{"timestamp":"9999-99-99T00:00:00Z","language":"klingon"}',
    b'{"long":"' + b"x" * 13_000_000 + b'"}', b'{"n":[' + b"0," * 1_500_000 + b"0]}",
]  # fmt: skip


def _hostile(folder: Path) -> Path:
    """Write files with every kind of invalid content and name."""
    lines = b"".join(line + b"\n" for line in HOSTILE)
    for name in (b"plain.jsonl", b"\xff\xfe not utf-8.jsonl", b"new\nline \x1b.jsonl"):
        place = folder / "-home-me-x" / os.fsdecode(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(lines if name == b"plain.jsonl" else lines[:9000])
    return folder


@pytest.fixture(params=["corrupt", "pricing", "parity", "hostile", "real"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Copy each tree below a root of its own."""
    place = tmp_path / "projects"
    if request.param == "parity":
        return _parity(place)
    if request.param == "hostile":
        return _hostile(place)
    if request.param == "real":
        shutil.copytree(_real(), place)
    else:
        shutil.copytree(FIXTURES / request.param / "projects", place)
    return place


@pytest.fixture
def db(mongod: Mongod, mongo_db: str) -> Iterator[Database[Any]]:
    with connect(mongod.uri) as client:
        yield client[mongo_db]


def logs_below(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.name.endswith((".jsonl", ".meta.json"))
    )


def shown(path: str) -> str:
    """Return a path as records spell it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def physical_lines(data: bytes) -> list[tuple[int, bytes]]:
    lines, off = [], 0
    for line in data.split(b"\n"):
        lines.append((off, line))
        off += len(line) + 1
    return lines if lines[-1][1] else lines[:-1]


def bytes_of(db: Database[Any], document: dict[str, Any]) -> bytes:
    if "raw_file" in document:
        with GridFSBucket(db, "raw").open_download_stream(document["raw_file"]) as file:
            return bytes(file.read())
    if "raw" in document:
        return bytes(document["raw"])
    return orjson.dumps(document["entry"])


def is_torn(line: bytes) -> bool:
    try:
        return not isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return True


def test_every_physical_line_has_exactly_one_document(
    root: Path, db: Database[Any], tmp_path: Path
) -> None:
    ingest(root, home=tmp_path / "home")
    expected = {}
    for path in (one for one in logs_below(root) if one.endswith(".jsonl")):
        data = (root / path).read_bytes()
        lines = physical_lines(data)
        if not data.endswith(b"\n") and lines and is_torn(lines[-1][1]):
            lines.pop()  # an incomplete line
        for off, line in lines:
            digest = blake2b(line, digest_size=8).hexdigest()
            expected[shown(path), off, digest] = line
    stored: dict[tuple[str, int, str], list[bytes]] = {}
    for document in db.conversations.find({"kind": "line"}):
        identity = bytes(document["_id"])
        off = int.from_bytes(identity[8:16], "big")
        place = (document["sourceFile"], off, identity[16:].hex())
        stored.setdefault(place, []).append(bytes_of(db, document))
    assert stored.keys() == expected.keys()
    wrong = [place for place, found in stored.items() if found != [expected[place]]]
    assert len(expected) > 5
    assert wrong == []


def test_file_by_file_the_bytes_come_back_and_the_proof_holds(
    root: Path, db: Database[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(root, home=tmp_path / "home")
    monkeypatch.setenv("CLAUDE_DIR", str(root))
    proof = run("verify", "--json", "--grace", "0")
    report = json.loads(proof.stdout)
    faults = [one["faults"] for one in report["findings"] if one["faults"]]
    assert (proof.returncode, faults) == (0, [])
    assert len(report["findings"]) == len(logs_below(root))
    assert db.conversations.count_documents({}) == report["lines"]
    out = tmp_path / "out"
    done = run("restore", "--out", str(out))
    assert done.returncode == 0, done.stderr
    for path in logs_below(root):
        data = (root / path).read_bytes()
        if path.endswith(".jsonl") and not data.endswith(b"\n"):
            last = data.rpartition(b"\n")[2]
            data = data[: -len(last)] if is_torn(last) else data
        assert (out / shown(path)).read_bytes() == data, (
            f"file {logs_below(root).index(path)}"
        )


def test_a_second_run_reads_and_stores_nothing(
    root: Path, db: Database[Any], tmp_path: Path
) -> None:
    ingest(root, home=tmp_path / "home")
    first = {bytes(one["_id"]) for one in db.conversations.find({}, {"_id": 1})}
    ingest(root, home=tmp_path / "home")
    status = run(
        "buffer", "status", "--json",
        env={"SQLITE_PATH": str(tmp_path / "home" / "buffer.db")},
    )  # fmt: skip
    assert status.returncode == 0, status.stderr
    # After the buffer is lost, the whole tree is read again: nothing is stored twice.
    ingest(root, home=tmp_path / "another")
    assert {bytes(one["_id"]) for one in db.conversations.find({}, {"_id": 1})} == first
    assert db.conversations.count_documents({}) == len(first)
