"""The digest of a week: what was done, what it cost, and what went wrong."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from cclake_common.failure import Failure

from cclake_report import activity, usage
from cclake_report.export import Gold
from cclake_report.filters import Filters
from cclake_report.model import Column, Report

TOP = 5  # rows of each list
_PROMPTS = """
select t.session_id, t.turn_number, t.cost_usd, t.total_tokens,
    local_minute(?, t.started_at) as at, s.title, (
        select substr(b.text, 1, 300) from thread_entries as e
        inner join thread_blocks as b
            on b.session_id = e.owner_session_id and b.entry_key = e.entry_key
            and b.block_kind = 'text'
        where e.session_id = t.session_id and e.agent_id is null
            and e.turn_number = t.turn_number and e.message_kind = 'prompt'
        order by e.position, b.block_no limit 1
    ) as prompt
from agg_turn_metrics as t
inner join dim_sessions as s on s.session_id = t.session_id
where t.cost_usd > 0 and t.turn_number > 0 and {where}
order by t.cost_usd desc limit ?
"""
_FILES = """
select t.file_path, count(*) as edits, sum(t.lines_added) as lines_added,
    sum(t.lines_removed) as lines_removed, count(distinct t.session_id) as sessions
from fct_file_operations as t
where t.operation <> 'read' and not t.is_error and t.file_path is not null and {where}
group by t.file_path order by edits desc, t.file_path limit ?
"""
_CHANGES = (
    ("Sessions", "sessions", "count"),
    ("Responses", "responses", "count"),
    ("Tokens", "total_tokens", "count"),
    ("Cost (USD)", "cost_usd", "usd"),
    ("Tool calls", "calls", "count"),
    ("Failed tool calls", "errors", "count"),
)


@dataclass(frozen=True)
class Digest:
    """A digest.

    Attributes:
        since: Its first day.
        until: Its last day.
        timezone: The time zone of the days.
        sections: Titles with their reports.
    """

    since: date
    until: date
    timezone: str
    sections: list[tuple[str, Report]]


def week_of(day: date) -> tuple[date, date]:
    """Return Monday and Sunday of the week of a day."""
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)


def last_week(today: date) -> tuple[date, date]:
    """Return Monday and Sunday of the last week that is over."""
    return week_of(today - timedelta(days=7))


def digest(gold: Gold, filters: Filters) -> Digest:
    """Return the digest of the days of a selection.

    Args:
        gold: The export.
        filters: The selection, with both days.

    Raises:
        Failure: The calendar has no such period before it.
    """
    assert filters.since
    assert filters.until
    length = filters.until - filters.since + timedelta(days=1)
    if filters.since.toordinal() <= length.days:
        raise Failure(f"there is no period before {filters.since}", code=2)
    before = replace(
        filters, since=filters.since - length, until=filters.until - length
    )
    now, then = _sums(gold, filters), _sums(gold, before)
    sections = [
        ("In numbers", _changes(now, then)),
        ("By day", _first(usage.usage(gold, "daily", filters), None)),
        ("By project", _first(usage.usage(gold, "projects", filters))),
        ("By model", _first(usage.usage(gold, "models", filters))),
        ("Most expensive prompts", _prompts(gold, filters)),
        ("Most expensive sessions", _sessions(gold, filters)),
        ("Errors", _first(activity.errors(gold, filters))),
        ("Files changed most", _files(gold, filters)),
    ]
    return Digest(filters.since, filters.until, filters.timezone, sections)


def _sums(gold: Gold, filters: Filters) -> dict[str, Any]:
    sessions = usage.usage(gold, "session", filters)
    tools = activity.tools(gold, filters).totals or {}
    return (
        (sessions.totals or {})
        | {name: tools[name] for name in ("calls", "errors")}
        | {"sessions": len(sessions.rows), "notes": sessions.notes}
    )


def _changes(now: dict[str, Any], then: dict[str, Any]) -> Report:
    columns = (
        Column("what", ""),
        Column("shown", "This period", "right"),
        Column("shown_before", "Before", "right"),
        Column("change", "Change", "percent"),
    )
    rows = [
        {
            "what": title,
            "now": now[key],
            "before": then[key],
            "change": _change(now[key], then[key]),
            "shown": _shown(now[key], kind),
            "shown_before": _shown(then[key], kind),
        }
        for title, key, kind in _CHANGES
    ]
    return Report("changes", columns, rows, None, now["notes"])


def _shown(value: Any, kind: str) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.2f}" if kind == "usd" else f"{value:,.0f}"


def _change(now: Any, then: Any) -> float | None:
    """Return by which share a number has grown; None where that says nothing."""
    return float((now - then) / then) if now is not None and then else None


def _first(report: Report, rows: int | None = TOP) -> Report:
    """Return the beginning of a report, without the notes that stand above."""
    left = len(report.rows[rows:]) if rows else 0
    notes = [f"And {left:,} more."] if left else []
    return replace(report, rows=report.rows[:rows], notes=notes)


def _sessions(gold: Gold, filters: Filters) -> Report:
    found = usage.usage(gold, "session", filters)
    found.rows.sort(key=lambda row: (-(row["cost_usd"] or 0), row["session_id"]))
    return _first(replace(found, totals=None))


def _prompts(gold: Gold, filters: Filters) -> Report:
    # The table has neither a project nor a host or models: those of the session hold.
    where, values = filters.where("started_at", "s.models")
    where = where.replace("t.project_key", "s.project_key").replace("t.host", "s.host")
    rows = gold.rows(_PROMPTS.format(where=where), [filters.timezone, *values, TOP])
    columns = (
        Column("at", "At"),
        Column("prompt", "Prompt", "flex"),
        Column("total_tokens", "Tokens", "count"),
        Column("cost_usd", "Cost (USD)", "usd"),
    )
    for row in rows:
        row["prompt"] = row["prompt"] or row["title"]
    return Report("prompts", columns, rows)


def _files(gold: Gold, filters: Filters) -> Report:
    where, values = filters.where("called_at", activity.MODEL_OF_CALL)
    rows = gold.rows(_FILES.format(where=where), [*values, TOP])
    columns = (
        Column("file_path", "File", "flex"),
        Column("edits", "Edits", "count"),
        Column("lines_added", "Added", "count"),
        Column("lines_removed", "Removed", "count"),
        Column("sessions", "Sessions", "count"),
    )
    return Report("files", columns, rows)
