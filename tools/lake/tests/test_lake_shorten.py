"""Long lines keep their record, and lose only the ends of their texts."""

import json
from typing import Any

import pytest
from cclake_lake.long_lines import TEXT_BYTES, shorten

WORDS = 'plain text, an "escape" and \\ a tab\t, '
TEXTS = {
    "ascii": WORDS,
    "accents": WORDS + "été ",
    "han": WORDS + "日本語",
    "emoji": WORDS + "\N{PARTY POPPER}",
    "backslashes": "\\" * 7,
    "quotes": '"',
    "escapes": "\x01\x02",
}


def record(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": text}]
    return {"type": "user", "uuid": "u1", "message": {"content": content}, **more}


def shortened(entry: dict[str, Any], ascii_only: bool = False) -> dict[str, Any]:
    line = json.dumps(entry, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    found = shorten(line)
    assert len(found) < 41_000_000
    value: dict[str, Any] = json.loads(found.decode())
    return value


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_a_long_text_is_cut_and_the_rest_of_the_record_stays(
    name: str, ascii_only: bool
) -> None:
    text = TEXTS[name] * (2 * TEXT_BYTES // len(TEXTS[name]) + 1)
    found = shortened(record(text), ascii_only)
    result = found["message"]["content"][0]
    head, _, said = result.pop("content").rpartition(" [")
    assert text.startswith(head)
    assert len(head) > TEXT_BYTES // 12 - 20
    assert said.endswith(" MB more in the archive]")
    whole = record(text)
    del whole["message"]["content"][0]["content"]
    assert found == whole


@pytest.mark.parametrize("shift", range(14))
def test_a_cut_never_splits_an_escape(shift: int) -> None:
    text = "x" * shift + "\N{PARTY POPPER}" * 200_000
    found = shortened(record(text), ascii_only=True)
    head, _, _ = found["message"]["content"][0]["content"].rpartition(" [")
    assert text.startswith(head)


def test_images_stay_whole() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": "QUJD" * 1_500_000}}
    entry = {"type": "user", "message": {"content": [image] * 4}}
    assert shortened(entry) == entry


def test_an_image_that_is_too_long_is_cut() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": "QUJD" * 5_000_000}}
    found = shortened({"type": "user", "message": {"content": [image]}})
    assert len(found["message"]["content"][0]["source"]["data"]) < 1_100_000


def test_a_record_of_many_values_keeps_its_short_ones() -> None:
    entry = record("short", toolUseResult={"rows": list(range(3_000_000))})
    found = shortened(entry)
    rows = found["toolUseResult"].pop("rows")
    assert rows == list(range(len(rows)))
    assert 100_000 < len(rows) < 200_000
    del found["toolUseResult"], entry["toolUseResult"]
    assert found == entry


def test_a_long_list_keeps_its_first_elements() -> None:
    entry = record("short", toolUseResult=["x" * 900_000] * 40)
    found = shortened(entry)
    assert 5 < len(found["toolUseResult"]) < 10
    assert set(found["toolUseResult"]) == {"x" * 900_000}


def test_deep_nesting_is_left_out() -> None:
    deep: Any = ["x" * 900_000] * 30
    for _ in range(20):
        deep = [deep]
    found = shortened(record("short", toolUseResult=deep))
    assert found["message"] == record("short")["message"]


@pytest.mark.parametrize("gap", [",", ", "])
def test_a_message_of_very_many_blocks_keeps_its_first_ones(gap: str) -> None:
    block = {"type": "text", "text": "a, b", "more": [1, {"x": [2, 3]}]}
    line = json.dumps(
        {"message": {"content": [block] * 400_000}}, separators=(gap, ":")
    )
    content = json.loads(shorten(line.encode()))["message"]["content"]
    assert 10_000 < len(content) < 20_000
    assert all(one == block for one in content)
