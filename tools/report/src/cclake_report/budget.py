"""Report what is used of the budgets."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from cclake_common.budgets import Use

from cclake_report.model import Column, Report


def report(uses: Sequence[Use], timezone: str) -> Report:
    """Return a report of budgets, the tightest first."""
    zone = ZoneInfo(timezone)
    rows = []
    for use in sorted(uses, key=lambda use: -use.share):
        at = use.spent_at.astimezone(zone) if use.spent_at else None
        rows.append(
            {
                "budget": use.budget.name,
                "period": use.budget.period,
                "project": use.budget.project,
                "host": use.budget.host,
                "account": use.budget.account,
                "unit": use.budget.unit,
                "used": round(use.used, 6),
                "limit": use.budget.limit,
                "share": round(use.share, 6),
                "is_over": use.is_over,
                "spent_at": at.isoformat(timespec="minutes") if at else None,
                "state": "reached"
                if use.is_over
                else f"{at:%Y-%m-%d %H:%M}"
                if at
                else f"not this {use.budget.period}",
                "period_start": use.start.astimezone(zone).isoformat(),
                "period_end": use.end.astimezone(zone).isoformat(),
                "unpriced_responses": use.missing,
            }
        )
    columns = (
        Column("budget", "Budget", "flex"),
        Column("period", "Per", rank=2),
        Column("used", "Used", "amount"),
        Column("limit", "Limit", "amount", rank=1),
        Column("share", "Share", "percent"),
        Column("state", "Reached at this rate", rank=1),
    )
    missing = [use.budget.name for use in uses if use.missing]
    notes = (
        [
            f"WITHOUT A COST: some responses in {', '.join(missing)}. What is used is a"
            " lower bound. `report daily` names them."
        ]
        if missing
        else []
    )
    return Report("budget", columns, rows, None, notes)
