"""Render calls that read and change files."""

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import plural
from cclake_web.render.diff import diff_html, diff_lines, patch_hunks
from cclake_web.render.safe import plain
from cclake_web.render.view import (
    Fields,
    View,
    output,
    result_of,
    short_path,
    source,
    text_in,
)

MAX_HUNKS = 20
Hunks = list[tuple[int, list[str]]]


def read(call: Call, given: Fields) -> View:
    """Return the content of a file from the structured result."""
    path = text_in(given, "file_path", "notebook_path", "path")
    file = result_of(call).get("file")
    content = text_in(file, "content")
    body = source(content, path) if content and not call.is_error else output(call)
    lines = file.get("numLines") if isinstance(file, dict) else None
    about = f" · {plural(lines, 'line')}" if isinstance(lines, int) else ""
    return View("file", "Read", short_path(path) + about, body)


def edit(call: Call, given: Fields) -> View:
    """Return a change: the patch, or else the difference in the request."""
    hunks = patch_hunks(result_of(call).get("structuredPatch"))
    if not hunks:
        edits = given.get("edits")
        pairs = edits if isinstance(edits, list) else [given]
        hunks = [(0, _asked(pair)) for pair in pairs]
    path = text_in(given, "file_path", "notebook_path")
    return _changed(call, "Edit", path, hunks)


def write(call: Call, given: Fields) -> View:
    """Return a written file: its changes, or else its content."""
    path, content = text_in(given, "file_path"), text_in(given, "content")
    hunks = patch_hunks(result_of(call).get("structuredPatch"))
    if hunks:
        return _changed(call, "Write", path, hunks)
    error = output(call) if call.is_error else Markup("")
    lines = content.count("\n") + (not content.endswith("\n"))
    about = f"{short_path(path)} · {plural(lines, 'line')}"
    return View("edit", "Write", about, source(content, path) + error)


def _asked(pair: object) -> list[str]:
    old, new = text_in(pair, "old_string"), text_in(pair, "new_string", "new_source")
    return diff_lines(old, new)


def _changed(call: Call, label: str, path: str, hunks: Hunks) -> View:
    lines = [line for _, hunk in hunks for line in hunk]
    plus = sum(line.startswith("+") for line in lines)
    minus = sum(line.startswith("-") for line in lines)
    made = Markup('<pre class="diff" tabindex="0"><code>{}</code></pre>')
    parts = [made.format(diff_html(hunk)) for _, hunk in hunks[:MAX_HUNKS]]
    body = Markup('<p class="path">{}</p>').format(plain(path))
    body += Markup('<p class="gap">⋯</p>').join(parts)
    if call.is_error or call.result is None:
        body += output(call)
    return View("edit", label, f"{short_path(path)}  +{plus} −{minus}", body)
