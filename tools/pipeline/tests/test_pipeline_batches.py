from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest
from cclake_pipeline.batches import bounds


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "analytics.duckdb"


def load(database: Path, runs: Iterable[int]) -> None:
    with duckdb.connect(str(database)) as db:
        db.execute("create schema raw")
        db.execute("create table raw.conversations (extract_run bigint)")
        db.executemany("insert into raw.conversations values (?)", [[r] for r in runs])


def have_gold(database: Path, run: int) -> None:
    with duckdb.connect(str(database)) as db:
        db.execute("create schema intermediate")
        db.execute(
            "create table intermediate.int_session_versions as"
            f" select {run} as version_run"
        )


def test_a_part_is_whole_extractions_until_it_has_enough_lines(database: Path) -> None:
    load(database, [1, 1, 2, 3, 3, 3, 4, 5])
    assert bounds(database, 3, everything=True) == [2, 3]


def test_the_last_part_needs_no_bound(database: Path) -> None:
    load(database, [1, 1, 2, 2])
    assert bounds(database, 2, everything=True) == [1]


def test_one_part_is_enough_for_few_lines(database: Path) -> None:
    load(database, [1, 2, 3])
    assert bounds(database, 4, everything=True) == []


def test_one_extraction_is_never_cut(database: Path) -> None:
    load(database, [7] * 10)
    assert bounds(database, 2, everything=True) == []


def test_what_gold_has_is_not_counted_again(database: Path) -> None:
    load(database, [1, 1, 2, 2, 3, 3, 4, 4])
    have_gold(database, 2)
    assert bounds(database, 2, everything=False) == [3]
    assert bounds(database, 2, everything=True) == [1, 2, 3]


def test_where_nothing_is_loaded_there_are_no_parts(database: Path) -> None:
    assert bounds(database, 1, everything=False) == []
    duckdb.connect(str(database)).close()
    assert bounds(database, 1, everything=False) == []
