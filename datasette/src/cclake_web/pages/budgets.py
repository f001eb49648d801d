"""Show what is used of the budgets, and when they will be spent at this rate."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from cclake_common import budgets
from cclake_common.budgets import Budgets, Use
from cclake_common.failure import Failure
from cclake_common.masking import mask

from cclake_web.config import Config
from cclake_web.export import Export


@dataclass(frozen=True)
class Row:
    """A budget as the dashboard shows it."""

    name: str
    used: str
    limit: str
    share: float
    is_over: bool
    state: str


@dataclass(frozen=True)
class Shown:
    """The budgets, the tightest first, or what is wrong with the file."""

    rows: list[Row]
    problem: str = ""


def shown(
    connection: sqlite3.Connection, export: Export, config: Config, zone: tzinfo
) -> Shown | None:
    """Return the budgets now, regardless of filters; None without a file.

    Args:
        connection: Of the export.
        export: The export, which caches them for a minute.
        config: Has the file.
        zone: The viewer's time zone.
    """
    if not config.budgets.exists():
        return None
    now = datetime.now(UTC)
    try:
        found = budgets.load(config.budgets)
        key = (found, now.replace(second=0, microsecond=0))
        uses = export.keep("budgets", 1, key, lambda: _uses(connection, found, now))
    except Failure as failure:
        return Shown([], str(failure))
    return Shown([_row(use, zone) for use in uses])


def _uses(connection: sqlite3.Connection, found: Budgets, now: datetime) -> list[Use]:
    uses = budgets.uses(connection, found, now)
    return sorted(uses, key=lambda use: -use.share)


def _row(use: Use, zone: tzinfo) -> Row:
    used, limit = use.amounts
    at = use.spent_at.astimezone(zone) if use.spent_at else None
    state = (
        "reached" if use.is_over
        else f"spent {at:%a} {at.day} {at:%b, %H:%M}" if at
        else f"lasts this {use.budget.period}"
    )  # fmt: skip
    return Row(
        mask(use.budget.name), f"{'≥ ' if use.missing else ''}{used}",
        f"{limit} a {use.budget.period}", use.share, use.is_over, state,
    )  # fmt: skip
