"""Render a tool call: its icon, its summary line, and its folded content."""

import re
from collections.abc import Callable

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import plural, squeeze
from cclake_web.render import agents, decisions, tasks, web_tools, workflows
from cclake_web.render.arguments import about, arguments, result
from cclake_web.render.file_tools import edit, read, write
from cclake_web.render.notebooks import edit_cell
from cclake_web.render.safe import plain
from cclake_web.render.view import (
    NOT_APPLIED,
    REJECTED,
    Fields,
    View,
    output,
    pre,
    rejection,
    result_of,
    short_path,
    source,
    text_in,
)

_TOOL = re.compile(r"[A-Za-z][\w.:-]{0,200}")


def view(call: Call) -> View:
    """Return the view of a call, whatever its shape."""
    shown = _view(call)
    if rejection(call) is not None and shown.outcome in ("", NOT_APPLIED):
        shown.outcome = REJECTED
    return shown


def _view(call: Call) -> View:
    name = call.block.tool_name or "tool"
    given = call.block.input if isinstance(call.block.input, dict) else {}
    make = _VIEWS.get(name)
    if name.startswith("mcp__"):
        _, _, rest = name.partition("__")
        server, _, tool = rest.partition("__")
        label = squeeze(f"{server} · {tool}" if tool else rest, 80)
        return View("plug", label, about(given), _generic(call))
    if make is None or not isinstance(call.block.input, dict | None):
        return View("tool", squeeze(name, 60), about(given), _generic(call))
    return make(call, given)


def _generic(call: Call) -> Markup:
    return arguments(call.block.input) + result(call)


def _bash(call: Call, given: Fields) -> View:
    command = text_in(given, "command")
    said = [text_in(result_of(call), name) for name in ("stdout", "stderr")]
    came = "\n".join(part for part in said if part)
    result = call.result.text if call.result else ""

    def body() -> Markup:
        shown = pre(came) if came and not call.is_error else output(call)
        if call.result and not came and not result.strip():
            shown = Markup('<p class="cut">No output.</p>')
        return source(command, language="bash") + shown

    line = text_in(given, "description") or command
    size = len(command) + (len(came) or len(result))
    return View("terminal", "Bash", squeeze(line, 140), body, size=size)


def _search(call: Call, given: Fields) -> View:
    where = text_in(given, "path", "glob")
    what = text_in(given, "pattern", "query")
    line = squeeze(what, 90) + (f" in {short_path(where)}" if where else "")
    return View("search", call.block.tool_name, line, _generic(call))


def _tools(call: Call, given: Fields) -> View:
    """Return the tools that a search for tools has found, by their names."""
    asked = squeeze(text_in(given, "query"), 120)
    matches = result_of(call).get("matches")
    text = call.result.text if call.result else ""
    named = [line.strip() for line in text.splitlines() if line.strip()]
    if not isinstance(matches, list) and named and all(map(_TOOL.fullmatch, named)):
        matches = named
    if call.is_error or not isinstance(matches, list):
        return View("search", "Tool search", asked, _generic(call))
    names = [one for one in matches if isinstance(one, str)]
    rows = [Markup("<li><code>{}</code></li>").format(plain(one)) for one in names]
    body = Markup('<ul class="names">{}</ul>').format(Markup("").join(rows[:100]))
    if not names:
        body = Markup('<p class="cut">No tool was found.</p>')
    count = f" · {plural(len(names), 'tool')}" if names else ""
    return View("search", "Tool search", asked + count, body)


def _skill(call: Call, given: Fields) -> View:
    """Return the skill or command that Claude runs, with its arguments."""
    name = text_in(given, "skill", "command")
    said = text_in(given, "args")
    line = squeeze(f"{name} {said}", 140).strip()
    body = pre(said) if len(said) > 100 or "\n" in said else Markup("")
    return View("spark", "Skill", line, body + output(call))


_VIEWS: dict[str, Callable[[Call, Fields], View]] = {
    "Bash": _bash, "PowerShell": _bash, "Read": read, "NotebookRead": read,
    "Edit": edit, "MultiEdit": edit, "NotebookEdit": edit_cell, "Write": write,
    "Grep": _search, "Glob": _search, "LS": _search, "ToolSearch": _tools,
    "TodoWrite": tasks.todos, "TaskCreate": tasks.created,
    "TaskUpdate": tasks.updated, "TaskList": tasks.listed, "TaskGet": tasks.read,
    "Task": agents.subagent, "Agent": agents.subagent,
    "TaskOutput": agents.task_output, "BashOutput": agents.task_output,
    "AgentOutputTool": agents.task_output, "TaskStop": agents.task_stop,
    "KillShell": agents.task_stop, "KillBash": agents.task_stop,
    "SendMessage": agents.message_to, "Skill": _skill, "SlashCommand": _skill,
    "Workflow": workflows.workflow,
    "WebSearch": web_tools.search, "WebFetch": web_tools.fetch,
    "AskUserQuestion": decisions.questions, "ExitPlanMode": decisions.plan,
}  # fmt: skip
