"""Recover the records of a broken line, and only records."""

import json
from typing import Any

import pytest
from cclake_flusher.salvage import salvage
from hypothesis import given, settings
from hypothesis import strategies as st

WHOLE = b'{"uuid":"u2","type":"user","message":{"content":"hi"}}'
RECORD = {"uuid": "u2", "type": "user", "message": {"content": "hi"}}


@pytest.mark.parametrize(
    "cut",
    [
        b'{"uuid":"u1","type":"us',
        b'{"uuid":"u1","message":',
        b'{"uuid":"u1","message":{"content":[',
        b'{"uuid":"u1","message":{"content":[{"type":"text","text":"a"}',
        b'{"uuid":"u1","message":{"usage":{"input_tokens":1},',
        b'{"uuid":"u1",',
        b"{",
        b'"',
        b"garbage",
        b"\0\0\0",
    ],
)
def test_the_record_behind_a_cut_one_is_recovered_alone(cut: bytes) -> None:
    assert salvage(cut + WHOLE) == [RECORD]


def test_records_without_a_newline_between_them_are_recovered_in_order() -> None:
    joined = WHOLE + b" " + WHOLE.replace(b"u2", b"u3") + b"\0\0" + WHOLE
    assert [each["uuid"] for each in salvage(joined)] == ["u2", "u3", "u2"]


def test_a_part_of_a_cut_record_is_not_a_record() -> None:
    assert salvage(b'{"uuid":"u1","message":{"content":"x"}') == []
    assert salvage(b'{"a":{"type":"text","text":"x"}') == []


def test_halves_of_surrogate_pairs_are_replaced_in_keys_too() -> None:
    found = salvage(b'{"a\\ud83d":["\\udc00x",{"b":"\\ud83d"}]}')
    assert found == [{"a\ufffd": ["\ufffdx", {"b": "\ufffd"}]}]


def test_numbers_that_json_does_not_have_become_null() -> None:
    assert salvage(b'{"a":NaN,"b":-Infinity,"c":1e999}') == [
        {"a": None, "b": None, "c": None}
    ]


def test_what_mongodb_cannot_hold_is_not_salvaged() -> None:
    assert salvage(b'{"uuid":"u1","n":18446744073709551616}{"uuid":"u2"}') == [
        {"uuid": "u2"}
    ]


def test_an_integer_that_python_refuses_becomes_null() -> None:
    assert salvage(b'{"uuid":"u1","n":' + b"7" * 5_000 + b"}") == [
        {"uuid": "u1", "n": None}
    ]


@pytest.mark.parametrize("depth", [120, 300, 600, 900, 100_000])
def test_values_that_are_nested_too_deeply_are_left_out(depth: int) -> None:
    deep = b'{"uuid":"u1","a":' + b"[" * depth + b"]" * depth + b"}"
    assert salvage(deep + WHOLE) in ([RECORD], [])


@pytest.mark.parametrize(
    "hostile",
    [b'{"a":' * 200_000, b'{"' * 100_000, b'{"a":1},' * 100_000, b"\0" * 5_000_000],
)
def test_hostile_lines_take_linear_time(hostile: bytes) -> None:
    decoder = Counting()
    salvage(hostile, decoder)
    assert decoder.scanned < 10 * len(hostile) + 200_000


class Counting(json.JSONDecoder):
    """Counts the characters that were looked at."""

    scanned = 0

    def raw_decode(self, s: str, idx: int = 0) -> Any:
        try:
            value, end = super().raw_decode(s, idx)
        except json.JSONDecodeError as error:
            self.scanned += error.pos - idx
            raise
        self.scanned += end - idx
        return value, end


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_raise_an_error(body: bytes) -> None:
    assert all(isinstance(each, dict) for each in salvage(body))
    assert RECORD in salvage(body.replace(b'"', b"").replace(b"\\", b"") + WHOLE)
