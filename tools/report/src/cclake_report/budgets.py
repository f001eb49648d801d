"""Read the budgets of `budgets.toml`, and compute what is used of them."""

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from cclake_common.failure import Failure

from cclake_report.export import IN_PROJECT, Gold
from cclake_report.live import Sums, published
from cclake_report.timezones import bounds, quarter_no

if TYPE_CHECKING:
    from cclake_report.model import Report

FILE = "budgets.toml"
PERIODS = ("day", "week", "month")
UNITS = ("usd", "tokens")
_TEXTS = ("name", "period", "project", "host")
_HINT = "tools/report/README.md shows an example."


class Budget(NamedTuple):
    """A limit.

    Attributes:
        name: Its name.
        period: `day`, `week` (from Monday) or `month`.
        unit: `usd` or `tokens`.
        limit: The limit, in its unit.
        project: Part of the name or path of a project; None: all of them.
        host: Name of a machine; None: all of them.
    """

    name: str
    period: str
    unit: str
    limit: float
    project: str | None
    host: str | None

    @property
    def key(self) -> str:
        """Identify the budget as long as it is not edited."""
        return json.dumps(list(self))


class Budgets(NamedTuple):
    """A file of budgets, and the command that runs once when a limit is reached."""

    budgets: list[Budget]
    hook: list[str]


class Use(NamedTuple):
    """The use of a budget in its current period; times in UTC.

    Attributes:
        budget: The budget.
        used: What is used, in its unit.
        missing: Responses whose cost is not known; `used` is a lower bound then.
        start: The start of the period.
        end: Its end.
        spent_at: When it will be used up at the current rate; None: not in this period,
            or it already is.
    """

    budget: Budget
    used: float
    missing: int
    start: datetime
    end: datetime
    spent_at: datetime | None

    @property
    def share(self) -> float:
        """The used share; 1 is the limit."""
        return self.used / self.budget.limit

    @property
    def is_over(self) -> bool:
        """Whether the limit is reached."""
        return self.used >= self.budget.limit


def load(path: Path) -> Budgets:
    """Read a file of budgets.

    Raises:
        Failure: There is no such file, it cannot be read, or it is wrong.
    """
    import tomllib  # most commands do not need it

    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Failure(f"{path} does not exist", _HINT, code=2) from None
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", code=2) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise Failure(f"{path} is not TOML: {error}", _HINT, code=2) from error
    try:
        return _budgets(found)
    except ValueError as error:
        raise Failure(f"{path}: {error}", _HINT, code=2) from None


def _budgets(found: dict[str, Any]) -> Budgets:
    _refuse_others(found, ("budget", "hook"), "")
    hook = found.get("hook", [])
    if not isinstance(hook, list) or not all(isinstance(part, str) for part in hook):
        raise ValueError(
            'hook is not a list of texts, such as ["notify-send", "Claude"]'
        )
    if any("\0" in part for part in hook) or (hook and not hook[0]):
        raise ValueError("hook does not name a command")
    tables = found.get("budget", [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise ValueError("budgets are tables: [[budget]]")
    budgets = [_budget(table, f"budget {n}") for n, table in enumerate(tables, 1)]
    names = [budget.name for budget in budgets]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two budgets have the name {json.dumps(name)}")
    return Budgets(budgets, hook)


def _budget(table: dict[str, Any], which: str) -> Budget:
    _refuse_others(table, (*_TEXTS, *UNITS), f"{which}: ")
    for key in _TEXTS:
        text = table.get(key, "-")
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise ValueError(f"{which}: {key} is not a text of one line")
    if table.get("period") not in PERIODS:
        raise ValueError(f"{which}: period is not one of day, week, month")
    units = [unit for unit in UNITS if unit in table]
    if len(units) != 1:
        raise ValueError(f"{which}: give one limit, usd or tokens")
    limit = table[units[0]]
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ValueError(f"{which}: {units[0]} is not a number")
    if not 0 < limit < 1e18:
        raise ValueError(f"{which}: {units[0]} is not above 0")
    parts = (table["period"], table.get("project"), table.get("host"))
    name = table.get("name") or " ".join(filter(None, parts))
    return Budget(name, table["period"], units[0], float(limit), parts[1], parts[2])


def _refuse_others(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{where}there is no key {json.dumps(key)}")


def use(
    gold: Gold,
    budget: Budget,
    timezone: str,
    now: datetime,
    extra: Callable[[Budget, float, float], Sums] | None = None,
) -> Use:
    """Return what is used of a budget.

    Args:
        gold: The export.
        budget: The budget.
        timezone: IANA name of the time zone that days are counted in.
        now: The time.
        extra: Returns the use between two times that is not in the export yet.
    """
    start, end = bounds(budget.period, timezone, now)
    condition = "t.quarter_no >= ? and t.quarter_no < ?"
    values: list[Any] = [quarter_no(start), quarter_no(end)]
    if budget.project:
        condition += f" and {IN_PROJECT}"
        values += [budget.project] * 3
    if budget.host:
        condition += " and t.host = ?"
        values.append(budget.host)
    sums = published(gold, condition, values)
    if extra:
        sums = sums.plus(extra(budget, start.timestamp(), end.timestamp()))
    used = sums.cost if budget.unit == "usd" else float(sums.tokens)
    missing = sums.missing if budget.unit == "usd" else 0
    return Use(
        budget, used, missing, start, end, _spent_at(budget, used, start, end, now)
    )


def _spent_at(
    budget: Budget, used: float, start: datetime, end: datetime, now: datetime
) -> datetime | None:
    elapsed = (now - start).total_seconds()
    if not 0 < used < budget.limit or elapsed <= 0:
        return None
    more = (budget.limit - used) * elapsed / used
    left = (end - now).total_seconds()
    return now + timedelta(seconds=math.ceil(more)) if more < left else None


def report(uses: Sequence[Use], timezone: str) -> "Report":
    """Return a report of budgets, the tightest first."""
    from cclake_report.model import Column, Report  # the status line does not need it

    rows = []
    for use in sorted(uses, key=lambda use: -use.share):
        at = use.spent_at.astimezone(ZoneInfo(timezone)) if use.spent_at else None
        rows.append(
            {
                "budget": use.budget.name,
                "period": use.budget.period,
                "project": use.budget.project,
                "host": use.budget.host,
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
                "period_start": use.start.astimezone(ZoneInfo(timezone)).isoformat(),
                "period_end": use.end.astimezone(ZoneInfo(timezone)).isoformat(),
                "unpriced_responses": use.missing,
            }
        )
    columns = (
        Column("budget", "Budget", "flex"),
        Column("period", "Per"),
        Column("used", "Used", "amount"),
        Column("limit", "Limit", "amount"),
        Column("share", "Share", "percent"),
        Column("state", "Spent at this rate"),
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
