"""Explain every difference from a report of ccusage."""

from collections.abc import Iterator
from typing import Any

from cclake_report.ccusage import TOKENS, CcusageReport, Period
from cclake_report.export import Gold, Row
from cclake_report.filters import Filters
from cclake_report.model import Column, Report
from cclake_report.reasons import HINTS, REASONS, Reason, concerned

# ccusage prints floating point numbers; smaller differences are ignored.
_TOLERANCE = 1e-6
_BUCKETS: dict[Period, str] = {
    "daily": "local_day(:zone, quarter_no)",
    "weekly": "local_week(:zone, quarter_no, 6)",  # its weeks begin on Sunday
    "monthly": "local_month(:zone, quarter_no)",
    "session": "session_id",
}
# Responses, and the items of those that have several. Columns that an item lacks come
# from its response.
_COLUMNS = (
    "session_id", "project_key", "host", "model", "model_name", "responded_at",
    "usage_final", "is_priced", "is_us_only", "long_from_tokens", "price_multiplier",
    *TOKENS, "cache_write_5m_tokens", "cache_write_1h_tokens",
    "input_price", "output_price", "cache_write_5m_price", "cache_write_1h_price",
    "cache_read_price", "web_search_usd", "cost_usd",
)  # fmt: skip
_PARTS = f"""(
    select {", ".join(_COLUMNS)}, request_id, entry_key, sessions,
        is_from_progress, price_parts
    from fct_api_responses where price_parts < 2
    union all
    select {", ".join(f"i.{name}" for name in _COLUMNS)}, r.request_id, r.entry_key,
        r.sessions, r.is_from_progress, r.price_parts
    from fct_response_items as i
    join fct_api_responses as r on r.response_key = i.response_key
)"""


def diff(gold: Gold, theirs: CcusageReport, filters: Filters, this_host: str) -> Report:
    """Compare gold with a report of ccusage, by period and model.

    Args:
        gold: The export.
        theirs: The report.
        filters: The selection; its time zone must be that of the report.
        this_host: The machine that the report was made on.
    """
    ours = {
        (row["bucket"], row["model"]): row
        for row in _ours(gold, theirs.period, filters, this_host)
    }
    rows = [
        row
        for key in sorted(set(ours) | set(theirs.counts))
        for row in _compare(theirs.period, key, ours.get(key), theirs.counts.get(key))
    ]
    columns = (
        Column("period", theirs.period.capitalize()),
        Column("model", "Model", rank=1),
        *(
            Column(name, name.removesuffix("_tokens"), "count", rank=3)
            for name in TOKENS
        ),
        Column("cost_usd", "Cost (USD)", "signed"),
        Column("reason", "Reason", "flex", rank=2),
    )
    same = len(set(ours) & set(theirs.counts)) - len(
        {(r["period"], r["model"]) for r in rows} & set(ours) & set(theirs.counts)
    )
    return Report("diff", columns, rows, None, _notes(rows, same))


def _notes(rows: list[dict[str, Any]], same: int) -> list[str]:
    unsure = [row for row in rows if not row["certain"]]
    unexplained = [row for row in unsure if row["reason"] == UNEXPLAINED]
    return [
        f"{same} lines are equal. Numbers are ours minus ccusage's.",
        f"{len(rows) - len(unsure)} differences are explained to the token;"
        f" {len(unsure) - len(unexplained)} have a likely reason;"
        f" {len(unexplained)} are unexplained.",
    ]


def _ours(gold: Gold, period: Period, filters: Filters, host: str) -> list[Row]:
    where, values = filters.where("responded_at")
    sums = ",\n".join(
        f"total({reason.cost}) filter (where {concerned(reason)})"
        f" as {reason.name}_cost,\n"
        + ",\n".join(
            f"coalesce(sum({name}) filter (where {concerned(reason)}), 0)"
            f" as {reason.name}_{name}"
            for name in TOKENS
        )
        for reason in REASONS
    )
    sql = f"""
    with t as (
        select t.*, ? as this_host,
            cast(strftime('%s', t.responded_at) as integer) / 900 as quarter_no,
            t.entry_key in (select entry_key from fct_messages where part > 0)
                as is_salvaged
        from {_PARTS} as t
        where {where}
    )
    select coalesce({_BUCKETS[period].replace(":zone", "?")}, 'unknown') as bucket,
        coalesce(model, 'unknown') as model,
        {", ".join(f"coalesce(sum({n}), 0) as {n}" for n in TOKENS)},
        total(cost_usd) as cost,
        count(*) filter (where request_id is null) as requestless,
        count(*) filter (where sessions > 1) as copied,
        count(*) filter (where price_parts > 1) as iterated,
        count(*) filter (where long_from_tokens <> 200000) as long,
        count(*) filter (where not is_priced and input_tokens is not null) as unpriced,
        {sums}
    from t group by 1, 2
    """
    zone = [filters.timezone] * _BUCKETS[period].count(":zone")
    rows = gold.rows(sql, [host, *values, *zone])
    return [row | {"cost_usd": row.pop("cost")} for row in rows]


UNEXPLAINED = "unexplained"


def _compare(
    period: Period,
    key: tuple[str, str],
    ours: Row | None,
    theirs: dict[str, float] | None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one period and model: one for each reason, and the rest."""
    names = (*TOKENS, "cost_usd")
    left = {
        name: (ours or {}).get(name, 0) - (theirs or {}).get(name, 0) for name in names
    }
    if not _differs(left):
        return
    head = {"period": key[0], "model": key[1]}
    for reason in REASONS if ours else ():
        part = _part(reason, ours or {})
        if _differs(part):
            yield head | part | {"reason": reason.text, "certain": True}
            left = {name: left[name] - part[name] for name in names}
    if _differs(left):
        hint = _hint(period, ours, theirs)
        yield head | left | {"reason": hint, "certain": False}


def _part(reason: Reason, ours: Row) -> dict[str, Any]:
    part: dict[str, Any] = {"cost_usd": ours[f"{reason.name}_cost"]}
    for name in TOKENS:
        part[name] = ours[f"{reason.name}_{name}"] if reason.tokens else 0
    return part


def _hint(period: Period, ours: Row | None, theirs: dict[str, float] | None) -> str:
    if ours is None:
        return "only in ccusage: excluded by the filters, or not yet in gold"
    if theirs is None:
        return (
            "only in gold: deleted from disk, not read by ccusage, or out of its range"
        )
    found = [
        text.format(n=ours[name])
        for name, periods, text in HINTS
        if ours[name] and period in periods
    ]
    return f"probably: {'; '.join(found)}" if found else UNEXPLAINED


def _differs(counts: dict[str, Any]) -> bool:
    return abs(counts["cost_usd"]) > _TOLERANCE or any(counts[n] for n in TOKENS)
