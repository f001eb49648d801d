"""Render reports as text, JSON and CSV; text from logs never controls the terminal."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from cclake_common.amounts import amount
from cclake_common.masking import mask_value
from cclake_common.model_names import short_name
from cclake_common.visible import visible

from cclake_report.model import Column, Report

_SPACE = re.compile(r"[ \t\r\n]+")
_RIGHT = {"right", "amount", "count", "usd", "exact", "signed", "percent", "ms"}
_LEAST_FLEX = 12
_FORMULA = ("=", "+", "-", "@")


def masked(report: Report) -> Report:
    """Return the report with secrets in its texts masked, as on the pages."""
    return replace(
        report,
        rows=mask_value(report.rows),
        totals=mask_value(report.totals),
        notes=mask_value(report.notes),
    )


def as_json(report: Report) -> str:
    """Return the report as one JSON object; money as numbers, times in ISO 8601."""
    found = {
        "report": report.name,
        "rows": report.rows,
        "totals": report.totals,
        "notes": report.notes,
    }
    return json.dumps(found, default=_plain)


def as_csv(report: Report) -> str:
    """Return the rows as CSV, with a header; breakdowns are left out.

    A text that a spreadsheet would read as a formula gets a leading `'`, since names
    come from logs. Numbers stay numbers.
    """
    out = io.StringIO()
    names = [name for name in (report.rows or [{}])[0] if name != "breakdown"]
    names = names or [column.key for column in report.columns]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in report.rows:
        writer.writerow([_csv_cell(row.get(name)) for name in names])
    return out.getvalue().rstrip("\n")


def as_table(report: Report, width: int, bold: bool = False) -> str:
    """Return the report as a table for a terminal.

    Args:
        report: The report.
        width: Columns of the terminal; some texts are cut to fit.
        bold: Whether header and totals may be bold.
    """
    if not report.rows:
        return "nothing found"
    body = [(False, _cells(report.columns, row)) for row in _with_breakdown(report)]
    lines = [(True, [column.title for column in report.columns]), *body]
    if report.totals is not None:
        totals = _cells(report.columns, report.totals)
        lines.append((True, [totals[0] or "Total", *totals[1:]]))
    widths = _widths(report.columns, [cells for _, cells in lines], width)
    rule = "─┼─".join("─" * size for size in widths)
    printed = [_line(report.columns, cells, widths, b and bold) for b, cells in lines]
    printed.insert(1, rule)
    if report.totals is not None:
        printed.insert(len(printed) - 1, rule)
    notes = map(clean, report.notes)
    return "\n".join([*printed, *([""] if report.notes else []), *notes])


def clean(text: str) -> str:
    """Return a text of the logs as one line without control characters."""
    return visible(_SPACE.sub(" ", text).strip())


def cells(report: Report) -> list[list[str]]:
    """Return the texts of a printed table: its titles, its rows, and its totals."""
    rows = [_cells(report.columns, row) for row in report.rows]
    if report.totals is not None and rows:
        totals = _cells(report.columns, report.totals)
        rows.append([totals[0] or "Total", *totals[1:]])
    return [[column.title for column in report.columns], *rows]


def is_right(column: Column) -> bool:
    """Return whether the values of a column stand on the right."""
    return column.kind in _RIGHT


def _with_breakdown(report: Report) -> list[dict[str, Any]]:
    flexible = [column.key for column in report.columns if column.kind == "flex"]
    label = (*flexible, report.columns[0].key)[0]
    rows = []
    for row in report.rows:
        rows.append(row)
        rows += [
            part | {label: f"  └ {clean(short_name(part['model']))}"}
            for part in row.get("breakdown", [])
        ]
    return rows


def _cells(columns: Sequence[Column], row: dict[str, Any]) -> list[str]:
    return [_cell(column, row.get(column.key), row) for column in columns]


def _cell(column: Column, value: Any, row: dict[str, Any]) -> str:
    if column.kind == "usd":
        missing = ("unpriced_responses", "uncounted_responses")
        return _money(value, sum(row.get(key) or 0 for key in missing))
    if value is None:
        return ""
    if column.kind == "amount":
        return amount(value, row["unit"])
    if column.kind == "exact":
        return f"{value.normalize():f}"
    if column.kind == "signed":
        return f"{value:+.6f}"
    if column.kind == "count":
        return f"{value:,.0f}"
    if column.kind == "percent":
        return f"{100 * value:.1f} %"
    if column.kind == "ms":
        return f"{value:,} ms" if value < 10_000 else f"{value / 1000:,.0f} s"
    if isinstance(value, list):
        return ", ".join(dict.fromkeys(clean(short_name(str(item))) for item in value))
    if column.kind == "model":
        return clean(short_name(str(value)))
    indent = "  " if str(value).startswith("  └") else ""
    return indent + clean(str(value))


def _money(value: Any, missing: int) -> str:
    if value is None:
        return "unknown" if missing else ""
    return f"{'>= ' if missing else ''}{value:,.2f}"


def _widths(
    columns: Sequence[Column], lines: Sequence[Sequence[str]], width: int
) -> list[int]:
    widths = [max(size(line[i]) for line in lines) for i in range(len(columns))]
    over = sum(widths) + 3 * (len(widths) - 1) - width
    for i, column in enumerate(columns):
        if column.kind == "flex" and over > 0:
            widths[i] = max(min(widths[i], _LEAST_FLEX), widths[i] - over)
    return widths


def _line(
    columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int], bold: bool
) -> str:
    padded = []
    for column, cell, width in zip(columns, cells, widths, strict=True):
        text = _cut(cell, width)
        gap = " " * (width - size(text))
        padded.append(gap + text if column.kind in _RIGHT else text + gap)
    line = " │ ".join(padded).rstrip()
    return f"\x1b[1m{line}\x1b[0m" if bold else line


def _cut(text: str, width: int) -> str:
    if size(text) <= width:
        return text
    text = text[: 2 * width]
    while text and size(text) > width - 1:
        text = text[:-1]
    return text + "…"


def size(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if not isinstance(value, str | list):
        return value
    text = " ".join(map(clean, [value] if isinstance(value, str) else map(str, value)))
    return f"'{text}" if text.startswith(_FORMULA) else text
