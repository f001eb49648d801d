"""Measure what ccusage and gold count differently."""

from dataclasses import dataclass

from cclake_report.ccusage import Period


@dataclass(frozen=True)
class Reason:
    """A rule that the two do not share.

    Attributes:
        name: Name of the measure.
        text: Its description for the reader.
        rows: SQL condition of the responses that it concerns.
        cost: SQL expression of what it adds to our cost of a response.
        tokens: Whether the tokens of these responses are missing in ccusage, too.
    """

    name: str
    text: str
    rows: str
    cost: str
    tokens: bool = False


# Above 200,000 tokens, ccusage raises the price of the tokens above, not of all. The
# normal rates are half of the long ones, and two thirds for output.
_MARGINAL = "iif({t} > 200000, 200000, {t}) * {p} * (1 - {r})"
_IS_LONG = "coalesce(long_from_tokens = 200000, false)"
_LONG = (
    "("
    + " + ".join(
        _MARGINAL.format(t=f"{kind}_tokens", p=f"{kind}_price", r=rate)
        for kind, rate in (
            ("input", "0.5"),
            ("output", "2.0 / 3"),
            ("cache_write_5m", "0.5"),
            ("cache_write_1h", "0.5"),
            ("cache_read", "0.5"),
        )
    )
    + ") * price_multiplier / 1e6"
)
REASONS = (
    Reason(
        "other_host",
        "logged on another machine; ccusage reads one",
        "host is not this_host",
        "cost_usd",
        tokens=True,
    ),
    Reason(
        "salvaged",
        "recovered from a damaged line that ccusage skips",
        "is_salvaged",
        "cost_usd",
        tokens=True,
    ),
    Reason(
        "progress",
        "only in a progress record, which ccusage does not read",
        "is_from_progress",
        "cost_usd",
        tokens=True,
    ),
    Reason(
        "long_context",
        "above 200,000 tokens the higher rate applies to the whole request",
        _IS_LONG,
        _LONG,
    ),
    Reason("web_search", "web search fee", "web_search_usd > 0", "web_search_usd"),
    Reason(
        "us_only",
        "inference in the US only costs 1.1 times as much",
        "is_us_only",
        f"(cost_usd - web_search_usd - iif({_IS_LONG}, {_LONG}, 0)) * (1 - 1 / 1.1)",
    ),
)


def concerned(reason: Reason) -> str:
    """Return the SQL condition of responses whose first applicable reason this is.

    A response that ccusage lacks belongs to the first reason for that, and to none
    about its price.
    """
    gone = [other.rows for other in REASONS if other.tokens]
    before = gone[: gone.index(reason.rows)] if reason.tokens else gone
    return " and ".join(
        [f"({reason.rows})", *(f"not coalesce({rows}, false)" for rows in before)]
    )


ALL_PERIODS: tuple[Period, ...] = ("daily", "weekly", "monthly", "session")
# Likely reasons for the rest: (count in gold, where it can matter, sentence).
HINTS: tuple[tuple[str, tuple[Period, ...], str], ...] = (
    (
        "requestless",
        ("daily",),
        "{n} responses without a request id: ccusage's daily report counts each of"
        " their records",
    ),
    (
        "copied",
        ("session",),
        "{n} responses have copies in other sessions: counted here in the earliest",
    ),
    (
        "copied",
        ("daily", "weekly", "monthly"),
        "{n} responses have copies in other sessions: ccusage counts a copy with"
        " another request id again",
    ),
    (
        "iterated",
        ALL_PERIODS,
        "{n} responses of several iterations, each with its own price",
    ),
    (
        "long",
        ALL_PERIODS,
        "{n} responses at the higher rate of a limit that ccusage may not know",
    ),
    ("unpriced", ALL_PERIODS, "{n} responses without a price here"),
)
