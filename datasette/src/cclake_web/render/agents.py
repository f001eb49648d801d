"""Render subagents, background commands, and the notices of their end, in words."""

import re
from dataclasses import dataclass

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import duration, one_line, plural, squeeze
from cclake_web.render.elements import elements
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import plain
from cclake_web.render.view import Fields, View, output, pre, result_of, source, text_in

LONGEST = 40_000  # maximum characters of a report
_NOTICE = re.compile(
    r"<((?:task|agent|bash)-notification|teammate-message)"
    r"((?:\s+[\w-]+=\"[^\"]*\")*)\s*>(.*?)(?:</\1>|\Z)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([\w-]+)=\"([^\"]*)\"")
_USAGE = re.compile(r"(total_tokens|tool_uses|duration_ms): (\d{1,12})")
_BEGIN = re.compile(r"\s*<(?:task|agent|bash)-notification>")


@dataclass
class Notice:
    """A notice of the log in words.

    Attributes:
        label: What happened, in one line.
        body: What it brought, as safe HTML.
        failed: Whether something failed.
    """

    label: str
    body: Markup
    failed: bool = False


def subagent(call: Call, given: Fields) -> View:
    """Return the task of a subagent, and its report."""
    prompt, what = text_in(given, "prompt"), text_in(given, "description")
    kind = squeeze(text_in(given, "subagent_type"), 40)
    found = result_of(call)
    in_background = (
        found.get("isAsync") is True or given.get("run_in_background") is True
    )
    body = Markup("")
    if not call.is_nested:
        body = _report(prompt[:20_000], "md asked")
        if call.is_error or call.result is None:
            body += output(call)
        elif not in_background:
            body += _report(call.result.text)
    label = f"Subagent {kind}".strip()
    outcome = "in the background" if in_background and not call.is_error else ""
    return View("agent", label, one_line(what or prompt, 120), body, outcome)


def _report(text: str, kind: str = "md") -> Markup:
    if not text.strip():
        return Markup("")
    made = Markup('<div class="{}">{}</div>')
    return made.format(kind, markdown(text.strip()[:LONGEST]))


def task_output(call: Call, given: Fields) -> View:
    """Return what a background task has printed so far."""
    number = text_in(given, "task_id", "bash_id", "shell_id", "agentId")
    text = call.result.text if call.result else ""
    fields = dict(elements(text))
    found = result_of(call)
    inner = found.get("task")
    task: Fields = inner if isinstance(inner, dict) else found
    said = [
        text_in(task, "output", "stdout") or fields.get("output", ""),
        text_in(task, "stderr"),
    ]
    if not said[0]:
        said[0] = fields.get("stdout", "")
    status = text_in(task, "status") or fields.get("status", "")
    code = task.get("exitCode")
    words = [status.replace("_", " ")]
    if isinstance(code, int) and not isinstance(code, bool):
        words.append(f"exit code {code}")
    what = text_in(task, "description", "command") or f"task {number}"
    came = "\n".join(part.strip("\n") for part in said if part.strip())
    command = text_in(task, "command")
    body = source(command, language="bash") if command else Markup("")
    if text_in(task, "task_type", "type") == "local_agent" and came:
        body += _report(came)
    elif came and not call.is_error:
        body += pre(came)
    else:
        body += output(call)
    summary = " · ".join([squeeze(what, 100), ", ".join(filter(None, words))])
    return View("clock", "Background output", summary.removesuffix(" · "), body)


def task_stop(call: Call, given: Fields) -> View:
    """Return the end of a background task that Claude stopped."""
    number = text_in(given, "task_id", "shell_id", "bash_id")
    said = text_in(result_of(call), "message")
    body = Markup("<p>{}</p>").format(plain(said)) if said else output(call)
    about = said.partition("(")[2].rpartition(")")[0] or f"task {number}"
    return View("clock", "Background task stopped", squeeze(about, 120), body)


def message_to(call: Call, given: Fields) -> View:
    """Return a message to another agent."""
    to = text_in(given, "to", "recipient")
    text = text_in(given, "message", "content")
    about = text_in(given, "summary") or text
    body = _report(text) + (output(call) if call.is_error else Markup(""))
    return View("agent", f"Message to {squeeze(to, 40)}".strip(),
                one_line(about, 120), body)  # fmt: skip


def is_notice(text: str) -> bool:
    """Return whether a text is a notice of a task or a message of a teammate."""
    return _BEGIN.match(text) is not None or "<teammate-message" in text[:400]


def notices(text: str) -> list[Notice]:
    """Return all notices of a text in words; [] if it has none that are known.

    What stands between them is a notice of its own.
    """
    found: list[Notice] = []
    end = 0
    for one in _NOTICE.finditer(text):
        found += [*_between(text[end : one.start()]), _notice(*one.groups())]
        end = one.end()
    return [*found, *_between(text[end:])] if found else []


def _between(text: str) -> list[Notice]:
    words = text.strip()
    label = one_line(words, 140)
    body = pre(words) if label != words else Markup("")
    return [Notice(label, body)] if words else []


def _notice(name: str, attributes: str, inside: str) -> Notice:
    if name == "teammate-message":
        return _from_teammate(attributes, inside)
    fields: dict[str, str] = {}
    for name, value in elements(inside):
        fields.setdefault(name, value.strip())
    status = fields.get("status", "")
    label = fields.get("summary", "")
    if not label:
        number = fields.get("task-id") or fields.get("shell-id") or ""
        label = f"Background task {number} {status.replace('_', ' ')}".strip()
    body = _report(fields.get("result", ""))
    if said := fields.get("event", "") or fields.get("output", ""):
        body += pre(said)
    if facts := _facts(fields.get("usage", "")):
        body += Markup('<p class="cut">{}</p>').format(plain(facts))
    return Notice(one_line(label, 300), body, status in ("failed", "error"))


def _facts(usage: str) -> str:
    found = {name: int(number) for name, number in _USAGE.findall(usage)}
    words = [
        plural(found["total_tokens"], "token") if "total_tokens" in found else "",
        plural(found["tool_uses"], "call") if "tool_uses" in found else "",
        duration(found["duration_ms"] / 1000) if "duration_ms" in found else "",
    ]
    return " · ".join(filter(None, words))


def _from_teammate(attributes: str, said: str) -> Notice:
    given = dict(_ATTRIBUTE.findall(attributes))
    name = given.get("teammate_id", "")
    about = given.get("summary") or said
    label = f"Message from {name or 'a teammate'}: {one_line(about, 200)}"
    return Notice(one_line(label, 300), _report(said))
