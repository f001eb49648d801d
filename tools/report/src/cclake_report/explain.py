"""Explain the cost of one message."""

from decimal import Decimal
from typing import Any

from cclake_common.failure import Failure

from cclake_report.export import Gold, Row
from cclake_report.model import Column, Report

RESPONSES = """
select r.*, p.project_name, s.title,
    replace(substr(r.responded_at, 1, 19), 'T', ' ') as at
from fct_api_responses as r
left join dim_projects as p on p.project_key = r.project_key
left join dim_sessions as s on s.session_id = r.session_id
where r.message_id = ? or r.request_id = ? or r.response_key = ?
order by r.responded_at
"""
_ITEMS = "select * from fct_response_items where response_key = ? order by item_no"
_PARTS = (
    ("Input", "input"),
    ("Output", "output"),
    ("Cache write, 5 minutes", "cache_write_5m"),
    ("Cache write, 1 hour", "cache_write_1h"),
    ("Cache read", "cache_read"),
)


def explain(gold: Gold, message_id: str) -> list[Report]:
    """Return one report for each response with this id (usually one).

    Args:
        gold: The export.
        message_id: Id of the message, of the request, or key of the response.

    Raises:
        Failure: There is no such response.
    """
    found = gold.rows(RESPONSES, [message_id] * 3)
    if not found:
        raise Failure(
            f"no API response has the id {message_id}",
            "Ids look like msg_01… (message.id in the logs). A message with the"
            " model <synthetic> is an error, not a response.",
        )
    return [
        _report(
            row, gold.rows(_ITEMS, [row["response_key"]]) if _has_items(row) else []
        )
        for row in found
    ]


def _has_items(row: Row) -> bool:
    return bool(row["price_parts"] > 1)


def _report(row: Row, items: list[Row]) -> Report:
    parts = [part for item in items for part in _parts(item, _named(item))]
    parts = parts or _parts(row, {})
    named = (Column("model", "Model", "model", rank=3),) if items else ()
    columns = (
        *named,
        Column("part", "Part"),
        Column("tokens", "Tokens", "count", rank=1),
        Column("usd_per_million", "USD per million", "exact", rank=2),
        Column("cost_usd", "Cost (USD)", "exact"),
    )
    totals = {"tokens": row["total_tokens"], "cost_usd": row["cost_usd"]}
    facts = ("message_id", "request_id", "session_id", "model", "host", "speed")
    return Report(
        "explain",
        columns,
        parts,
        totals | {name: row[name] for name in facts},
        [*_context(row), *_rules(row, items)],
    )


def _named(item: Row) -> dict[str, Any]:
    return {
        "item": item["item_no"],
        "type": item["item_type"],
        "model": item["model_name"],
    }


def _parts(row: Row, named: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of the price of a response or an item; an item skips zeros."""
    parts: list[dict[str, Any]] = [
        named
        | {
            "part": title,
            "tokens": row[f"{name}_tokens"],
            "usd_per_million": row[f"{name}_price"],
            "cost_usd": row[f"{name}_usd"],
        }
        for title, name in _PARTS
        if row[f"{name}_tokens"] or not named
    ]
    if row["web_search_requests"]:
        parts.append(
            named
            | {
                "part": f"Web search, {row['web_search_requests']} requests",
                "tokens": None,
                "usd_per_million": None,
                "cost_usd": row["web_search_usd"],
            }
        )
    return parts


def _context(row: Row) -> list[str]:
    where = row["title"] or row["session_id"]
    agent = f", agent {row['agent_id']}" if row["agent_id"] else ""
    return [
        f"{row['message_id']} of {row['model']}, {row['at']} UTC, on {row['host']}",
        f"in {row['project_name'] or row['project_key']}: {where}{agent}",
    ]


def _rules(row: Row, items: list[Row]) -> list[str]:
    """Return the rules that determined this price, in the order of application."""
    rules = []
    if row["records"] > 1:
        rules.append(
            f"{row['records']} records of this response were logged; the highest"
            " count of each kind is taken, once."
        )
    if row["sessions"] > 1:
        rules.append(
            f"{row['sessions']} sessions have it (copies of a fork or a resumed"
            " session); it is counted in the earliest."
        )
    if row["request_id"] is None:
        rules.append("It has no request id; its message id alone identifies it.")
    if row["is_from_progress"]:
        rules.append(
            "Only a progress record of its parent has it, not the file of its agent."
        )
    if _has_items(row):
        rules.append(f"{row['price_parts']} iterations, each priced as its own model.")
    if row["input_tokens"] is None:
        rules.append("LOGGED WITHOUT TOKEN COUNTS: missing does not mean zero.")
    else:
        batch = row["service_tier"] == "batch"
        priced = items or [row | {"is_batch": batch, "model_name": row["model"]}]
        for item in priced:
            about = f"Item {item['item_no']}: " if items else ""
            rules += [about + rule for rule in _price_rules(item)]
    if not row["usage_final"]:
        rules.append(
            "No final count was logged: output tokens, and so the cost, are a lower"
            " bound."
        )
    return rules


def _price_rules(item: Row) -> list[str]:
    """Return the rules that determined the price of a response or an item."""
    rules = []
    if item["long_from_tokens"] is not None:
        rules.append(
            f"Its context is above {item['long_from_tokens']:,} tokens: the higher rate"
            " applies to the whole request."
        )
    multiplier = item["price_multiplier"]
    if multiplier is not None and multiplier != Decimal(1):
        why = [
            text
            for holds, text in (
                (item["speed"] == "fast", "fast mode"),
                (item["is_us_only"], "inference in the US only"),
                ("(Bedrock" in (item["model_name"] or ""), "a region of Bedrock"),
                (item["is_batch"], "batch"),
            )
            if holds
        ]
        rules.append(
            f"Token prices are multiplied by {multiplier.normalize():f}"
            f" ({', '.join(why) or 'by its price row'})."
        )
    if item["is_priced"]:
        rules.append(f"Prices of {item['price_model']}: {item['price_source']}.")
    else:
        rules.append(
            f"WITHOUT A PRICE: no price row fits {item['model']}."
            " Add one to the file that CCLAKE_PRICES names."
        )
    return rules
