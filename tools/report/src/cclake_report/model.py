"""Hold a report: columns, rows, totals and notes."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Kind = Literal[
    "text",
    "right",
    "flex",
    "model",
    "count",
    "usd",
    "amount",
    "exact",
    "signed",
    "percent",
    "ms",
]
COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_write_tokens",
    "cache_read_tokens",
    "total_tokens",
    "responses",
    "unpriced_responses",
    "uncounted_responses",
    "final_responses",
)


@dataclass(frozen=True)
class Column:
    """A column of a printed table.

    Attributes:
        key: The key in the row.
        title: The title.
        kind: The kind of the values.
        rank: On a narrow terminal, columns of the highest rank are left out first;
            those of rank 0 never.
    """

    key: str
    title: str
    kind: Kind = "text"
    rank: int = 0


@dataclass
class Report:
    """A report.

    Attributes:
        name: Name of the report.
        columns: The columns of the printed table; rows may hold more.
        rows: The rows; a row with `breakdown` has rows of its own there.
        totals: Sums over all rows, if they make sense.
        notes: Sentences to print with the numbers.
    """

    name: str
    columns: tuple[Column, ...]
    rows: list[dict[str, Any]]
    totals: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)


def add_up(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of the counts and of the known costs."""
    sums: dict[str, Any] = {key: sum(row[key] for row in rows) for key in COUNTS}
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    sums["cost_usd"] = sum(costs, Decimal(0)) if costs or not rows else None
    return sums


def caveats(parts: list[dict[str, Any]]) -> list[str]:
    """Return notes on missing prices, missing counts and lower bounds.

    Args:
        parts: Sums by model, and by anything else.
    """
    totals = add_up(parts)
    notes = []
    for key, by_model, loud, missing in (
        ("unpriced_responses", "model_unpriced", "WITHOUT A PRICE", "Their cost is"),
        (
            "uncounted_responses",
            "uncounted_responses",
            "LOGGED WITHOUT TOKEN COUNTS",
            "They are",
        ),
    ):
        if totals[key]:
            models = ", ".join(sorted({p["model"] for p in parts if p[by_model]}))
            notes.append(
                f"{loud}: {totals[key]:,} responses of {models}."
                f" {missing} missing in every total."
            )
    final = totals["final_responses"]
    counted = totals["responses"] - totals["uncounted_responses"]
    if final < counted:
        notes.append(
            f"Output tokens are a lower bound: {100 * final / counted:.0f} % of the"
            f" responses ({final:,} of {counted:,}) were logged with a final count."
        )
    return notes
