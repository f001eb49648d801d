"""Read the budgets of `budgets.toml`, and compute what is used of them."""

import json
import math
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cclake_common import accounts, toml_file
from cclake_common.accounts import Accounts
from cclake_common.amounts import amount
from cclake_common.failure import Failure
from cclake_common.timezones import bounds, default_zone, quarter_no, zone
from cclake_common.toml_file import Mistake

FILE = "budgets.toml"
PERIODS = ("day", "week", "month")
UNITS = ("usd", "tokens")
_TEXTS = ("name", "period", "project", "host", "account")
_HINT = "tools/report/README.md shows an example."
# An index holds all of these columns.
_SUMS = """
select coalesce(sum(cost_usd), 0), coalesce(sum(total_tokens), 0),
    coalesce(sum(unpriced_responses), 0)
from agg_response_quarters as t where {}
"""


class Sums(NamedTuple):
    """Tokens and cost; responses without a cost are `missing`."""

    cost: float = 0.0
    tokens: int = 0
    missing: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums of both."""
        return Sums(
            self.cost + other.cost,
            self.tokens + other.tokens,
            self.missing + other.missing,
        )


class Budget(NamedTuple):
    """A limit.

    Attributes:
        name: Its name.
        period: `day`, `week` (from Monday) or `month`.
        unit: `usd` or `tokens`.
        limit: The limit, in its unit.
        project: Part of the name or path of a project; None: all of them.
        host: Name of a machine; None: all of them.
        account: Name of an account; None: all of them.
    """

    name: str
    period: str
    unit: str
    limit: float
    project: str | None = None
    host: str | None = None
    account: str | None = None

    @property
    def key(self) -> str:
        """Identify the budget as long as it is not edited."""
        return json.dumps(list(self))


class Budgets(NamedTuple):
    """A file of budgets.

    Attributes:
        budgets: The budgets.
        hook: The command that runs once when a limit is reached; empty: none.
        timezone: IANA name of the time zone of the periods; "" if the file has none.
        accounts: The rules of the accounts, if a budget has one.
    """

    budgets: tuple[Budget, ...]
    hook: tuple[str, ...] = ()
    timezone: str = ""
    accounts: Accounts = accounts.NO_RULES


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

    @property
    def amounts(self) -> tuple[str, str]:
        """Return what is used and the limit, with their unit."""
        unit = self.budget.unit
        return amount(self.used, unit), amount(self.budget.limit, unit)


def load(path: Path, rules: Accounts | None = None) -> Budgets:
    """Read a file of budgets, and the rules of the accounts beside it.

    Args:
        path: The file.
        rules: The rules of the accounts, if they are read already.

    Raises:
        Failure: There is no such file, or one of them cannot be read or is wrong.
    """
    found = toml_file.read(path, _budgets, _HINT)
    if not any(budget.account for budget in found.budgets):
        return found
    if rules is None:
        rules = accounts.load(path.parent / accounts.FILE)
    return found._replace(accounts=rules)


def _budgets(found: dict[str, Any]) -> Budgets:
    toml_file.refuse_others(found, ("budget", "hook", "timezone"))
    hook = found.get("hook", [])
    if not isinstance(hook, list) or not all(isinstance(part, str) for part in hook):
        raise Mistake(
            'hook is not a list of texts, such as ["notify-send", "Claude"]', "hook"
        )
    if any("\0" in part for part in hook) or (hook and not hook[0]):
        raise Mistake("hook does not name a command", "hook")
    given = found.get("timezone", "")
    if given and not toml_file.is_line(given):
        raise Mistake("timezone is not a text of one line", "timezone")
    try:
        timezone = zone(given) if given else ""
    except Failure as failure:
        raise Mistake(str(failure), "timezone") from None
    budgets = [
        _budget(table, number)
        for number, table in enumerate(toml_file.tables(found, "budget"), 1)
    ]
    names = [budget.name for budget in budgets]
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise Mistake(
                f"two budgets have the name {json.dumps(name)}",
                "name" if "name" in found["budget"][number - 1] else "",
                "budget", number,
            )  # fmt: skip
    return Budgets(tuple(budgets), tuple(hook), timezone)


def _budget(table: dict[str, Any], number: int) -> Budget:
    def wrong(what: str, key: str = "") -> Mistake:
        return Mistake(f"budget {number}: {what}", key, "budget", number)

    toml_file.refuse_others(table, (*_TEXTS, *UNITS), "budget", number)
    for key in _TEXTS:
        if not toml_file.is_line(table.get(key, "-")):
            raise wrong(f"{key} is not a text of one line", key)
    if table.get("period") not in PERIODS:
        raise wrong("period is not one of day, week, month", "period")
    units = [unit for unit in UNITS if unit in table]
    if len(units) != 1:
        raise wrong("give one limit, usd or tokens", units[-1] if units else "")
    (unit,) = units
    limit = table[unit]
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise wrong(f"{unit} is not a number", unit)
    if not 0 < limit < 1e18:
        raise wrong(f"{unit} is not above 0", unit)
    parts = [table.get(key) for key in ("period", "project", "host", "account")]
    name = table.get("name") or " ".join(filter(None, parts))
    return Budget(name, table["period"], unit, float(limit), *parts[1:])


def uses(
    connection: sqlite3.Connection,
    found: Budgets,
    now: datetime,
    timezone: str = "",
    extra: Callable[[Budget, float, float], Sums] | None = None,
) -> list[Use]:
    """Return what is used of budgets.

    Args:
        connection: Of the export.
        found: The file of budgets.
        now: The time.
        timezone: IANA name of the time zone of the periods, unless the file names one;
            "" is that of this machine.
        extra: Returns the use between two times that is not in the export yet.

    """
    name = found.timezone or timezone or default_zone()
    return [
        _use(connection, budget, found.accounts, name, now, extra)
        for budget in found.budgets
    ]


def _use(
    connection: sqlite3.Connection,
    budget: Budget,
    known: Accounts,
    timezone: str,
    now: datetime,
    extra: Callable[[Budget, float, float], Sums] | None,
) -> Use:
    start, end = bounds(budget.period, timezone, now)
    condition = "t.quarter_no >= ? and t.quarter_no < ?"
    values: list[Any] = [quarter_no(start), quarter_no(end)]
    if budget.project:
        condition += " and t.project_key in (select value from json_each(?))"
        values.append(json.dumps(_projects(connection, budget.project)))
    if budget.host:
        condition += " and t.host = ?"
        values.append(budget.host)
    if budget.account:
        condition += f" and {known.condition(known.named(budget.account))}"
    sums = published(connection, condition, values)
    if extra:
        sums = sums.plus(extra(budget, start.timestamp(), end.timestamp()))
    used = sums.cost if budget.unit == "usd" else float(sums.tokens)
    missing = sums.missing if budget.unit == "usd" else 0
    spent_at = _spent_at(budget, used, start, end, now)
    return Use(budget, used, missing, start, end, spent_at)


def published(
    connection: sqlite3.Connection, condition: str, values: list[Any]
) -> Sums:
    """Return sums of the export over rows of `agg_response_quarters as t`."""
    row = connection.execute(_SUMS.format(condition), values).fetchone()
    cost, tokens, missing = row
    return Sums(float(cost), int(tokens), int(missing))


def _projects(connection: sqlite3.Connection, name: str) -> list[str]:
    """Return the keys of the projects with a text in their name or path."""
    sql = "select project_key, project_name, project_path from dim_projects"
    part = name.lower()
    return [
        key
        for key, *named in connection.execute(sql)
        if key == name or any(part in (text or "").lower() for text in named)
    ]


def _spent_at(
    budget: Budget, used: float, start: datetime, end: datetime, now: datetime
) -> datetime | None:
    elapsed = (now - start).total_seconds()
    if not 0 < used < budget.limit or elapsed <= 0:
        return None
    more = (budget.limit - used) * elapsed / used
    left = (end - now).total_seconds()
    return now + timedelta(seconds=math.ceil(more)) if more < left else None
