"""Images: their bytes stay in the lines, and need little memory."""

import base64
import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from account import image, sid, text
from gold import Workshop, one, query
from logfile import Log

SELECTED = ("run", "--select", "+images", "+image_data")
DICE = random.Random(7)


def saved(folder: Path, log: Log) -> Path:
    """Save a log; return the root that it is in."""
    log.save(folder / "projects" / "-p" / f"{sid('a')}.jsonl")
    return folder / "projects"


def key_of(data: bytes) -> str:
    return hashlib.md5(base64.b64encode(data), usedforsecurity=False).hexdigest()


def test_every_image_is_found_where_it_stands(
    workshop: Workshop, tmp_path: Path
) -> None:
    one_, two, three, four = (DICE.randbytes(size) for size in (1, 300, 301, 302))
    log = Log(sid("a"))
    log.user([text("look"), image(one_), image(two, "image/webp"), image(one_)])
    log.answer("msg_1", text("I look."))
    log.result("t1", [text("so"), image(three), image(two)])
    log.user([image(four, "image/svg+xml"), {"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "not base64!"}}])  # fmt: skip
    log.add("attachment", attachment={
        "type": "queued_command", "commandMode": "prompt", "prompt": [image(four)]})  # fmt: skip
    gold = workshop.build("images", saved(tmp_path, log), args=SELECTED)
    found = query(
        gold,
        "select image_key, media_type, bytes, data from marts.images"
        " join marts.image_data using (image_key)",
    )
    assert sorted(found) == sorted(
        (key_of(data), kind, len(data), data)
        for data, kind in (
            (one_, "image/png"), (two, "image/webp"), (three, "image/png"), (four, "image/png"),
        )
    )  # fmt: skip


def test_a_new_image_is_a_new_row_and_the_others_stay(
    workshop: Workshop, tmp_path: Path
) -> None:
    old, new = DICE.randbytes(50), DICE.randbytes(60)
    log = Log(sid("a"))
    log.user([image(old)])
    before = workshop.bronze.rows(saved(tmp_path, log))
    log.user([image(old), image(new)])
    after = [
        row
        for row in workshop.bronze.rows(saved(tmp_path, log), run=2)
        if row["doc_id"] not in {known["doc_id"] for known in before}
    ]
    gold = workshop.build("grown", before, after, args=SELECTED)
    rows = query(
        gold, "select image_key, place, extract_run from marts.images order by 3"
    )
    assert rows == [(key_of(old), 1, 1), (key_of(new), 2, 2)]
    assert one(
        gold, "select data from marts.image_data where image_key = ?", rows[1][0]
    ) == (new,)


def heavy() -> Log:
    """Images of a megabyte, each with thirty other lines."""
    log = Log(sid("a"))
    for number in range(80):
        for place in range(31):
            content: list[Any] = [text(f"{number} {place}")]
            if not place:
                content.append(image(DICE.randbytes(1 << 20)))
            log.user(content)
    return log


def test_many_images_fit_into_little_memory(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what 2,048 lines hold, 90 MB here, the models make one copy, not ten."""
    monkeypatch.setenv("CCLAKE_DUCKDB_MEMORY", "350MB")
    gold = workshop.build("heavy", saved(tmp_path, heavy()), args=SELECTED)
    assert one(gold, "select count(*), sum(bytes) from marts.images") == (80, 80 << 20)
