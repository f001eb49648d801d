"""The entry column: the line's own bytes wherever engines can read them."""

import json
from typing import Any

import orjson
import pytest
from cclake_extract.entry import parse_object
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES), st.integers(0, 3))
def test_the_bytes_of_any_object_are_kept_as_they_are(
    value: dict[str, Any], indent: int
) -> None:
    line = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    assert parse_object(line) == (line, value)


@given(st.dictionaries(st.text(max_size=3), st.lists(st.text(max_size=4))))
def test_half_surrogates_are_replaced_and_all_else_is_kept(
    value: dict[str, Any],
) -> None:
    value["half"] = 'a\ud800b \\u \\\\ud83d "'
    value["pair"] = "\U0001f600"
    text, found = parse_object(json.dumps(value).encode())
    assert text is not None and found is not None
    assert found == orjson.loads(text)
    assert found["half"] == 'a�b \\u \\\\ud83d "'
    assert {k: v for k, v in found.items() if k != "half"} == {
        k: v for k, v in value.items() if k != "half"
    }


@pytest.mark.parametrize(
    "line",
    [b"", b"[1]", b"1", b'"x"', b"null", b'{"a":', b'{"a":1}{"b":2}', b"\xff{}", b"\0"],
)
def test_what_is_not_one_object_is_no_entry(line: bytes) -> None:
    assert parse_object(line) == (None, None)


@given(st.binary(max_size=40))
def test_no_bytes_raise_an_error(line: bytes) -> None:
    text, found = parse_object(line)
    assert (text is None) == (found is None)
    if text is not None:
        assert orjson.loads(text) == found
