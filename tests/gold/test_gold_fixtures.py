"""The fixtures with a known answer: tokens and dollars, to the last one."""

import json
from decimal import Decimal
from pathlib import Path

import independent_count
from chain import Chain
from gold import Workshop, one, query
from parity import FIXTURES, generate

SUMS = """
    select sum(input_tokens), sum(output_tokens), sum(cache_write_tokens),
        sum(cache_read_tokens), sum(cost_usd)
    from marts.fct_api_responses
"""


def expected(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        (FIXTURES / name / "expected.json").read_text()
    )
    return found


def test_the_pricing_fixture_costs_what_it_says_in_total(pricing: Chain) -> None:
    want = expected("pricing")
    assert one(pricing.gold, SUMS) == (
        want["input_tokens"],
        want["output_tokens"],
        want["cache_creation_tokens"],
        want["cache_read_tokens"],
        Decimal(str(want["cost_usd"])),
    )


def test_the_pricing_fixture_costs_what_it_says_message_by_message(
    pricing: Chain,
) -> None:
    rows = query(
        pricing.gold, "select message_id, model, cost_usd from marts.fct_api_responses"
    )
    messages = expected("pricing")["by_message"]
    assert isinstance(messages, dict)
    assert {row[0]: row[1:] for row in rows} == {
        name: (each["model"], Decimal(each["cost_usd"]))
        for name, each in messages.items()
    }


def test_errors_and_unknown_types_are_kept_and_counted(pricing: Chain) -> None:
    totals = one(
        pricing.gold,
        "select sum(api_errors), sum(tool_errors) from marts.agg_session_metrics",
    )
    assert totals == (1, 1)
    unknown = "select count(*) from marts.fct_messages where type = 'brand-new-type'"
    assert one(pricing.gold, unknown) == (1,)


def test_money_is_decimal_in_every_mart(pricing: Chain) -> None:
    kinds = query(
        pricing.gold,
        "select distinct data_type from information_schema.columns"
        " where table_schema = 'marts' and column_name like '%\\_usd' escape '\\'",
    )
    assert kinds == [("DECIMAL(20,10)",)]


def test_what_can_be_recovered_from_broken_lines_counts(corrupt: Path) -> None:
    want = expected("corrupt")
    rows = query(corrupt, "select message_id from marts.fct_api_responses order by 1")
    assert [name for (name,) in rows] == want["recoverable_messages"]
    assert one(corrupt, SUMS)[:2] == (want["input_tokens"], want["output_tokens"])


def test_broken_lines_stay_in_staging_and_out_of_gold(corrupt: Path) -> None:
    broken = "select doc_id from staging.stg_conversations where entry is null"
    (count,) = one(corrupt, f"select count(*) from ({broken})")
    assert count == 4
    (shown,) = one(
        corrupt,
        f"select count(*) from marts.fct_messages where part = 0 and doc_id in ({broken})",
    )
    assert shown == 0


def count(logs: Path) -> tuple[tuple[int, ...], Decimal]:
    """Return the tokens of logs of the parity fixture by the independent count, priced."""
    counted = independent_count.totals(independent_count.count(logs))
    prices = {"input": "5", "output": "25", "cache_write": "10", "cache_read": "0.5"}
    price = sum(
        (counted[kind] * Decimal(each) for kind, each in prices.items()), Decimal()
    )
    return tuple(counted[kind] for kind in prices), price / 1_000_000


def test_a_history_of_many_turns_equals_the_independent_count(
    workshop: Workshop, parity_logs: Path
) -> None:
    tokens, price = count(parity_logs)
    assert one(workshop.build("parity", parity_logs), SUMS) == (*tokens, price)


def test_the_independent_count_equals_the_peers_to_the_token(tmp_path: Path) -> None:
    """Peers have counted 200,000 lines: it takes seconds here, and gold minutes."""
    want = expected("parity")
    generate(tmp_path, sessions=400, turns=100)
    kinds = ("input", "output", "cache_creation", "cache_read")
    assert count(tmp_path / "projects") == (
        tuple(want[f"{kind}_tokens"] for kind in kinds),
        Decimal(str(want["cost_usd"])),
    )
