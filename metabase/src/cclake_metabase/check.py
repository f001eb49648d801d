"""Run every query on the real export, and match its columns with the settings.

Metabase accepts a misspelt column and draws nothing. This finds it without looking at
the dashboards.
"""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import Failure
from cclake_common.sqlite import connect_readonly

from cclake_metabase.model import TAG, Card, Dashboard
from cclake_metabase.payload import VALUES

_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


@dataclass(frozen=True)
class Checked:
    """The result of a query.

    Attributes:
        dashboard: Name of the dashboard.
        card: Name of the card.
        rows: Number of rows without any filter.
        problem: What is wrong; empty if nothing is.
    """

    dashboard: str
    card: str
    rows: int
    problem: str


def render(sql: str, values: dict[str, str]) -> str:
    """Return a query as Metabase sends it, without optional parts that lack a value.

    Args:
        sql: The query with `{{name}}` and `[[optional parts]]`.
        values: The values of filters, which become the parameters `:name`.
    """

    def keep(match: re.Match[str]) -> str:
        named = set(TAG.findall(match[1]))
        return match[1] if named <= values.keys() else ""

    return TAG.sub(r":\1", _OPTIONAL.sub(keep, sql))


def check(dashboards: list[Dashboard], export: Path) -> list[Checked]:
    """Run all cards, without filters and with all of them.

    Raises:
        Failure: There is no export.
    """
    if not export.exists():
        raise Failure(f"no export at {export}", "Run `just pipeline` first.")
    with closing(connect_readonly(export)) as connection:
        values = _some_values(connection)
        return [
            _check(connection, dashboard.name, card, values)
            for dashboard in dashboards
            for card in dashboard.cards
        ]


def _some_values(connection: sqlite3.Connection) -> dict[str, str]:
    values = {"since": "2000-01-01", "until": "2999-12-31"}
    for name, sql in VALUES.items():
        found = connection.execute(sql).fetchone()
        values[name] = str(found[0]) if found else "none"
    return values


def _check(
    connection: sqlite3.Connection, dashboard: str, card: Card, values: dict[str, str]
) -> Checked:
    try:
        cursor = connection.execute(render(card.sql, {}))
        columns = {column[0] for column in cursor.description}
        rows = len(cursor.fetchall())
        chosen = {name: values[name] for name in card.filters}
        connection.execute(render(card.sql, chosen), chosen).fetchall()
    except sqlite3.Error as error:
        return Checked(dashboard, card.name, 0, str(error))
    missing = sorted(card.columns - columns)
    problem = f"no column {', '.join(missing)} in the result" if missing else ""
    return Checked(dashboard, card.name, rows, problem)
