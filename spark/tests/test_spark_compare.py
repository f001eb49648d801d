"""Find each difference between two engines, without either of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from cclake_spark.compare import Compared, compare, newest_run
from cclake_spark.walks import walk

ROWS = "(1, 'a', 1.50), (1, 'a', 1.50), (2, null, null)"


class Engine:
    """A session that has the tables which it was given."""

    def __init__(self, **tables: str) -> None:
        self.tables = tables

    def table(self, name: str) -> Any:
        query = self.tables[name.replace(".", "__")]
        return SimpleNamespace(toArrow=duckdb.sql(query).to_arrow_table)


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("create schema marts; create schema raw; create schema intermediate")
        db.execute(
            f"create table marts.facts as select * from (values {ROWS}) as t (id, name, usd)"
        )
        db.execute("create table intermediate.build_state as select true as is_whole")
        db.execute("create table raw.conversations as select 7 as extract_run")
    return path


def compared(gold: Path, rows: str, columns: str = "id, name, usd") -> Compared:
    """Return how the table of gold compares with these rows of another engine."""
    query = f"select * from (values {rows}) as t ({columns})"
    (found,) = compare(Engine(marts__facts=query), gold)
    return found


def test_equal_rows_are_equal_in_any_order_and_type(gold: Path) -> None:
    rows = "(2::bigint, null, null), (1, 'a', 1.5::decimal(20, 10)), (1, 'a', 1.5)"
    assert compared(gold, rows) == Compared("marts.facts", 3, 3)


@pytest.mark.parametrize(
    ("rows", "differing"),
    [
        ("(1, 'a', 1.50), (1, 'a', 1.50), (2, '', null)", ["name"]),
        ("(1, 'a', 1.50), (1, 'a', 1.51), (2, null, null)", ["usd"]),
        ("(1, 'a', 1.50), (1, 'a', 1.5004), (2, null, null)", ["usd"]),
        ("(1, 'a', 1.50), (2, null, null)", ["id", "name", "usd"]),
        ("(1, 'a', 1.50), (2, null, null), (2, null, null)", ["id", "name", "usd"]),
    ],
)
def test_another_value_or_number_of_copies_is_found(
    gold: Path, rows: str, differing: list[str]
) -> None:
    found = compared(gold, rows)
    assert found.problem
    assert found.differing == differing


def test_values_that_changed_rows_are_found(gold: Path) -> None:
    found = compared(gold, "(1, 'a', null), (1, 'a', 1.50), (2, null, 1.50)")
    assert found.problem
    assert found.differing == []


def test_a_missing_table_and_another_column_are_found(gold: Path) -> None:
    (found,) = compare(Engine(), gold)
    assert found.problem.startswith("not built: ")
    other = compared(gold, ROWS, "id, name, cost")
    assert (other.problem, other.differing) == ("other columns", ["cost", "usd"])


def test_the_other_engine_reads_what_duckdb_has_read(gold: Path) -> None:
    assert newest_run(gold) == 7


def test_a_walk_finds_each_ancestor_once_and_ends_in_a_circle() -> None:
    found = walk("abcx", "bcay", 0)
    pairs = {(step["node"], step["ancestor"]) for step in found}
    assert pairs == {(a, b) for a in "abc" for b in "abc"} | {("x", "y")}
    assert len(found) == len(pairs)


def test_a_limited_walk_has_a_step_for_each_edge() -> None:
    steps = [(s["node"], s["ancestor"], s["steps"]) for s in walk("ab", "bc", 64)]
    assert steps == [("a", "b", 1), ("a", "c", 2), ("b", "c", 1)]
    assert len(walk("ab", "ba", 64)) == 128
