"""Render todos and tasks as one list of things to do."""

import re

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import squeeze
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import plain
from cclake_web.render.view import Fields, View, objects_in, output, result_of, text_in

MOST = 200  # maximum number of tasks that are listed
_LINE = re.compile(r"#(\S+) \[(\w+)\] (.*)")
_SIGNS = {"completed": "✓", "in_progress": "▸", "pending": "○", "deleted": "✗"}
_WORDS = {
    "completed": "done", "in_progress": "in progress", "pending": "to do",
    "deleted": "deleted",
}  # fmt: skip


def todos(call: Call, given: Fields) -> View:
    """Return the list that TodoWrite writes."""
    return _list(call, objects_in(given, "todos"), "Todos")


def listed(call: Call, _given: Fields) -> View:
    """Return the list that TaskList reads."""
    found = result_of(call)
    if isinstance(found.get("tasks"), list):
        return _list(call, objects_in(found, "tasks"), "Tasks")
    text = call.result.text if call.result and not call.is_error else ""
    lines = [_LINE.fullmatch(line) for line in text.strip().splitlines()]
    if lines and all(lines):
        names = ("id", "status", "subject")
        tasks = [dict(zip(names, line.groups(), strict=True)) for line in lines if line]
        return _list(call, tasks, "Tasks")
    return View("check", "Tasks", "", output(call))


def created(call: Call, given: Fields) -> View:
    """Return the task that TaskCreate makes."""
    task = result_of(call).get("task")
    subject = text_in(given, "subject") or text_in(task, "subject")
    body = _items([given | {"id": text_in(task, "id"), "subject": subject}])
    if about := text_in(given, "description"):
        body += Markup('<div class="md">{}</div>').format(markdown(about[:20_000]))
    number = text_in(task, "id")
    return View("check", _named("New task", number), squeeze(subject, 120),
                body + _failure(call))  # fmt: skip


def updated(call: Call, given: Fields) -> View:
    """Return what TaskUpdate changes."""
    number, status = text_in(given, "taskId"), text_in(given, "status")
    found = result_of(call)
    change = found.get("statusChange")
    changes = []
    if status:
        before = _word(text_in(change, "from"))
        changes.append(f"{before} → {_word(status)}" if before else _word(status))
    if owner := text_in(given, "owner"):
        changes.append(f"for {owner}")
    for name in ("addBlockedBy", "addBlocks"):
        others = given.get(name)
        if isinstance(others, list) and others:
            words = "waits for" if name == "addBlockedBy" else "before"
            changes.append(f"{words} #{', #'.join(map(str, others[:MOST]))}")
    subject = text_in(given, "subject") or call.about
    body = _items([{"subject": subject or f"Task {number}", "status": status}])
    if about := text_in(given, "description"):
        body += Markup('<div class="md">{}</div>').format(markdown(about[:20_000]))
    summary = " · ".join(filter(None, [subject, ", ".join(changes)]))
    return View("check", _named("Task", number), squeeze(summary, 140),
                body + _failure(call))  # fmt: skip


def read(call: Call, given: Fields) -> View:
    """Return the task that TaskGet reads."""
    task = result_of(call).get("task")
    number = text_in(given, "taskId")
    if not isinstance(task, dict):
        return View("check", _named("Task", number), squeeze(call.about, 120),
                    output(call))  # fmt: skip
    body = _items([task])
    if about := text_in(task, "description"):
        body += Markup('<div class="md">{}</div>').format(markdown(about[:20_000]))
    subject = squeeze(text_in(task, "subject"), 120)
    return View("check", _named("Task", number), subject, body)


def name_tasks(calls: dict[str, Call]) -> None:
    """Add the subject of a task to the calls that name it only by its number."""
    subjects: dict[str, str] = {}
    named: list[tuple[Call, str]] = []
    for call in calls.values():
        given = call.block.input
        if call.block.tool_name == "TaskCreate":
            task = result_of(call).get("task")
            subjects[text_in(task, "id")] = text_in(given, "subject")
        elif call.block.tool_name == "TaskList":
            for task in objects_in(result_of(call), "tasks"):
                subjects.setdefault(text_in(task, "id"), text_in(task, "subject"))
        elif call.block.tool_name in ("TaskUpdate", "TaskGet"):
            named.append((call, text_in(given, "taskId")))
    for call, number in named:
        call.about = subjects.get(number, "") if number else ""


def _named(what: str, number: str) -> str:
    return f"{what} #{squeeze(number, 12)}" if number else what


def _word(status: str) -> str:
    return _WORDS.get(status, status.replace("_", " "))


def _list(call: Call, items: list[Fields], label: str) -> View:
    done = sum(one.get("status") == "completed" for one in items)
    body = _items(items[:MOST]) + _failure(call)
    return View("check", label, f"{done} of {len(items)} done", body)


def _failure(call: Call) -> Markup:
    return output(call) if call.is_error else Markup("")


def _items(items: list[Fields]) -> Markup:
    row = Markup('<li class="{}"><span>{}</span> {}{}{}</li>')
    rows = []
    for one in items:
        status = text_in(one, "status")
        status = status if status in _SIGNS else "pending"
        number, owner = text_in(one, "id"), text_in(one, "owner")
        rows.append(
            row.format(
                status,
                _SIGNS[status],
                plain(f"#{number} " if number and "subject" in one else ""),
                plain(text_in(one, "subject", "content")),
                Markup("<small> {}</small>").format(plain(owner)) if owner else "",
            )
        )
    return Markup('<ul class="todos">{}</ul>').format(Markup("").join(rows))
