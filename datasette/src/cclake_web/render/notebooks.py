"""Render notebooks and changes of them, cell by cell."""

import re

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import plural, squeeze
from cclake_web.render.diff import diff_html, difference
from cclake_web.render.elements import elements
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import plain
from cclake_web.render.view import (
    NOT_APPLIED,
    Fields,
    View,
    output,
    pre,
    result_of,
    short_path,
    source,
    text_in,
)

MOST = 200  # maximum number of cells, and of outputs of one
LONGEST = 40_000  # maximum characters of a cell of text
_CELL = re.compile(r'<(/?)cell id="([^"\n]{0,80})">')
_HEAD = re.compile(
    r"(?:<cell_type>(\w{1,20})</cell_type>)?(?:<language>([\w+#-]{1,30})</language>)?"
)
_DONE = {"insert": "inserted", "delete": "deleted", "replace": "changed"}


def cells_of(call: Call) -> list[Fields]:
    """Return the cells that a call read, in their order; [] if it read no notebook."""
    found = call.result.result if call.result else None
    listed = found
    if isinstance(found, dict):
        file = found.get("file")
        listed = file.get("cells") if isinstance(file, dict) else None
    if isinstance(listed, list):
        return [cell for cell in listed if isinstance(cell, dict)]
    text = call.result.text if call.result else ""
    return [_read(name, content) for name, content in elements(text, _CELL)]


def _read(name: str, content: str) -> Fields:
    head = _HEAD.match(content)
    assert head
    return {
        "cell_id": name, "cellType": head[1] or "code",
        "language": head[2] or "python", "source": content[head.end() :],
    }  # fmt: skip


def notebook(cells: list[Fields]) -> Markup:
    """Return cells with their outputs."""
    shown = Markup("").join(map(_cell, cells[:MOST]))
    left = len(cells) - MOST
    more = Markup('<p class="cut">{} more</p>').format(plural(left, "cell"))
    return shown + (more if left > 0 else Markup(""))


def _cell(cell: Fields) -> Markup:
    kind = text_in(cell, "cellType", "cell_type") or "code"
    ran = cell.get("execution_count")
    words = [text_in(cell, "cell_id"), kind if kind != "code" else ""]
    words.append(f"[{ran}]" if isinstance(ran, int) and 0 < ran < 10**9 else "")
    content = _content(kind, text_in(cell, "source"), text_in(cell, "language"))
    outputs = cell.get("outputs")
    listed = outputs[:MOST] if isinstance(outputs, list) else []
    results = Markup("").join(pre(text_in(one, "text")) for one in listed)
    return _framed(" · ".join(filter(None, words)), content + results)


def _framed(words: str, content: Markup) -> Markup:
    made = Markup('<section class="cell"><p class="cell-of">{}</p>{}</section>')
    return made.format(plain(squeeze(words, 120)), content)


def _content(kind: str, text: str, language: str) -> Markup:
    if kind == "markdown":
        return Markup('<div class="md">{}</div>').format(markdown(text[:LONGEST]))
    return source(text, language=squeeze(language, 30) or "python")


def edit_cell(call: Call, given: Fields) -> View:
    """Return the change of a cell."""
    found = result_of(call)
    path = text_in(given, "notebook_path")
    failed = call.is_error or bool(text_in(found, "error"))
    mode = text_in(given, "edit_mode") or "replace"
    kind = text_in(given, "cell_type") or text_in(found, "cell_type") or "code"
    number = given.get("cell_number")
    name = text_in(given, "cell_id") or text_in(found, "cell_id")
    if not name and isinstance(number, int) and not isinstance(number, bool):
        name = str(number)[:20]
    words = [f"cell {squeeze(name, 60)}" if name else "a cell"]
    if not failed:
        words.append(_DONE.get(mode, "changed"))
    old, new = text_in(found, "old_source"), text_in(given, "new_source")
    if old and mode == "replace":
        content = diff_html([difference(old, new)])
    elif mode == "delete":
        content = diff_html([difference(old, "")]) if old else Markup("")
    else:
        content = _content(kind, new, text_in(found, "language"))
    title = " · ".join([*words[:1], *([kind] if kind != "code" else []), *words[1:]])
    body = Markup('<p class="path">{}</p>').format(plain(path))
    body += _said(call, text_in(found, "error")) + _framed(title, content)
    about = f"{short_path(path)} · {' '.join(words)}"
    return View("edit", "Notebook", about, body, NOT_APPLIED if failed else "")


def _said(call: Call, error: str) -> Markup:
    if call.is_error or call.result is None:
        return output(call)
    return pre(error, kind="out err")
