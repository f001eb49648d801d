"""Render calls that read and change files."""

import re
from typing import Any

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import count, plural
from cclake_web.render.diff import Hunk, diff_html, difference, patch_hunks
from cclake_web.render.notebooks import cells_of, notebook
from cclake_web.render.safe import plain
from cclake_web.render.view import (
    NOT_APPLIED,
    Fields,
    View,
    output,
    result_of,
    short_path,
    source,
    text_in,
)

# Line numbers as Claude Code writes them before each line that it reads.
_NUMBERED = re.compile(r" {0,10}(\d{1,9})[→\t](.*)")


def read(call: Call, given: Fields) -> View:
    """Return the content of a file with the numbers of its lines."""
    path = text_in(given, "file_path", "notebook_path", "path")
    if (cells := cells_of(call)) and not call.is_error:
        about = f"{short_path(path)} · {plural(len(cells), 'cell')}"
        return View("file", "Read", about, notebook(cells))
    file = result_of(call).get("file")
    file = file if isinstance(file, dict) else {}
    content, first = text_in(file, "content"), _number(file, "startLine") or 1
    if not content and call.result:
        content, first = _unnumbered(call.result.text)
    if not content or call.is_error:
        return View("file", "Read", short_path(path), output(call))
    lines = _number(file, "numLines") or content.count("\n") + 1
    whole = _number(file, "totalLines")

    def body() -> Markup:
        code = source(content, path, first=first)
        return _unread(1, first - 1) + code + _unread(first + lines, whole)

    about = plural(lines, "line")
    if first > 1 or whole > lines:
        about = f"lines {first}–{first + lines - 1}"
        about += f" of {count(whole)}" if whole else ""
    about = f"{short_path(path)} · {about}"
    return View("file", "Read", about, body, size=len(content))


def _number(file: Fields, name: str) -> int:
    value = file.get(name)
    return int(value) if isinstance(value, int) and 0 < value < 10**9 else 0


def _unnumbered(text: str) -> tuple[str, int]:
    """Return the content of a result with numbered lines, and the first number."""
    listing = text.partition("<system-reminder>")[0].rstrip("\n")
    found = [_NUMBERED.fullmatch(line) for line in listing.split("\n")]
    matches = [match for match in found if match]
    if not matches or len(matches) < len(found):
        return "", 1
    return "\n".join(match[2] for match in matches), int(matches[0][1])


def _unread(first: int, last: int) -> Markup:
    """Return a note on the lines of a file that were not read."""
    if last < first:
        return Markup("")
    lines = f"Lines {first}–{last} were" if last > first else f"Line {first} was"
    return Markup('<p class="gap">⋯ {} not read</p>').format(lines)


def edit(call: Call, given: Fields) -> View:
    """Return a change: the patch, or else the difference in the request."""
    hunks = patch_hunks(result_of(call).get("structuredPatch"))
    if not hunks:
        edits = given.get("edits")
        pairs = edits if isinstance(edits, list) else [given]
        hunks = [_asked(pair) for pair in pairs]
    return _changed(call, "Edit", text_in(given, "file_path"), hunks)


def write(call: Call, given: Fields) -> View:
    """Return a written file: its changes, or else its content."""
    path, content = text_in(given, "file_path"), text_in(given, "content")
    hunks = patch_hunks(result_of(call).get("structuredPatch"))
    if hunks:
        return _changed(call, "Write", path, hunks)
    lines = content.count("\n") + (not content.endswith("\n"))
    about = f"{short_path(path)} · {plural(lines, 'line')}"
    outcome = NOT_APPLIED if call.is_error else ""

    def body() -> Markup:
        return said(call) + source(content, path, first=1)

    about = short_path(path) if outcome else about
    return View("edit", "Write", about, body, outcome, len(content))


def _asked(pair: Any) -> Hunk:
    return difference(text_in(pair, "old_string"), text_in(pair, "new_string"))


def said(call: Call) -> Markup:
    """Return the outcome of a change that was not simply applied."""
    if call.is_error or call.result is None:
        return output(call)
    changed = result_of(call).get("userModified") is True
    words = "You changed it before it was applied." if changed else ""
    return Markup('<p class="cut">{}</p>').format(words) if words else Markup("")


def _changed(call: Call, label: str, path: str, hunks: list[Hunk]) -> View:
    about, outcome = short_path(path), NOT_APPLIED
    if not call.is_error:
        plus = sum(hunk.count("+") for hunk in hunks)
        minus = sum(hunk.count("-") for hunk in hunks)
        about, outcome = f"{about}  +{plus} −{minus}", ""

    def body() -> Markup:
        head = Markup('<p class="path">{}</p>').format(plain(path)) + said(call)
        return head + diff_html(hunks, call.result_doc or call.entry.doc_id)

    size = sum(len(line) for hunk in hunks for line in hunk.lines)
    return View("edit", label, about, body, outcome, size)
