"""Render a digest as Markdown, HTML and JSON; text of logs stays text in each."""

import html
import json
import re

from cclake_report import render
from cclake_report.digest import Digest
from cclake_report.model import Report

# What is markup or a link inside a line, or would end a cell of a table.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~&@$]|:(?=//|\w+:)|(?<=www)\.")
_LONGEST = 120  # characters of a cell
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; }
table { border-collapse: collapse; margin: 0.5rem 0; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 1px solid #999; }
.right { text-align: right; white-space: nowrap; }
"""


def as_markdown(digest: Digest) -> str:
    """Return a digest as Markdown with tables."""
    parts = [f"# {title(digest)}"]
    for name, report in _sections(digest):
        parts.append(f"## {name}")
        if report.rows:
            parts.append("\n".join(_markdown_lines(report)))
        parts += [_escaped(note) for note in report.notes or _nothing(report)]
    return "\n\n".join(parts)


def as_html(digest: Digest) -> str:
    """Return a digest as a page that loads nothing."""
    about = html.escape(title(digest))
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f"<title>{about}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{about}</h1>",
    ]
    for name, report in _sections(digest):
        parts.append(f"<h2>{html.escape(name)}</h2>")
        if report.rows:
            parts += _html_lines(report)
        notes = report.notes or _nothing(report)
        parts += [f"<p>{html.escape(render.clean(note))}</p>" for note in notes]
    return "\n".join([*parts, "</body></html>"])


def as_json(digest: Digest) -> str:
    """Return a digest as one JSON object; `sections` has its reports by name."""
    found = {
        "since": digest.since.isoformat(),
        "until": digest.until.isoformat(),
        "timezone": digest.timezone,
        "sections": {
            report.name: json.loads(render.as_json(report))
            for _, report in _sections(digest)
        },
    }
    return json.dumps(found)


def title(digest: Digest) -> str:
    """Return the title of a digest."""
    return f"Claude Code from {digest.since} to {digest.until} ({digest.timezone})"


def _sections(digest: Digest) -> list[tuple[str, Report]]:
    return [(name, render.masked(report)) for name, report in digest.sections]


def _nothing(report: Report) -> list[str]:
    return [] if report.rows else ["Nothing."]


def _markdown_lines(report: Report) -> list[str]:
    titles, *rows = render.cells(report)
    marks = ["--:" if render.is_right(column) else ":--" for column in report.columns]
    lines = [titles, marks, *([_escaped(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _html_lines(report: Report) -> list[str]:
    titles, *rows = render.cells(report)
    kinds = [
        ' class="right"' if render.is_right(column) else "" for column in report.columns
    ]

    def line(tag: str, texts: list[str]) -> str:
        found = (
            f"<{tag}{kind}>{html.escape(_cut(text))}</{tag}>"
            for kind, text in zip(kinds, texts, strict=True)
        )
        return f"<tr>{''.join(found)}</tr>"

    body = [line("td", row) for row in rows]
    return ["<table>", line("th", titles), *body, "</table>"]


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", _cut(render.clean(text)))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
