"""Render reports as text, JSON and CSV; text from logs never controls the terminal."""

import csv
import io
import json
import re
import textwrap
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
_LEAST = 6
_ASCII = str.maketrans("│─┼└…·–→", "|-+`.:->")
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


def as_table(
    report: Report, width: int, bold: bool = False, narrow: bool = True
) -> str:
    """Return the report as a table for a terminal.

    Args:
        report: The report.
        width: Columns of the terminal; some texts are cut to fit.
        bold: Whether header and totals may be bold.
        narrow: Whether columns may be left out to fit, and notes be wrapped.
    """
    if not report.rows:
        return "nothing found"
    columns, notes = report.columns, list(map(clean, report.notes))
    lines = _lines(report, columns, _with_breakdown(report, columns))
    widths = _widths(columns, lines, width)
    while narrow and _taken(widths) > width and any(one.rank for one in columns):
        first = max(columns, key=lambda column: column.rank)
        columns = tuple(column for column in columns if column is not first)
        lines = _lines(report, columns, _with_breakdown(report, columns))
        widths = _widths(columns, lines, width)
    if left := [c.title for c in report.columns if c not in columns]:
        notes.append(f"Columns left out: {', '.join(left)}. --json has all.")
    rule = "─┼─".join("─" * size for size in widths)
    strong = {0, len(lines) - 1} if report.totals is not None else {0}
    printed = [
        _line(columns, cells, widths, bold and number in strong)
        for number, cells in enumerate(lines)
    ]
    printed.insert(1, rule)
    if report.totals is not None:
        printed.insert(len(printed) - 1, rule)
    if narrow:
        notes = [textwrap.fill(note, width) for note in notes]
    return "\n".join([*printed, *([""] if notes else []), *notes])


def in_ascii(table: str) -> str:
    """Return a table with lines and marks for a terminal that can't show others."""
    return table.translate(_ASCII)


def clean(text: str) -> str:
    """Return a text of the logs as one line without control characters."""
    return visible(_SPACE.sub(" ", text).strip())


def cells(report: Report) -> list[list[str]]:
    """Return the texts of a printed table: its titles, its rows, and its totals."""
    return _lines(report, report.columns, report.rows)


def is_right(column: Column) -> bool:
    """Return whether the values of a column stand on the right."""
    return column.kind in _RIGHT


def _lines(
    report: Report, columns: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> list[list[str]]:
    lines = [[column.title for column in columns]]
    lines += [_cells(columns, row) for row in rows]
    if report.totals is not None and rows:
        totals = _cells(columns, report.totals)
        lines.append([totals[0] or "Total", *totals[1:]])
    return lines


def _with_breakdown(report: Report, columns: Sequence[Column]) -> list[dict[str, Any]]:
    flexible = [column.key for column in columns if column.kind == "flex"]
    label = (*flexible, columns[0].key)[0]
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
    for i, column in enumerate(columns):
        if column.kind == "flex" and (over := _taken(widths) - width) > 0:
            widths[i] = max(min(widths[i], _LEAST_FLEX), widths[i] - over)
    # Names of models, too, where nothing else is left.
    for i, column in enumerate(columns):
        over = _taken(widths) - width
        if column.kind not in _RIGHT and over > 0 and not any(c.rank for c in columns):
            widths[i] = max(min(widths[i], _LEAST), widths[i] - over)
    return widths


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + 3 * (len(widths) - 1)


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
