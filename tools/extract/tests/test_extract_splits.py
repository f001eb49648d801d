"""Ranges with gaps become splits of a bounded size that tile them."""

from collections.abc import Iterator
from typing import Any

import pytest
from cclake_extract import splits
from cclake_extract.splits import Split, max_splits, split_ranges
from harness import Mongod, connect
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

Db = Database[dict[str, Any]]
ROWS = 5


@pytest.fixture
def db(mongod: Mongod, mongo_db: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Db]:
    monkeypatch.setattr(splits, "FILE_ROWS", ROWS)
    with connect(mongod.uri) as client:
        yield client[mongo_db]


def fill(db: Db, numbers: list[set[int]]) -> list[tuple[str, int, int]]:
    """Documents of a buffer for each set; their ranges from 0 to 40."""
    db["conversations"].drop()
    db["conversations"].create_index([("buffer", 1), ("seq", 1)])
    found = [
        {"buffer": f"b{place}", "seq": seq}
        for place, seqs in enumerate(numbers)
        for seq in seqs
    ]
    if found:
        db["conversations"].insert_many(found)
    return [(f"b{place}", 0, 40) for place in range(len(numbers))]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sets(st.integers(1, 40)), min_size=1, max_size=4))
def test_splits_tile_the_ranges_and_none_is_too_large(
    db: Db, numbers: list[set[int]]
) -> None:
    ranges = fill(db, numbers)
    found = list(split_ranges(db, ranges))
    ends = {buffer: 0 for buffer, _, _ in ranges}
    sizes = []
    for share in found:
        assert len({buffer for buffer, _, _ in share}) == len(share)
        for buffer, after, up_to in share:
            assert after == ends[buffer] < up_to
            ends[buffer] = up_to
        sizes.append(
            sum(
                after < seq <= up_to
                for buffer, after, up_to in share
                for seq in numbers[int(buffer[1:])]
            )
        )
    assert set(ends.values()) == {40}
    spans = [sum(up_to - after for _, after, up_to in share) for share in found]
    assert all(span >= ROWS for span in spans[:-1])
    assert all(size <= ROWS for size in sizes)
    assert len(found) <= max_splits(ranges)


def test_further_files_of_a_split_lie_beside_the_first() -> None:
    split = Split((("b", 0, 1),), 1, "s3://lake/data/x.parquet")
    assert [split.file(number) for number in range(3)] == [
        "s3://lake/data/x.parquet",
        "s3://lake/data/x-1.parquet",
        "s3://lake/data/x-2.parquet",
    ]
