"""Sums by the hour, made once per generation, so that dashboards are quick."""

import math
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cclake_web.data.filters import Filters
from cclake_web.generation import Generation

T = TypeVar("T")
_LOCK = threading.Lock()
_MAKE = """
create table sums.hourly as
select coalesce(substr(responded_at, 1, 13), '') as hour, project_key as project,
    model, host, coalesce(is_sidechain, 0) as side, count(*) as responses,
    sum(coalesce(usage_final, 0)) as final, sum(cost_usd is null) as unpriced,
    sum(input_tokens) as input, sum(output_tokens) as output,
    sum(cache_write_tokens) as written, sum(cache_read_tokens) as read,
    sum(cost_usd) as cost,
    max(coalesce(input_tokens, 0) + coalesce(cache_write_tokens, 0)
        + coalesce(cache_read_tokens, 0)) as widest
from main.fct_api_responses group by 1, 2, 3, 4, 5;
create table sums.calls as
select coalesce(substr(c.called_at, 1, 13), '') as hour, c.project_key as project,
    s.host, c.tool_name as tool, coalesce(c.error_kind, '') as kind,
    tenths(c.duration_ms) as size, count(*) as calls,
    sum(coalesce(c.is_error, 0)) as errors
from main.fct_tool_calls c left join main.dim_sessions s
    on s.session_id = c.session_id
group by 1, 2, 3, 4, 5, 6;
create table sums.spoken as
select coalesce(substr(said_at, 1, 13), '') as hour, project_key as project, host,
    count(*) as messages
from main.fct_messages where message_kind in ('prompt', 'answer')
group by 1, 2, 3;
"""


def ask(export: Generation, fn: Callable[[sqlite3.Connection], T]) -> T:
    """Run a function with the sums of a generation; call it in a worker thread."""
    with _LOCK:
        if not export.cache.get("sums"):
            _make(export.spare)
            export.cache["sums"] = True
        found: T = fn(export.spare)
        return found


def prepare(export: Generation) -> None:
    """Make the sums, so that the first page does not wait for them."""
    ask(export, lambda connection: None)


def _make(connection: sqlite3.Connection) -> None:
    """Add the sums to a connection, in memory, beside the export's tables."""
    connection.row_factory = sqlite3.Row
    connection.create_function("tenths", 1, tenths, deterministic=True)
    connection.execute("attach ':memory:' as sums")
    connection.executescript(_MAKE)


def tenths(milliseconds: float | None) -> int | None:
    """Ten times the logarithm of a duration: durations within 26 % fall together."""
    return round(10 * math.log10(milliseconds)) if milliseconds else None


def where(filters: Filters, *, model: bool = True) -> tuple[str, dict[str, Any]]:
    """The condition of a selection on a table of sums."""
    low, high = filters.bounds()
    pairs = (
        (filters.project, "project = :project"),
        (filters.host, "host = :host"),
        (filters.model if model else "", "model = :model"),
        (low, "hour >= :low"),
        (high, "hour < :high"),
    )
    values = {
        "project": filters.project, "host": filters.host, "model": filters.model,
        "low": low[:13], "high": high[:13],
    }  # fmt: skip
    chosen = [sql for wanted, sql in pairs if wanted]
    return " and ".join(["hour <> ''", *chosen]), values
