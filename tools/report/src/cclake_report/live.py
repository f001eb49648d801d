"""Sum up usage until now: the export, and the end of a running transcript."""

from pathlib import Path
from typing import NamedTuple

from cclake_common import windows
from cclake_common.budgets import Sums, published
from cclake_common.sqlite import rows_with_keys

from cclake_report.export import Gold, moment
from cclake_report.transcript import Part, Response, Tail, read_tail

BLOCK_S = 5 * 3600
_SEARCH_USD = 0.01
# Files of a session are archived one by one, so ids decide what is published.
_OVERLAP_S = 300
_KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
_RECENT = 1_000
_SEARCHED_QUARTERS = 30 * 24 * 4
_LARGE = 200_000
_LAST = """
select max(responded_at) as at from fct_api_responses where session_id = ?
"""
# The rates of the newest response of the same kind. Prompts above 200,000 tokens may
# have rates of their own, so that one on the same side of that limit is preferred.
_RATES = f"""
select {", ".join(f"{kind}_price" for kind in _KINDS)}, price_multiplier
from (select * from fct_api_responses order by responded_at desc limit {_RECENT})
where model = ? and is_priced and price_parts < 2
    and (speed = 'fast') = ? and coalesce(is_us_only, 0) = ?
order by (coalesce(context_tokens, 0) > {_LARGE}) = ? desc, responded_at desc limit 1
"""


class Unpublished(NamedTuple):
    """Responses of the running session that are not in the export, oldest first.

    Attributes:
        priced: The time of each response, in seconds since 1970, and what it used.
        is_whole: Whether no older ones were left out.
        context_tokens: Tokens that the model read last; 0 if unknown.
    """

    priced: list[tuple[float, Sums]]
    is_whole: bool = True
    context_tokens: int = 0

    def between(self, start: float, end: float) -> Sums:
        """Return the sums of the responses between two times."""
        found = Sums(missing=0 if self.is_whole else 1)
        for at, sums in self.priced:
            if start <= at < end:
                found = found.plus(sums)
        return found


class Block(NamedTuple):
    """A five-hour block; times in seconds since 1970."""

    start: float
    end: float
    first: float
    last: float
    sums: Sums

    @property
    def usd_per_hour(self) -> float | None:
        """The burn rate between the first and the last response."""
        hours = (self.last - self.first) / 3600
        return self.sums.cost / hours if hours > 0 else None


def unpublished(gold: Gold | None, session_id: str, transcript: Path) -> Unpublished:
    """Return the use of a session that is not in the export.

    Args:
        gold: The export; None: no prices are known.
        session_id: The session.
        transcript: Its file.
    """
    since = None
    if gold:
        last = moment(gold.rows(_LAST, [session_id])[0]["at"])
        since = last.timestamp() - _OVERLAP_S if last else None
    tail = read_tail(transcript, since)
    known = _known(gold, tail) if gold else set()
    prices = _Prices(gold)
    new = [r for r in tail.responses if r.message_id not in known]
    newest = reversed(tail.responses)
    return Unpublished(
        [(r.at, prices.sums(r)) for r in new],
        tail.is_whole,
        next((r.context_tokens for r in newest if not r.is_sidechain), 0),
    )


def _known(gold: Gold, tail: Tail) -> set[str]:
    """Return the ids in the export, since a fork begins with copies."""
    ids = [r.message_id for r in tail.responses]
    sql = "select message_id from fct_api_responses where message_id in ({})"
    return {row[0] for row in rows_with_keys(gold.connection, sql, ids)}


class _Prices:
    """The prices of the export, as its newest responses show them."""

    def __init__(self, gold: Gold | None) -> None:
        self._gold = gold
        self._rates: dict[tuple[str, bool, bool, bool], list[float] | None] = {}

    def sums(self, response: Response) -> Sums:
        """Return the use of a response; its cost only if every part has a price."""
        tokens, costs = 0, []
        for part in response.parts:
            tokens += sum(part.counts[kind] for kind in _KINDS)
            costs.append(self._cost(part, response.context_tokens > _LARGE))
        known = [cost for cost in costs if cost is not None]
        return Sums(sum(known), tokens, 0 if len(known) == len(costs) else 1)

    def _cost(self, part: Part, is_large: bool) -> float | None:
        key = part.model, part.is_fast, part.is_us_only, is_large
        if key not in self._rates:
            self._rates[key] = self._found(key)
        rates = self._rates[key]
        if rates is None:
            return None
        counts = [part.counts[kind] for kind in _KINDS]
        usd = sum(n * rate for n, rate in zip(counts, rates, strict=True)) / 1e6
        return usd + part.counts["web_search"] * _SEARCH_USD

    def _found(self, key: tuple[str, bool, bool, bool]) -> list[float] | None:
        rows = self._gold.rows(_RATES, key) if self._gold else []
        for row in rows:
            rates = [row[f"{kind}_price"] for kind in _KINDS]
            if None not in (*rates, row["price_multiplier"]):
                return [float(rate * row["price_multiplier"]) for rate in rates]
        return None


def block(
    gold: Gold | None, new: Unpublished, now: float, condition: str = ""
) -> Block | None:
    """Return the five-hour block that is open now; None if there is none.

    A response after the end of a block opens the next one, at its full hour.

    Args:
        gold: The export; None: nothing is known of it.
        new: The responses of the running session that are not in the export.
        now: The time, in seconds since 1970.
        condition: SQL condition on `agg_response_quarters as t`; "" for all.
    """
    found = None
    if gold:
        found = _counted_block(gold, condition, now) if condition else _last_block(gold)
    for at, sums in new.priced:
        if found and at < found.start:
            continue
        if found is None or at >= found.end:
            start = at // 3600 * 3600
            found = Block(start, start + BLOCK_S, at, at, Sums())
        first, last = min(found.first, at), max(found.last, at)
        found = found._replace(first=first, last=last, sums=found.sums.plus(sums))
    if found is None or not found.start <= now < found.end:
        return None
    return found if new.is_whole else found._replace(sums=found.sums.plus(_MORE))


_MORE = Sums(missing=1)


def _counted_block(gold: Gold, condition: str, now: float) -> Block | None:
    """Return the last block of a part of the export, from its last days only."""
    hours = gold.rows(
        "select distinct quarter_no / 4 as hour from agg_response_quarters as t"
        f" where t.quarter_no >= ? and {condition} order by 1",
        [int(now) // 900 - _SEARCHED_QUARTERS],
    )
    known = [row["hour"] for row in hours]
    starts = windows.starts(known, whole=False) or windows.starts(known, whole=True)
    if not starts:
        return None
    begin = starts[-1]
    (row,) = gold.rows(
        "select min(t.first_responded_at) as first, max(t.last_responded_at) as last"
        f" from agg_response_quarters as t where t.quarter_no >= ? and {condition}",
        [4 * begin],
    )
    sums = published(gold.connection, f"t.quarter_no >= ? and {condition}", [4 * begin])
    times = [at.timestamp() for at in (moment(row["first"]), moment(row["last"])) if at]
    start = begin * 3600.0
    return Block(start, start + BLOCK_S, min(times), max(times), sums)


def _last_block(gold: Gold) -> Block | None:
    sql = "select * from agg_usage_blocks order by block_start desc limit 1"
    for row in gold.rows(sql):
        names = ("block_start", "block_end", "first_response_at", "last_response_at")
        times = [at.timestamp() for name in names if (at := moment(row[name]))]
        cost, tokens = float(row["cost_usd"] or 0), row["total_tokens"] or 0
        if len(times) == len(names):
            start, end, first, last = times
            sums = Sums(cost, tokens, row["unpriced_responses"] or 0)
            return Block(start, end, first, last, sums)
    return None
