"""Format the state of the stack as tables for a terminal."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from cclake_common.failure import typed
from cclake_common.visible import visible, visible_lines
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cclake_stack.config import ROLES, Value
from cclake_stack.validate import Check

HEALTHY = ("RUNNING", "STARTING")
_UNBROKEN = 1000
_ADD_PRICES = (
    "To add a price, write a csv with the columns model, input and output (dollars per"
    " million tokens), set CCLAKE_PRICES to its path, then run `just down` and"
    " `just up`."
)
NO_COPY = "none; `publish --duckdb-copy` writes it"
SHOWN = 20
MISSED = ("files", "folders")


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        """Leave the error to `run`, which knows which stream was closed."""
        raise  # the error that rich handles


def screen() -> Console:
    """Return standard output; rows are wrapped only if it is a terminal."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return _Screen()
    return _Screen(width=_UNBROKEN)


def overview(addresses: dict[str, str], archived: int) -> RenderableType:
    """Return the table at the end of `up`: addresses and counts."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, address in addresses.items():
        table.add_row(name, Text(visible(address), style="bold"))
    table.add_row("archived", f"{archived:,} lines")
    return table


def is_healthy(found: dict[str, Any]) -> bool:
    """Return whether all needed processes run, and health and the last run are good."""
    # `up` starts only what the role needs.
    ended = [p for p in found["processes"] if p["state"] not in (*HEALTHY, "STOPPED")]
    states = {p["name"]: p["state"] for p in found["processes"]}
    stopped = [name for name in ROLES[found["role"]] if states.get(name) == "STOPPED"]
    last, health = found["pipeline_ended"], found["health"] or {}
    ships = "flusher" in ROLES[found["role"]]
    return (
        found["running"]
        and not ended
        and not stopped
        and (not ships or health.get("status") == "ok")
        and (last is None or last.get("outcome") != "failed")
        and not found["unreadable"]
    )


def status(found: dict[str, Any]) -> RenderableType:
    """Return the output of `status`."""
    if not found["running"]:
        text = typed("cclake is not running; start it with: just up")
        return Group(text, *notices(found))
    return Group(_processes(found["processes"]), "", _facts(found), *notices(found))


def settings(values: Iterable[Value]) -> RenderableType:
    """Return a table with a row per setting."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("setting", "value", "from", "meaning"):
        table.add_column(column, overflow="fold")
    for value in values:
        _add(table, value.name, value.value, value.origin, value.meaning)
    return table


def checks(found: Iterable[Check]) -> RenderableType:
    """Return a table with a row per check of `validate`."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("check", "holds", "seen"):
        table.add_column(column, overflow="fold")
    for check in found:
        holds = Text("yes", "green") if check.holds else Text("NO", "bold red")
        _add(table, check.name, holds, check.seen)
    return table


def _add(table: Table, *cells: str | Text) -> None:
    """Add a row of plain text, which is never interpreted as markup."""
    shown = (Text(visible(one)) if isinstance(one, str) else one for one in cells)
    table.add_row(*shown)


def _processes(processes: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("process", "state", ""):
        table.add_column(column)
    for process in processes:
        style = "green" if process["state"] in HEALTHY else "red"
        state = Text(process["state"].lower(), style=style)
        _add(table, process["name"], state, process["description"])
    return table


def _facts(found: dict[str, Any]) -> Table:
    ingestion, health = found["ingestion"], found["health"] or {}
    export = found["export"]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    _add(table, "files", f"{ingestion['files']:,}")
    _add(table, "pending lines", f"{ingestion['queued']:,}")
    _add(table, "delivered lines", f"{ingestion['delivered']:,}")
    _add(table, "dead letters", f"{health.get('dead_letters', '?')}")
    _add(table, "health", _health(health))
    _add(table, "last pipeline run", _run(found["pipeline"]))
    if found["pipeline"] != found["pipeline_ended"]:
        _add(table, "the one before", _run(found["pipeline_ended"]))
    _add(table, "last publish", export.get("published_at", "never"))
    _add(table, "copy for DuckDB", found["duckdb_copy"] or NO_COPY)
    return table


def _health(health: dict[str, Any]) -> str:
    reasons = "; ".join(str(reason) for reason in health.get("reasons", []))
    return f"{health.get('status', 'no answer')}{': ' if reasons else ''}{reasons}"


def _run(last: dict[str, Any] | None) -> str:
    if not last:
        return "never"
    return f"{last.get('started_at')} {last.get('mode')}: {last.get('outcome')}"


def _why_failed(last: dict[str, Any] | None) -> list[str]:
    """Return what the failed stage of a run printed last."""
    return [
        f"The last pipeline run failed in {stage['stage']}:\n  "
        + str(stage["detail"]).replace("\n", "\n  ")
        for stage in (last or {}).get("stages", [])
        if stage["outcome"] == "failed"
    ]


def _custody(found: dict[str, Any]) -> list[str]:
    """Return sentences on files that are not archived, or were deleted too early."""
    said = list(found["left_out"][:SHOWN])
    if (more := len(found["left_out"]) - SHOWN) > 0:
        said.append(f"and {more:,} more files; --json lists all")
    tailer = (found["health"] or {}).get("tailer") or {}
    missed = [(tailer.get(f"{what}_missed_total"), what) for what in MISSED]
    said += [
        f"Deleted unread since the tailer started: {count:,} {what}."
        for count, what in missed
        if count
    ]
    return said


def notices(found: dict[str, Any]) -> list[RenderableType]:
    """Return lines on everything that needs attention."""
    lines: list[RenderableType] = [
        Text(visible_lines(sentence), style="red")
        for sentence in (*_why_failed(found["pipeline_ended"]), *found["unreadable"])
    ]
    lines += [
        Text(visible(sentence), style="yellow")
        for sentence in (*found["warnings"], *_custody(found))
    ]
    lines += [
        Text(
            visible(
                f"Unknown {row['kind']}: {row['name']} of Claude Code"
                f" {row['version']}, {row['count']:,} times (archived)."
            )
        )
        for row in found["unknown_format"]
    ]
    lines += [
        Text(
            f"Without a price: {visible(row['model'])}, {row['tokens']:,} tokens in"
            f" {row['responses']:,} responses.",
            style="yellow",
        )
        for row in found["unpriced_models"]
    ]
    if found["unpriced_models"]:
        lines.append(Text(_ADD_PRICES))
    lines += [
        Text(
            f"Archived, but not counted: {row['lines']:,} lines"
            f" ({visible(row['reason'])}; {row['responses']:,} of them responses),"
            f" for example {visible(row['file'])} at byte {row['off']:,}.",
            style="yellow",
        )
        for row in found["unread_lines"]
    ]
    return ["", *lines] if lines else []
