"""Render a tool call: its icon, its summary line, and its folded content."""

from collections.abc import Callable
from typing import Any

from cclake_archive.json_text import dumps
from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import one_line, squeeze
from cclake_web.render.file_tools import edit, read, write
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import plain
from cclake_web.render.view import (
    Fields,
    View,
    output,
    pre,
    result_of,
    short_path,
    source,
    text_in,
)


def view(call: Call) -> View:
    """Return the view of a call, whatever its shape."""
    name = call.block.tool_name or "tool"
    given = call.block.input if isinstance(call.block.input, dict) else {}
    make = _VIEWS.get(name)
    if name.startswith("mcp__"):
        _, _, rest = name.partition("__")
        server, _, tool = rest.partition("__")
        label = f"{server} · {tool}" if tool else rest
        return View("plug", label, _first(given), _generic(call))
    if make is None or (call.block.input is not None and not given):
        return View("tool", squeeze(name, 60), _first(given), _generic(call))
    return make(call, given)


def _first(given: Fields) -> str:
    for value in given.values():
        if isinstance(value, str) and value.strip():
            return squeeze(value, 120)
    return ""


def _json(value: Any) -> Markup:
    return source(dumps(value, indent=True), language="json")


def _generic(call: Call) -> Markup:
    given = call.block.input
    shown = _json(given) if given not in (None, {}, []) else Markup("")
    return shown + output(call)


def _bash(call: Call, given: Fields) -> View:
    command = text_in(given, "command")
    said = [text_in(result_of(call), name) for name in ("stdout", "stderr")]
    came = "\n".join(part for part in said if part)
    shown = pre(came) if came and not call.is_error else output(call)
    if call.result and not came and not call.result.text.strip():
        shown = Markup('<p class="cut">No output.</p>')
    body = source(command, language="bash") + shown
    about = text_in(given, "description") or command
    return View("terminal", "Bash", squeeze(about, 140), body)


def _search(call: Call, given: Fields) -> View:
    where = text_in(given, "path", "glob")
    what = text_in(given, "pattern", "query")
    about = squeeze(what, 90) + (f" in {short_path(where)}" if where else "")
    return View("search", call.block.tool_name, about, _generic(call))


def _todos(call: Call, given: Fields) -> View:
    todos = given.get("todos")
    listed = todos if isinstance(todos, list) else []
    items = [item for item in listed if isinstance(item, dict)]
    made = Markup('<li class="{}"><span>{}</span> {}</li>')
    rows = [
        made.format(name, _STATUS[name], plain(text_in(item, "content", "subject")))
        for item, name in zip(items, map(_status, items), strict=True)
    ]
    done = sum(item.get("status") == "completed" for item in items)
    body = Markup('<ul class="todos">{}</ul>').format(Markup("").join(rows))
    if call.is_error:
        body += output(call)
    return View("check", "Todos", f"{done} of {len(items)} done", body)


def _status(item: Fields) -> str:
    status = text_in(item, "status")
    return status if status in _STATUS else "pending"


def _task(call: Call, given: Fields) -> View:
    prompt, what = text_in(given, "prompt"), text_in(given, "description")
    kind = squeeze(text_in(given, "subagent_type"), 40)
    body = Markup("")
    if not call.subagent_id:
        said = call.result.text if call.result else ""
        body = Markup('<div class="md asked">{}</div><div class="md">{}</div>').format(
            markdown(prompt[:20_000]), markdown(said[:40_000])
        )
    label = f"Subagent {kind}".strip()
    return View("agent", label, one_line(what or prompt, 120), body)


def _web(call: Call, given: Fields) -> View:
    what = text_in(given, "query", "url")
    asked = text_in(given, "prompt")
    about = Markup('<p class="asked">{}</p>').format(plain(asked)) if asked else ""
    result = call.result.text if call.result else ""
    came = Markup('<div class="md">{}</div>').format(markdown(result[:30_000]))
    body = Markup('<p class="path">{}</p>').format(plain(what)) + about + came
    return View("globe", call.block.tool_name, squeeze(what, 120), body)


def _ask(call: Call, given: Fields) -> View:
    questions = given.get("questions")
    answers = result_of(call).get("answers")
    rows, first = [], ""
    for item in questions if isinstance(questions, list) else []:
        asked = text_in(item, "question")
        first = first or asked
        chosen = answers.get(asked) if isinstance(answers, dict) else None
        words = ", ".join(map(str, chosen)) if isinstance(chosen, list) else chosen
        rows.append(
            Markup("<dt>{}</dt><dd>{}</dd>").format(
                plain(asked), plain(words if isinstance(words, str) else "–")
            )
        )
    body = Markup('<dl class="asks">{}</dl>').format(Markup("").join(rows))
    return View("question", "Question", squeeze(first, 120), body + output(call))


def _plan(call: Call, given: Fields) -> View:
    plan = text_in(given, "plan")
    body = Markup('<div class="md">{}</div>').format(markdown(plan[:40_000]))
    return View("list", "Plan", one_line(plan, 120), body + output(call))


_STATUS = {"completed": "✓", "in_progress": "▸", "pending": "○"}
_VIEWS: dict[str, Callable[[Call, Fields], View]] = {
    "Bash": _bash, "PowerShell": _bash, "Read": read, "NotebookRead": read,
    "Edit": edit, "MultiEdit": edit, "NotebookEdit": edit, "Write": write,
    "Grep": _search, "Glob": _search, "LS": _search, "ToolSearch": _search,
    "TodoWrite": _todos, "Task": _task, "Agent": _task, "WebSearch": _web,
    "WebFetch": _web, "AskUserQuestion": _ask, "ExitPlanMode": _plan,
}  # fmt: skip
