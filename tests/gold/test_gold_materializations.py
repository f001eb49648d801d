"""Our materializations and the contracts, on a project of three small models."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest
from bronze import Bronze
from gold import PROJECT, Workshop
from tiny_dbt import make_project

# What a model selects is a variable of the run, so that dbt parses the project once.
ROWS = "{{ config(materialized='%s'%s) }} {{ var('%s') }}"
CONTRACT = """
models:
  - name: kept
    config: {contract: {enforced: true}, on_schema_change: fail}
    columns:
      - {name: key, data_type: integer}
      - {name: word, data_type: varchar}
"""
OLD = "select 1 as key, 'one' as word union all select 2, 'two'"
NEW = "select 2 as key, 'second' as word union all select 3, 'three'"
Run = Callable[..., None]


@pytest.fixture(scope="module")
def workshop(
    tmp_path_factory: pytest.TempPathFactory, bronze: Bronze
) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("materializations")
    project = make_project(folder / "dbt")
    models = project / "models"
    for file in models.iterdir():
        file.unlink()
    key = ", unique_key='key'"
    (models / "kept.sql").write_text(ROWS % ("incremental", key, "rows"))
    (models / "loose.sql").write_text(ROWS % ("incremental", key, "rows"))
    (models / "whole.sql").write_text(ROWS % ("table", "", "rows"))
    (models / "kept.yml").write_text(CONTRACT)
    ours = PROJECT / "macros" / "materializations.sql"
    shutil.copy(ours, project / "macros")
    made = Workshop(folder, bronze, project)
    yield made
    made.close()


@pytest.fixture
def run(workshop: Workshop) -> Run:
    """Run the models over some rows; the first rows are there already."""

    def run(rows: str, *more: str, only_statements: bool = False) -> None:
        chosen = f'{{rows: "{rows}", only_statements: {only_statements}}}'
        workshop.steps([{"args": ["run", "--vars", chosen, *more]}])

    workshop.database.unlink(missing_ok=True)
    run(OLD)
    return run


def table(workshop: Workshop, name: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(workshop.database), read_only=True) as db:
        return db.execute(f"from marts.{name} order by all").fetchall()


def test_new_rows_take_the_place_of_those_with_their_key(
    workshop: Workshop, run: Run
) -> None:
    run(NEW)
    for name in ("kept", "loose"):
        assert table(workshop, name) == [(1, "one"), (2, "second"), (3, "three")]
    assert table(workshop, "whole") == [(2, "second"), (3, "three")]
    run(NEW, "--full-refresh")
    assert table(workshop, "kept") == [(2, "second"), (3, "three")]


def test_what_dbt_only_writes_changes_nothing(workshop: Workshop, run: Run) -> None:
    run(NEW, only_statements=True)
    for name in ("kept", "loose", "whole"):
        assert table(workshop, name) == [(1, "one"), (2, "two")]
    written = next((workshop.folder / "target").rglob("run/**/kept.sql")).read_text()
    with duckdb.connect(str(workshop.database)) as db:
        db.execute("use marts").execute(written)
    assert table(workshop, "kept") == [(1, "one"), (2, "second"), (3, "three")]


@pytest.mark.parametrize(
    "rows", ["select 'x' as key, 'three' as word", "select 3 as key, 4 as word"]
)
@pytest.mark.parametrize("more", [(), ("--full-refresh",)])
def test_a_contract_refuses_another_type(
    workshop: Workshop, run: Run, rows: str, more: tuple[str, ...]
) -> None:
    with pytest.raises(AssertionError, match="contract"):
        run(rows, "--select", "kept", *more)
    assert table(workshop, "kept") == [(1, "one"), (2, "two")]


def test_a_column_less_or_more_is_an_error_without_a_contract(
    workshop: Workshop, run: Run
) -> None:
    with pytest.raises(AssertionError, match="the model has no word any more"):
        run("select 3 as key", "--select", "loose")
    with pytest.raises(AssertionError, match="more"):
        run("select 3 as key, '' as word, 1 as more", "--select", "loose")
    assert table(workshop, "loose") == [(1, "one"), (2, "two")]


def test_a_table_takes_the_place_of_a_view(workshop: Workshop, run: Run) -> None:
    with duckdb.connect(str(workshop.database)) as db:
        db.execute("drop table marts.kept; create view marts.kept as select 7 as key")
    run(NEW, "--select", "kept")
    assert table(workshop, "kept") == [(2, "second"), (3, "three")]
