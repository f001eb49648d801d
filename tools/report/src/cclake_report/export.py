"""Query the SQLite export, opened read-only."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cclake_common.accounts import NONE, Accounts
from cclake_common.export import open_export
from cclake_common.sqlite import WAIT_S

Row = dict[str, Any]
# Gold has money with ten decimals; the export has floating point numbers.
_CENTS = Decimal("1.0000000000")
_MONEY = ("_usd", "_price", "_multiplier")
IN_PROJECT = """t.project_key in (
    select project_key from dim_projects
    where instr(lower(project_name), lower(?)) > 0
    or instr(lower(project_path), lower(?)) > 0 or project_key = ?)"""
"""SQL condition that a row of `t` is of a project; takes a part of its name thrice."""


class Gold:
    """The gold tables of an export.

    Besides SQLite's own functions a query may use `local_day(zone, quarter_no)`, the
    same for a `week` and a `month`, `local_minute(zone, time)`, and the aggregates
    `median` and `p95`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        for name, function in _FUNCTIONS.items():
            connection.create_function(
                name, -1, lru_cache(maxsize=100_000)(function), deterministic=True
            )
        connection.create_aggregate("median", 1, _Median)  # type: ignore[arg-type]
        connection.create_aggregate("p95", 1, _NinetyFifth)  # type: ignore[arg-type]

    def name_accounts(self, rules: Accounts) -> None:
        """Give queries `account_of(host, project_key)`; `none` if there is none."""
        sql = "select project_key, project_path from dim_projects"
        paths = dict(self.connection.execute(sql))

        def account_of(host: str | None, project: str | None) -> str:
            return rules.of(host, paths.get(project)) or NONE

        self.connection.create_function(
            "account_of", 2, lru_cache(maxsize=10_000)(account_of), deterministic=True
        )

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, each as a dictionary, money as decimals."""
        found = self.connection.execute(sql, list(values))
        names = [column[0] for column in found.description or ()]
        money = {name for name in names if name.endswith(_MONEY)}
        rows = [dict(zip(names, row, strict=True)) for row in found]
        for row in rows if money else ():
            row |= {name: _decimal(row[name]) for name in money}
        return rows


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(value).quantize(_CENTS)


def _at(zone: str, quarter_no: int | None) -> datetime | None:
    """Return the local time of a quarter of an hour, counted from 1970."""
    if quarter_no is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter_no)
    return moment.astimezone(ZoneInfo(zone))


def _day(zone: str, quarter_no: int | None) -> str | None:
    at = _at(zone, quarter_no)
    return at.date().isoformat() if at else None


def _week(zone: str, quarter_no: int | None, begins_on: int = 0) -> str | None:
    at = _at(zone, quarter_no)
    if at is None:
        return None
    since = (at.weekday() - begins_on) % 7
    return (at.date() - timedelta(days=since)).isoformat()


def _month(zone: str, quarter_no: int | None) -> str | None:
    at = _at(zone, quarter_no)
    return f"{at:%Y-%m}" if at else None


def local_minute(zone: str, time: str | None) -> str | None:
    """Return a time of the export as a local date, hour and minute."""
    return (
        f"{_parsed(time).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" if time else None
    )


def _parsed(time: str) -> datetime:
    return datetime.fromisoformat(time)


def _folded(text: str | None) -> str | None:
    return text.lower() if isinstance(text, str) else text


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "local_day": _day,
    "local_week": _week,
    "local_month": _month,
    "local_minute": local_minute,
    "lower": _folded,  # SQLite's own handles only ASCII
}


class _Ordered:
    """Collects the values of an aggregate."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def step(self, value: float | None) -> None:
        """Add a value; null is left out."""
        if value is not None:
            self.values.append(value)


class _Median(_Ordered):
    def finalize(self) -> int | None:
        """Return the median, rounded half to even; of two middle values, their mean."""
        values = sorted(self.values)
        if not values:
            return None
        return round((values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2)


class _NinetyFifth(_Ordered):
    def finalize(self) -> float | None:
        """Return the smallest value that at least 95 % of all do not exceed."""
        values = sorted(self.values)
        return values[-(-len(values) * 95 // 100) - 1] if values else None


def moment(time: str | None) -> datetime | None:
    """Return a time of the export; None stays None."""
    return _parsed(time) if time else None


@contextmanager
def open_gold(export_dir: Path, wait_s: float = WAIT_S) -> Iterator[Gold]:
    """Open the SQLite export.

    Args:
        export_dir: The folder of the exports.
        wait_s: Maximum time to wait for a lock, in seconds.

    Raises:
        Failure: There is no export, it cannot be read, or it lacks a table.
    """
    with open_export(export_dir, wait_s) as connection:
        yield Gold(connection)
