"""From the bytes of a line to its document, and back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import orjson
import pytest
from cclake_flusher import documents
from cclake_flusher.documents import (
    MAX_BYTES,
    Batch,
    Line,
    build,
    moment,
    project_of,
    session_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SESSION = "aaaaaaaa-1111-4111-8111-111111111111"
KEY = "9f86d081884c7d65"
FIXTURES = Path(__file__).parents[3] / "tests" / "fixtures"


def line(
    body: bytes, kind: str = "line", path: str = f"-home-me/{SESSION}.jsonl"
) -> Line:
    return Line(7, "laptop", path, KEY, 2, 4711, len(body) + 1, kind, 0.0, body)


def document(body: bytes, kind: str = "line") -> dict[str, Any]:
    return dict(bson.decode(build(line(body, kind), Batch("buffer", NOW)).data))


def bytes_of(found: dict[str, Any]) -> bytes:
    return bytes(found["raw"]) if "raw" in found else orjson.dumps(found["entry"])


def test_a_plain_line_is_stored_parsed_and_without_its_bytes() -> None:
    body = orjson.dumps(
        {
            "type": "user",
            "uuid": "u1",
            "sessionId": "s1",
            "timestamp": "2026-08-05T10:00:00.123Z",
            "message": {"role": "user", "content": "hello world"},
        }
    )
    found = document(body)
    assert found == {
        "_id": bytes.fromhex(KEY) + (4711).to_bytes(8, "big") + found["_id"][16:],
        "host": "laptop",
        "buffer": "buffer",
        "seq": 7,
        "kind": "line",
        "projectId": "-home-me",
        "sourceFile": f"-home-me/{SESSION}.jsonl",
        "sessionId": "s1",
        "type": "user",
        "uuid": "u1",
        "timestamp": datetime(2026, 8, 5, 10, 0, 0, 123000),
        "ingestedAt": NOW.replace(tzinfo=None),
        "source": {
            "file": KEY,
            "gen": 2,
            "last_gen": 2,
            "off": 4711,
            "len": len(body) + 1,
        },
        "entry": orjson.loads(body),
        "text": "hello world",
    }
    assert len(found["_id"]) == 24


POISON = {
    "a splice": b'{"type":"user","cut{"type":"user","uuid":"u2"}',
    "two records": b'{"uuid":"u1"}{"uuid":"u2"}',
    "a NUL run": b"\0\0\0",
    "an empty line": b"",
    "bytes that are no UTF-8": b'{"a":"\xff\xfe"}',
    "half a surrogate pair": b'{"a":"\\ud83d"}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":1e400}',
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "2**63": b'{"a":9223372036854775808}',
    "2**64, which a float would swallow": b'{"a":18446744073709551616}',
    "-2**63 - 1": b'{"a":-9223372036854775809}',
    "a NUL in a key": b'{"a\\u0000b":1}',
    "nesting of 150": b'{"a":' * 150 + b"1" + b"}" * 150,
    "nesting of 5000": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "an integer of 5000 digits": b'{"a":' + b"7" * 5000 + b"}",
    "broken, and 600 deep": b'{"a":' + b"[" * 600 + b"]" * 600 + b'}{"b":1}',
    "an array": b"[1,2]",
    "a scalar": b"12",
    "300 keys": orjson.dumps({f"k{n}": n for n in range(300)}),
    "a string spread over numbered keys": orjson.dumps(
        {str(n): "x" for n in range(40)}
    ),
    "a database reference": b'{"x":{"$ref":"c","$id":1}}',
    "an escaped database reference": b'{"x":{"\\u0024ref":"c","$id":1}}',
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON.keys())
def test_what_bson_cannot_hold_is_stored_as_bytes_with_the_reason(body: bytes) -> None:
    found = document(body)
    assert bytes(found["raw"]) == body
    assert found["error"]
    assert "entry" not in found


FAITHFUL = {
    "an operator as a key": b'{"$set":{"a.b":1}}',
    "an empty key": b'{"":1}',
    "its own _id": b'{"_id":5}',
    "a $ref that is a schema's": b'{"$ref":"#/definitions/a"}',
    "NUL in a value": b'{"a":"x\\u0000y"}',
    "2**63 - 1": b'{"a":9223372036854775807}',
    "line separators": '{"a":"x\u2028\u2029\x85y"}'.encode(),
    "arrays and nulls": b'{"a":[1,null,[],{}],"b":null,"c":1.5,"d":true}',
}


@pytest.mark.parametrize("body", FAITHFUL.values(), ids=FAITHFUL.keys())
def test_odd_but_faithful_lines_are_stored_parsed(body: bytes) -> None:
    found = document(body)
    assert orjson.dumps(found["entry"]) == body
    assert "raw" not in found
    assert "error" not in found


UNEQUAL = {
    "duplicate keys": b'{"a":1,"a":2}',
    "spaces": b'{"a": 1}',
    "escapes that are not needed": b'{"a":"\\u00e9\\/"}',
    "another way to write a number": b'{"a":1E5,"b":1.50}',
    "a carriage return": b'{"a":1}\r',
}


@pytest.mark.parametrize("body", UNEQUAL.values(), ids=UNEQUAL.keys())
def test_a_line_that_does_not_round_trip_keeps_its_bytes_as_well(
    body: bytes,
) -> None:
    found = document(body)
    assert "entry" in found
    assert bytes(found["raw"]) == body
    assert "error" not in found


def test_a_chunk_keeps_its_bytes_and_has_no_error() -> None:
    found = document(b"any\nbytes \xff", kind="chunk")
    assert bytes(found["raw"]) == b"any\nbytes \xff"
    assert found["kind"] == "chunk"
    assert found["sessionId"] == SESSION
    assert "error" not in found


def test_a_line_over_twelve_megabytes_goes_to_gridfs() -> None:
    body = orjson.dumps(
        {
            "message": {"type": "inner", "x": ['"}', "uuid", {"uuid": "no"}]},
            "type": "user",
            "text": 'x"}' * (MAX_BYTES // 3),
            "uuid": "type",
            "n": 1,
            "timestamp": "2026-08-05T10:00:00.000Z",
        }
    )
    made = build(line(body), Batch("buffer", NOW))
    found = bson.decode(made.data)
    assert made.in_gridfs
    assert "raw_file" in found
    assert "raw" not in found
    assert "entry" not in found
    assert len(made.data) < 10_000
    assert (found["type"], found["uuid"]) == ("user", "type")
    assert found["timestamp"] == datetime(2026, 8, 5, 10)
    assert found["sessionId"] == SESSION
    again = bson.decode(build(line(body), Batch("other", NOW)).data)
    assert again["raw_file"] == found["raw_file"], "a repeat finds the same file"


def test_a_broken_line_over_twelve_megabytes_goes_to_gridfs_too() -> None:
    for body in (b'{"type":"user"' * (MAX_BYTES // 10), b"\0" * (MAX_BYTES + 1)):
        found = bson.decode(build(line(body), Batch("buffer", NOW)).data)
        assert "raw_file" in found
        assert found["type"] is None


def test_all_but_one_message_of_the_corrupt_fixture_are_recovered() -> None:
    folder = FIXTURES / "corrupt"
    expected = json.loads((folder / "expected.json").read_bytes())
    (source,) = folder.glob("projects/*/*.jsonl")
    bodies = source.read_bytes().split(b"\n")
    documents = [document(body) for body in bodies]
    assert b"\n".join(bytes_of(found) for found in documents) == source.read_bytes()
    entries = [each for found in documents for each in _entries(found)]
    messages = [each["message"] for each in entries if "message" in each]
    assert [m["id"] for m in messages if "id" in m] == expected["recoverable_messages"]
    assert any(b"m3" in bytes_of(found) and "error" in found for found in documents)


def _entries(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [found["entry"]] if "entry" in found else list(found.get("salvaged", []))


KEYS = st.text(max_size=6) | st.sampled_from(["$ref", "$id", "a.b", "type", "0", "_id"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["\ud83d", "\0", "\u2028"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_every_json_value_comes_back_byte_for_byte(
    value: Any, ascii_only: bool, separators: tuple[str, str]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
    body = text.encode("utf-8", "surrogatepass")
    assert bytes_of(document(body)) == body


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_arbitrary_bytes_round_trip(body: bytes) -> None:
    assert bytes_of(document(body)) == body


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-08-05T10:00:00.000Z", datetime(2026, 8, 5, 10, tzinfo=UTC)),
        ("2026-08-05T12:00:00+02:00", datetime(2026, 8, 5, 10, tzinfo=UTC)),
        ("2026-08-05T10:00:00", datetime(2026, 8, 5, 10, tzinfo=UTC)),
        (1785924000000, datetime(2026, 8, 5, 10, tzinfo=UTC)),
        ("yesterday, or the day before", None),
        ("9999-99-99T99:99:99Z", None),
        ("0001-01-01T00:00:00+10:00", None),
        ("9999-12-31T23:59:59-10:00", None),
        (True, None),
        (1e300, None),
        (None, None),
        ({}, None),
    ],
)
def test_timestamps_are_read_or_left_empty(value: object, expected: object) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"]
)
def test_a_time_that_no_store_can_hold_is_kept_as_text(moment: str) -> None:
    found = document(orjson.dumps({"type": "user", "timestamp": moment}))
    assert found["entry"]["timestamp"] == moment
    assert found["timestamp"] is None


def test_a_line_that_crashes_the_parser_is_stored_as_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents, "search_text", lambda _entry: 1 // 0)
    found = document(b'{"type":"user"}')
    assert bytes(found["raw"]) == b'{"type":"user"}'
    assert found["error"].startswith("not understood: ZeroDivisionError")


def test_project_and_session_follow_from_the_path() -> None:
    agent = f"-home-me/{SESSION}/subagents/agent-a1.jsonl"
    assert (project_of(agent), session_of(agent)) == ("-home-me", SESSION)
    assert (project_of("../history.jsonl"), session_of("../history.jsonl")) == (
        None,
        None,
    )
    assert project_of("stray.jsonl") is None
    assert project_of("stray.jsonl", "/home/me/.claude/projects") is None
    assert (
        project_of("stray.jsonl", "/home/me/.claude/projects/-home-me/") == "-home-me"
    )
