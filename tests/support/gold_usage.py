"""An export of API responses, tool calls and messages that are made by hand."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import quarters
from cclake_publish.export import publish

_MONEY = "decimal(20, 10)"
_RESPONSES = {
    "response_key": "varchar", "message_id": "varchar", "request_id": "varchar",
    "session_id": "varchar", "project_key": "varchar", "host": "varchar",
    "agent_id": "varchar", "entry_key": "varchar", "model": "varchar",
    "model_name": "varchar", "is_priced": "boolean",
    "speed": "varchar", "service_tier": "varchar", "is_us_only": "boolean",
    "usage_final": "boolean", "is_from_progress": "boolean", "records": "integer",
    "sessions": "integer", "input_tokens": "bigint", "output_tokens": "bigint",
    "cache_write_5m_tokens": "bigint", "cache_write_1h_tokens": "bigint",
    "cache_write_tokens": "bigint", "cache_read_tokens": "bigint",
    "total_tokens": "bigint", "web_search_requests": "bigint",
    "price_model": "varchar", "price_source": "varchar", "price_parts": "integer",
    "is_long_context": "boolean", "long_from_tokens": "bigint",
    "price_multiplier": "decimal(10, 4)",
    **{f"{kind}_price": "decimal(12, 6)" for kind in (
        "input", "output", "cache_write_5m", "cache_write_1h", "cache_read")},
    **{f"{kind}_usd": _MONEY for kind in (
        "input", "output", "cache_write_5m", "cache_write_1h", "cache_read",
        "web_search", "uncached", "cost")},
    "responded_at": "timestamp", "is_sidechain": "boolean", "context_tokens": "bigint",
    "price_list": "varchar", "turn_number": "integer", "updated_run": "bigint",
}  # fmt: skip
_ITEMS = {
    **{name: kind for name, kind in _RESPONSES.items() if name not in (
        "request_id", "entry_key", "service_tier", "is_from_progress", "records",
        "sessions", "price_parts", "is_long_context")},
    "item_no": "integer", "item_type": "varchar", "is_batch": "boolean",
    "is_response": "boolean", "is_first_of_model": "boolean",
    "is_first_unpriced": "boolean", "is_main": "boolean",
}  # fmt: skip
_TABLES = {
    "fct_api_responses": _RESPONSES,
    "fct_response_items": _ITEMS,
    "fct_tool_calls": {
        "tool_use_id": "varchar", "message_id": "varchar", "session_id": "varchar",
        "project_key": "varchar", "host": "varchar", "tool_name": "varchar",
        "tool_category": "varchar", "is_error": "boolean", "error_kind": "varchar",
        "duration_ms": "bigint", "called_at": "timestamp", "updated_run": "bigint",
        "turn_number": "integer", "agent_id": "varchar", "is_sidechain": "boolean",
    },
    "fct_messages": {
        "entry_key": "varchar", "part": "integer", "session_id": "varchar",
        "project_key": "varchar", "host": "varchar", "model": "varchar",
        "message_kind": "varchar", "said_at": "timestamp", "type": "varchar",
        "turn_number": "integer", "task_category": "varchar",
        "agent_id": "varchar",
        "updated_run": "bigint",
    },
    "dim_sessions": {
        "session_id": "varchar", "title": "varchar", "host": "varchar",
        "git_branch": "varchar", "project_key": "varchar",
    },
    "dim_projects": {
        "project_key": "varchar", "project_name": "varchar", "project_path": "varchar",
        "sessions": "bigint",
    },
    "agg_usage_blocks": {
        "block_start": "timestamp", "block_end": "timestamp",
        "first_response_at": "timestamp", "last_response_at": "timestamp",
        "api_responses": "integer", "unpriced_responses": "integer",
        "models": "varchar", "input_tokens": "bigint", "output_tokens": "bigint",
        "total_tokens": "bigint", "cost_usd": _MONEY, "tokens_per_minute": "double",
        "usd_per_hour": "double",
    },
}  # fmt: skip
START = datetime(2026, 11, 1, 22, 30)
MODELS = ("claude-opus-4-6", "claude-haiku-4-5-20251001")
Row = dict[str, Any]


def response(number: int, **changed: Any) -> Row:
    """One API response; each number gives other tokens, day, session and model."""
    tokens = {"input_tokens": 10 + number, "output_tokens": 100 * number,
              "cache_write_5m_tokens": 7, "cache_write_1h_tokens": 0,
              "cache_read_tokens": 1_000}  # fmt: skip
    row: Row = {
        "response_key": f"msg_{number}", "message_id": f"msg_{number}",
        "request_id": f"req_{number}", "session_id": f"session-{number % 4}",
        "project_key": f"p{number % 2}", "host": "laptop" if number % 3 else "tower",
        "entry_key": f"e{number}", "model": MODELS[number % 2], "speed": "standard",
        "is_us_only": False, "usage_final": number % 5 == 0,
        "is_from_progress": False, "records": 1, "sessions": 1,
        "web_search_requests": 0, "price_model": "x", "price_source": "a page",
        "price_parts": 1, "is_long_context": False, "long_from_tokens": None,
        "price_multiplier": 1,
        "input_price": 5, "output_price": 25, "cache_write_5m_price": Decimal("6.25"),
        "cache_write_1h_price": 10, "cache_read_price": Decimal("0.5"),
        "input_usd": Decimal("0.1"), "output_usd": Decimal("0.2"),
        "cache_write_5m_usd": 0, "cache_write_1h_usd": 0, "cache_read_usd": 0,
        "web_search_usd": 0, "cost_usd": Decimal("0.3000000001"),
        "responded_at": START + timedelta(hours=number), **tokens,
    }  # fmt: skip
    row |= changed
    row.setdefault("model_name", re.sub(r"-20\d{6}$", "", row["model"]))
    row.setdefault("is_priced", row["cost_usd"] is not None)
    row["cache_write_tokens"] = (
        row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"]
    )
    row["total_tokens"] = sum(
        row[f"{kind}_tokens"]
        for kind in ("input", "output", "cache_write", "cache_read")
    )
    return row


def items(number: int, *changes: Row) -> tuple[Row, list[Row]]:
    """A response of several items, which give its tokens and its cost together."""
    found = [
        response(number, item_no=n, item_type="message", is_batch=False,
                 is_response=n == 1) | change
        for n, change in enumerate(changes, 1)
    ]  # fmt: skip
    for item in found:
        item["is_priced"] = item["cost_usd"] is not None
        item["model_name"] = item["model"]
    models = [item["model"] for item in found]
    known = [item["cost_usd"] for item in found if item["is_priced"]]
    whole = all(item["is_priced"] for item in found)
    known_so_far = 0
    for n, item in enumerate(found):
        item["is_first_of_model"] = models[n] not in models[:n]
        item["is_first_unpriced"] = known_so_far == n and not item["is_priced"]
        known_so_far += item["is_priced"]
    sums = {
        name: sum(item[name] for item in found)
        for name in found[0]
        if name.endswith("_tokens") and name != "long_from_tokens"
    }
    row = response(number, model=models[0], price_parts=len(found), is_priced=whole,
                   cost_usd=sum(known) if known else None)  # fmt: skip
    return row | sums, found


def make_export(folder: Path, **tables: Iterable[Row]) -> Path:
    """Publish gold tables with these rows into a folder."""
    source = folder / "gold" / "analytics.duckdb"
    source.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(source)) as gold:
        gold.execute("create schema marts")
        for name, columns in _TABLES.items():
            described = ", ".join(f"{c} {kind}" for c, kind in columns.items())
            gold.execute(f"create table marts.{name} ({described})")
            rows = [[row.get(c) for c in columns] for row in tables.get(name, ())]
            if rows:
                marks = ", ".join("?" * len(columns))
                gold.executemany(f"insert into marts.{name} values ({marks})", rows)
        quarters.build(gold)
    publish(source, folder)
    return folder
