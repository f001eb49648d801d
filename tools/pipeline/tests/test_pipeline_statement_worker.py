import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cclake_pipeline import statement_worker as repeating
from cclake_pipeline.statement_worker import Unfit, answers, repeat
from cclake_pipeline.statements import Statements, load

TEXT = """
create or replace temporary table new as
select extract_run from raw.conversations
where extract_run > (select max(seen_run) from intermediate.build_state);
insert into marts.runs from new;
"""
STATEMENTS = Statements("key", {"memory_limit": "100MB"}, [("runs", TEXT)])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Gold of a first extraction, and the line of a second one."""
    path = tmp_path / "analytics.duckdb"
    with duckdb.connect(str(path)) as db:
        for schema in ("raw", "intermediate", "marts"):
            db.execute(f"create schema {schema}")
        db.execute(
            "create table raw.conversations as select unnest([1, 2]) extract_run"
        )
        db.execute(
            "create table intermediate.build_state as"
            " select true as is_whole, true as was_whole, 1 as seen_run"
        )
        db.execute("create table marts.runs as select 1 as run")
    return path


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as db:
        return db.execute(query).fetchall()


def test_what_is_new_is_built_once(database: Path) -> None:
    for _ in range(2):
        assert repeat(STATEMENTS, database) == 1
        assert rows(database, "from marts.runs order by all") == [(1,), (2,)]
    assert rows(database, "from intermediate.build_state") == [(True, True, 2)]


def test_a_statement_that_fails_leaves_everything_as_it_was(database: Path) -> None:
    failing = [("runs", TEXT), ("broken", "select error('broken')")]
    with pytest.raises(duckdb.Error, match="broken"):
        repeat(replace(STATEMENTS, models=failing), database)
    assert rows(database, "from marts.runs") == [(1,)]
    assert rows(database, "from intermediate.build_state") == [(True, True, 1)]


def test_gold_that_is_not_whole_is_left_to_dbt(database: Path) -> None:
    with duckdb.connect(str(database)) as db:
        db.execute("update intermediate.build_state set is_whole = false")
    with pytest.raises(Unfit, match="incomplete"):
        repeat(STATEMENTS, database)


def test_many_lines_are_left_to_dbt(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeating, "MOST_LINES", 0)
    with pytest.raises(Unfit, match="1 lines are new"):
        repeat(STATEMENTS, database)


def test_statements_of_another_key_or_a_damaged_file_are_none(tmp_path: Path) -> None:
    file = tmp_path / "statements.json"
    assert load(file, "key") is None
    STATEMENTS.save(file)
    found = load(file, "key")
    assert found is not None
    assert [tuple(model) for model in found.models] == STATEMENTS.models
    assert load(file, "other") is None
    file.write_text(file.read_text()[:-1])
    assert load(file, "key") is None


def test_each_request_is_answered(database: Path, tmp_path: Path) -> None:
    file = tmp_path / "statements.json"
    STATEMENTS.save(file)
    good = {"file": str(file), "key": "key", "database": str(database)}
    asked = iter([json.dumps(good), json.dumps(good | {"key": "other"})])
    first, second = answers(asked)
    assert first == {"ok": True, "counts": {"model": 1}}
    assert second["ok"] is False
