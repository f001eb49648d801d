"""Render runs of hooks: their command, exit code and what they printed."""

from typing import Any

from markupsafe import Markup

from cclake_web.data.blocks import Entry
from cclake_web.formatting import duration, plural, squeeze
from cclake_web.render.agents import Notice
from cclake_web.render.safe import plain
from cclake_web.render.view import (
    Fields,
    number_in,
    objects_in,
    pre,
    source,
    text_in,
    texts_in,
)

MOST = 30  # maximum number of hooks of one summary that are shown
_DID = {
    "hook_blocking_error": "blocked", "hook_cancelled": "cancelled",
    "hook_additional_context": "added context", "hook_system_message": "said",
    "hook_stopped_continuation": "stopped Claude",
    "hook_error_during_execution": "failed", "hook_permission_decision": "decided",
}  # fmt: skip
_BAD = ("hook_blocking_error", "hook_non_blocking_error", "hook_error_during_execution",
        "hook_stopped_continuation")  # fmt: skip


def hook(entry: Entry) -> Notice | None:
    """Return the run of a hook that an entry records, or None if it records none."""
    found = next((b.result for b in entry.blocks if isinstance(b.result, dict)), None)
    if found is None:
        return None
    if entry.kind == "attachment" and text_in(found, "type").startswith("hook_"):
        return _one(found)
    if entry.kind == "system" and entry.subtype == "stop_hook_summary":
        return _summary(found)
    data = found.get("data")
    if isinstance(data, dict) and text_in(data, "type") == "hook_progress":
        return _one(data)
    return None


def _one(run: Fields) -> Notice:
    kind = text_in(run, "type")
    inner = run.get("blockingError")
    command = text_in(run, "command") or text_in(inner, "command")
    code = run.get("exitCode")
    has_code = isinstance(code, int) and not isinstance(code, bool)
    words = [_DID.get(kind, "")]
    if has_code:
        words.append(f"exit code {code}")
    if took := _took(run):
        words.append(took)
    said = [
        text_in(inner, "blockingError") or text_in(run, "blockingError"),
        text_in(run, "stderr"),
        text_in(run, "stdout"),
        _text(run.get("content")),
    ]
    failed = kind in _BAD or (has_code and code != 0)
    about = command or said[0] or said[3]
    name = text_in(run, "hookName", "hookEvent") or "unnamed"
    label = f"Hook {name}"
    if detail := ", ".join(filter(None, words)):
        label += f" · {detail}"
    if about:
        label += f": {squeeze(about, 160)}"
    body = source(command, language="bash")
    body += pre(said[0], kind="out err") + pre(said[1], kind="out err")
    body += pre(said[2]) + (pre(said[3]) if said[3] != said[2] else Markup(""))
    return Notice(squeeze(label, 300), body, failed)


def _summary(found: Fields) -> Notice:
    runs = objects_in(found, "hookInfos")
    errors = texts_in(found, "hookErrors")
    stopped = found.get("preventedContinuation") is True
    words = [plural(len(errors), "error")] if errors else []
    words += ["stopped Claude"] if stopped else []
    label = "Hook Stop" if len(runs) < 2 else f"{len(runs)} Stop hooks"
    if len(runs) == 1 and (took := _took(runs[0])):
        words.append(took)
    if words:
        label += f" · {', '.join(words)}"
    if runs:
        commands = ", ".join(text_in(run, "command") for run in runs)
        label += f": {squeeze(commands, 160)}"
    body = Markup("").join(_run(run) for run in runs[:MOST])
    body += pre(text_in(found, "stopReason"))
    body += Markup("").join(pre(one, kind="out err") for one in errors[:MOST])
    return Notice(squeeze(label, 300), body, bool(errors) or stopped)


def _run(run: Fields) -> Markup:
    took = _took(run)
    made = Markup('<p class="cut">{}</p>').format(plain(took)) if took else Markup("")
    return source(text_in(run, "command"), language="bash") + made


def _took(run: Fields) -> str:
    took = number_in(run, "durationMs")
    return "" if took is None else duration(took / 1000)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(one for one in content if isinstance(one, str))
    return content if isinstance(content, str) else ""
