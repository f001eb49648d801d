"""Late records change the rows they must, and no others."""

import os
import shutil
from decimal import Decimal
from itertools import chain
from pathlib import Path

import duckdb
import families
import gateway
import pytest
from bronze import Bronze, Row
from gold import BUILD, Workshop, arrive, compare, differences, one, query
from parity import FIXTURES

REAL = os.environ.get("CCLAKE_REAL_LOGS")
TABLES = """select table_schema, table_name from information_schema.tables
where table_schema in ('staging', 'intermediate', 'marts') order by all"""
IS_WHOLE = "select is_whole from intermediate.build_state"


def copy(gold: Path, workshop: Workshop) -> Path:
    """Return a copy of a gold database, which a test may change."""
    return Path(shutil.copy(gold, workshop.folder / "copy.duckdb"))


def again(workshop: Workshop, gold: Path, *more: str) -> Path:
    """Run dbt on a gold database that has been built."""
    gold.rename(workshop.database)
    try:
        workshop.steps([{"args": [*BUILD, *more]}])
    finally:
        workshop.database.rename(gold)
    return gold


@pytest.fixture(scope="module")
def batches(
    bronze: Bronze, account_logs: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[list[Row]]:
    """The rows of several histories, as three runs bring them."""
    folder = tmp_path_factory.mktemp("histories")
    rows = bronze.rows(account_logs)
    rows += bronze.rows(FIXTURES / "pricing" / "projects", host="other")
    rows += bronze.rows(families.write(folder / "families"))
    rows += bronze.rows(gateway.write(folder / "gateway"))
    return arrive(rows, runs=3, seed=1)


@pytest.fixture(scope="module")
def whole(workshop: Workshop, batches: list[list[Row]]) -> Path:
    """The database of the same rows, built at once."""
    return workshop.build("whole", list(chain.from_iterable(batches)))


@pytest.mark.slow
def test_any_order_of_arrival_gives_the_tables_of_a_full_refresh(
    workshop: Workshop, batches: list[list[Row]], whole: Path
) -> None:
    compare(workshop, batches, whole)


def test_a_build_in_parts_gives_the_tables_of_a_build_at_once(
    workshop: Workshop, batches: list[list[Row]], whole: Path
) -> None:
    from cclake_pipeline.dbt_worker import part  # loads dbt, which takes seconds

    rows = list(chain.from_iterable(batches))
    parts = workshop.build("parts", rows, args=(*BUILD, *part(1)))
    assert one(parts, IS_WHOLE) == (False,)
    assert one(parts, "select max(updated_run) from marts.fct_messages") == (1,)
    parts.rename(workshop.database)
    workshop.steps([{"args": [*BUILD, *part(2)]}, {"args": list(BUILD)}])
    parts = workshop.database.rename(parts)
    assert one(parts, IS_WHOLE) == (True,)
    # That one remembers how the run before it ended.
    assert set(differences(parts, whole)) <= {"intermediate.build_state"}


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="CCLAKE_REAL_LOGS is not set")
def test_any_order_of_real_logs_gives_the_tables_of_a_full_refresh(
    workshop: Workshop,
) -> None:
    batches = arrive(workshop.bronze.rows(Path(str(REAL))), runs=3, seed=2)
    whole = workshop.build("whole-real", list(chain.from_iterable(batches)))
    compare(workshop, batches, whole)


def test_a_run_with_nothing_new_changes_nothing(
    workshop: Workshop, gold_account: Path
) -> None:
    twice = again(workshop, copy(gold_account, workshop))
    assert differences(gold_account, twice) == {}
    # A table that has no rows does not make a run read the lines of earlier ones again.
    rare = ("staging.stg_tool_calls", "staging.stg_usage", "marts.images")
    with duckdb.connect(str(twice)) as database:
        for table in rare:
            (before,) = database.execute(f"select count(*) from {table}").fetchall()
            assert before[0]
            database.execute(f"delete from {table}")
    once_more = again(workshop, twice)
    for table in rare:
        assert one(once_more, f"select count(*) from {table}") == (0,)


def test_a_new_line_touches_only_the_sessions_that_it_bears_on(
    workshop: Workshop, bronze: Bronze, account_logs: Path
) -> None:
    rows = bronze.rows(account_logs)
    late = [
        row | {"extract_run": 2}
        for row in rows
        if row.get("uuid") == "bbbbbbbb-main-12"
    ]
    early = [row for row in rows if row.get("uuid") != "bbbbbbbb-main-12"]
    assert len(late) == 1
    before = workshop.build("before", early)
    gold = workshop.build("touched", late, onto=before)
    touched = query(
        gold, "select left(session_id, 1) from marts.dim_sessions where updated_run = 2"
    )
    assert touched == [("b",)]
    # As where more sessions have changed than their scans are limited to.
    options = (*BUILD, "--vars", "{few_sessions: 0}")
    many = workshop.build("many", late, args=options, onto=before)
    assert differences(gold, many) == {}


def test_another_price_list_prices_everything_again(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = workshop.build("cheap", FIXTURES / "pricing" / "projects")
    before = one(gold, "select count(*), sum(cost_usd) from marts.fct_api_responses")
    own = tmp_path / "prices.csv"
    own.write_text("model,input,output\nclaude-opus-4-6,1,2\nclaude-haiku-4-5,,\n")
    monkeypatch.setenv("CCLAKE_PRICES", str(own))
    again(workshop, gold)
    after = one(
        gold,
        "select count(*), count(*) filter (where cost_usd is null),"
        " sum(cost_usd) filter (where message_id = 'msg_gw') from marts.fct_api_responses",
    )
    assert before[0] == after[0]
    assert after[1:] == (2, Decimal("0.0012"))


def test_gold_that_a_run_left_half_built_says_so_until_all_is_built(
    workshop: Workshop, gold_account: Path
) -> None:
    def run(*more: str) -> bool:
        try:
            again(workshop, gold, *more)
        except AssertionError as failed:
            assert "int_threads" in str(failed)
        return bool(one(gold, IS_WHOLE)[0])

    def change(statement: str) -> None:
        with duckdb.connect(str(gold)) as writer:
            writer.execute(statement)

    gold = copy(gold_account, workshop)
    assert run("--select", "dim_projects")
    # A column that the model does not make lets it fail, as another version would.
    change("alter table intermediate.int_threads add column stray integer")
    assert not run()
    assert not run("--select", "dim_projects")
    change("alter table intermediate.int_threads drop column stray")
    assert run()


def test_a_full_refresh_drops_what_earlier_versions_have_built(
    workshop: Workshop, gold_account: Path
) -> None:
    gold = copy(gold_account, workshop)
    with duckdb.connect(str(gold)) as connection:
        connection.execute("create table marts.agg_former as select 1 as a")
        connection.execute("create view staging.stg_former as select 1 as a")
        before = connection.execute(TABLES).fetchall()
    again(workshop, gold, "--select", "dim_date")
    assert query(gold, TABLES) == before
    again(workshop, gold, "--full-refresh", "--select", "dim_date")
    gone = {("marts", "agg_former"), ("staging", "stg_former")}
    assert set(before) - set(query(gold, TABLES)) == gone
