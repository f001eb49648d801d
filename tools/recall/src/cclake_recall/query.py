"""Sum tokens and cost, and run read-only SQL."""

import sqlite3
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from cclake_common.failure import Failure
from cclake_common.masking import mask
from cclake_common.search import Within

from cclake_recall.find import Row

SECONDS = 5.0  # maximum seconds for a query
ROWS = 200
CELL = 500  # maximum characters of a value
STEPS = 10_000  # SQLite steps between two checks of the time
LENGTH = 20_000_000  # maximum bytes of a value while a query runs
_QUARTER = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GROUPS = {
    "day": "local_day(r.quarter_no)",
    "model": "r.model",
    "project": "coalesce(p.project_name, r.project_key)",
    "session": "r.session_id",
}
_READING = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}  # fmt: skip
# By name, and whether it has an argument; the full-text index reads the version.
_PRAGMAS = {("data_version", False), ("table_info", True), ("table_xinfo", True)}
_REFUSED = {"load_extension", "fts3_tokenizer", "zeroblob", "randomblob"}


def usage(
    connection: sqlite3.Connection,
    by: str,
    within: Within,
    zone: tzinfo | None,
    limit: int,
) -> list[Row]:
    """Return tokens and cost of API responses, newest or most expensive first.

    Args:
        connection: Of the export.
        by: day, model, project or session.
        within: Projects, host and times.
        zone: Time zone of the days; None is that of this machine.
        limit: Maximum number of rows.
    """

    def local_day(quarter: int | None) -> str:
        if quarter is None:
            return "unknown"
        return f"{(_EPOCH + quarter * _QUARTER).astimezone(zone):%Y-%m-%d}"

    connection.create_function("local_day", 1, local_day, deterministic=True)
    keys = {f"project{n}": key for n, key in enumerate(within.projects)}
    pairs = (
        (keys, f"r.project_key in ({', '.join(f':{name}' for name in keys)})"),
        (within.host, "r.host = :host"),
        (within.low, "r.quarter_no >= :low"),
        (within.high, "r.quarter_no < :high"),
    )
    wanted = [sql for value, sql in pairs if value]
    values: Row = {
        "host": within.host, "limit": limit,
        "low": _quarter(within.low), "high": _quarter(within.high),
    }  # fmt: skip
    rows = connection.execute(
        f"""select coalesce({_GROUPS[by]}, 'unknown') as name,
            sum(r.cost_usd) as cost_usd, sum(r.total_tokens) as tokens,
            sum(r.input_tokens) as input_tokens, sum(r.output_tokens) as output_tokens,
            sum(r.api_responses) as responses,
            sum(r.unpriced_responses) as without_cost
        from agg_response_quarters r
        left join dim_projects p on p.project_key = r.project_key
        {f"where {' and '.join(wanted)}" if wanted else ""}
        group by 1 order by {"1" if by == "day" else "2"} desc, 1 limit :limit""",
        values | keys,
    )
    return [dict(row) | {"name": mask(str(row["name"]))} for row in rows]


def _quarter(time: str) -> int:
    return int((datetime.fromisoformat(time) - _EPOCH) / _QUARTER) if time else 0


def select(
    connection: sqlite3.Connection, sql: str, seconds: float = SECONDS
) -> tuple[list[str], list[list[Any]], bool]:
    """Run one SELECT, and refuse anything else.

    Secrets in values are masked, and long values are cut.

    Returns:
        The names of the columns, the rows, and whether there are more rows.

    Raises:
        Failure: The statement is wrong, does more than read, or takes too long.
    """
    end = time.monotonic() + seconds
    connection.set_authorizer(_allow)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LENGTH)
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        found = connection.execute(sql)
        rows = found.fetchmany(ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if str(error) == "interrupted":
            raise Failure(f"the query took more than {seconds:.0f} s") from error
        raise Failure(f"the query failed: {error}") from error
    finally:
        connection.set_progress_handler(None, 0)
        connection.set_authorizer(None)
    if found.description is None:
        raise Failure("the query is not a SELECT")
    names = [column[0] for column in found.description]
    return names, [list(map(_cell, row)) for row in rows[:ROWS]], len(rows) > ROWS


def _allow(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    allowed = (
        (action in _READING and str(second).lower() not in _REFUSED)
        or (action == sqlite3.SQLITE_PRAGMA and (first, bool(second)) in _PRAGMAS)
        # SQLite reports reads of the full-text index so; a real update is refused.
        or (action == sqlite3.SQLITE_UPDATE and first == "sqlite_master")
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if not isinstance(value, str):
        return value
    masked = mask(value)
    return masked if len(masked) <= CELL else masked[: CELL - 1] + "…"
