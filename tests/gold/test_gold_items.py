"""Advisors and fallbacks, names of models, and what is not known, in every mart."""

from decimal import Decimal
from pathlib import Path

import pytest
from account import sid
from gold import one, query

SONNET = ("claude-sonnet-4-6", Decimal("0.109509"))
OPUS = ("claude-opus-4-7", Decimal("0.95"))


def test_each_item_of_a_response_is_priced_as_its_own_model(gold_account: Path) -> None:
    by_model = query(
        gold_account,
        "select model_name, sum(cost_usd) from marts.fct_response_items"
        " where message_id = 'msg_01q' group by 1 order by 1",
    )
    assert by_model == [OPUS, SONNET]
    response = one(
        gold_account,
        "select model_name, price_parts, price_model, cost_usd, is_priced, context_tokens"
        " from marts.fct_api_responses where message_id = 'msg_01q'",
    )
    assert response == (SONNET[0], 3, SONNET[0], SONNET[1] + OPUS[1], True, 127_001)


def test_an_advisor_is_counted_as_its_own_model_and_as_no_response(
    gold_account: Path,
) -> None:
    rows = query(
        gold_account,
        "select model, api_responses, model_responses, cost_usd"
        " from marts.agg_daily_model_cost where model in (?, ?) order by model",
        OPUS[0],
        SONNET[0],
    )
    assert rows == [(OPUS[0], 0, 1, OPUS[1]), (SONNET[0], 1, 1, SONNET[1])]
    used = query(
        gold_account,
        "select model, responses, is_priced from marts.dim_models"
        " where model in (?, 'claude-mythos-5-2') order by 1",
        OPUS[0],
    )
    assert used == [("claude-mythos-5-2", 1, False), (OPUS[0], 1, True)]
    (responses,) = one(gold_account, "select count(*) from marts.fct_api_responses")
    counted = one(
        gold_account, "select sum(api_responses) from marts.agg_response_quarters"
    )
    assert counted == (responses,)


def test_the_context_of_a_turn_is_that_of_the_main_model(gold_account: Path) -> None:
    turn = "select context_tokens from marts.agg_turn_metrics where session_id = ?"
    assert one(gold_account, turn + " and turn_number = 1", sid("7")) == (127_001,)


def test_what_is_known_of_a_cost_counts_beside_an_advisor_without_a_price(
    gold_account: Path,
) -> None:
    """Fast mode is that of the main model alone: 2 x (10 x $5 + 100 x $25)."""
    known = Decimal("0.0051")
    response = one(
        gold_account,
        "select cost_usd, is_priced from marts.fct_api_responses"
        " where message_id = 'msg_01r'",
    )
    assert response == (known, False)
    items = query(
        gold_account,
        "select model_name, speed, cost_usd, is_priced from marts.fct_response_items"
        " where message_id = 'msg_01r' order by item_no",
    )
    assert items == [
        ("claude-opus-5", "fast", known, True),
        ("claude-mythos-5-2", "standard", None, False),
    ]


def test_where_advisors_alone_are_listed_the_answer_is_the_top_level(
    gold_account: Path,
) -> None:
    items = query(
        gold_account,
        "select model_name, input_tokens, cost_usd, is_main"
        " from marts.fct_response_items where message_id = 'msg_01u' order by item_no",
    )
    assert items == [
        ("claude-opus-4-6", 100, Decimal("0.0005"), True),
        ("claude-opus-5", 200, Decimal("0.001"), False),
    ]
    total = "select input_tokens, context_tokens, cost_usd from marts.fct_api_responses"
    advised = one(gold_account, total + " where message_id = 'msg_01u'")
    assert advised == (300, 100, Decimal("0.0015"))
    without_items = one(gold_account, total + " where message_id = 'msg_01v'")
    assert without_items == (100, 100, Decimal("0.0005"))


def test_a_profile_of_bedrock_is_its_model_with_a_premium(gold_account: Path) -> None:
    row = one(
        gold_account,
        "select model_name, price_model, price_multiplier, cost_usd"
        " from marts.fct_api_responses where message_id = 'msg_01s'",
    )
    name = "claude-sonnet-4-5 (Bedrock us)"
    assert row == (name, "claude-sonnet-4-5", Decimal("1.1"), Decimal("0.33"))


@pytest.mark.parametrize(
    ("model", "day", "prices"),
    [
        ("claude-opus-4-6", "2026-02-10", (5, 25, Decimal("6.25"), 10, 0.5, 3)),
        ("claude-opus-4-6", "2026-02-16", (5, 25, Decimal("6.25"), 10, 0.5, 3)),
        ("claude-opus-4-6", "2026-02-17", (5, 25, Decimal("6.25"), 10, 0.5, 6)),
        ("claude-fable-5-2", "2026-11-09", (8, 40, 10, 16, Decimal("0.2"), 2)),
        ("claude-fable-5-1", "2026-11-09", (10, 50, 12.5, 20, 0.25, None)),
    ],
)
def test_prices_are_those_of_the_day(
    gold_account: Path, model: str, day: str, prices: tuple[object, ...]
) -> None:
    found = one(
        gold_account,
        "select input_price, output_price, cache_write_5m_price, cache_write_1h_price,"
        " cache_read_price, fast_multiplier from intermediate.int_model_prices"
        " where price_model = ? and ? >= valid_from and ? < valid_to",
        model,
        day,
        day,
    )
    assert found == prices


def test_a_session_names_the_models_that_it_asked(gold_account: Path) -> None:
    (models,) = one(
        gold_account,
        "select models from marts.dim_sessions where session_id = ?",
        sid("7"),
    )
    assert models.split(", ") == [
        "claude-mythos-5-2", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-5",
        "claude-sonnet-4-5 (Bedrock us)", "claude-sonnet-4-6",
    ]  # fmt: skip
    shown = query(
        gold_account,
        "select distinct model from marts.thread_entries"
        " where model like '%Bedrock%' or model like '%anthropic%'",
    )
    assert shown == [("claude-sonnet-4-5 (Bedrock us)",)]


def test_a_result_without_its_call_is_not_a_call(gold_account: Path) -> None:
    calls = query(
        gold_account,
        "select tool_use_id, has_result, duration_ms from marts.fct_tool_calls"
        " where session_id = ?",
        sid("7"),
    )
    assert calls == [("toolu_without_result_001", False, None)]
    counted = one(
        gold_account,
        "select tool_calls, tool_errors, orphan_results from marts.agg_session_metrics"
        " where session_id = ?",
        sid("7"),
    )
    assert counted == (1, 0, 1)
    kept = one(
        gold_account,
        "select count(*) from staging.stg_tool_results"
        " where tool_use_id = 'toolu_lost_its_call_0001'",
    )
    assert kept == (1,)


def test_active_time_begins_with_the_first_record(gold_account: Path) -> None:
    """Records come 5 s after each other: both times are those between them."""
    times = one(
        gold_account,
        "select wall_s, active_s from marts.dim_sessions where session_id = ?",
        sid("7"),
    )
    assert times == (Decimal(35), Decimal(35))


def test_only_calls_with_a_result_have_a_duration(gold_account: Path) -> None:
    wrong = query(
        gold_account,
        "select tool_use_id from marts.fct_tool_calls"
        " where (duration_ms is null) = (has_result and answered_at is not null)",
    )
    assert wrong == []
