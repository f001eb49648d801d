"""Log files with what stands beside the user's words, and in newer blocks."""

import json
from pathlib import Path
from typing import Any

from logfile import Json, Log, stamp

OPENED = "<ide_opened_file>The user opened /home/me/app/notes.md.</ide_opened_file>"
REMINDER = "<system-reminder>\nKeep to the\nplan.\n</system-reminder>"
FOLDERS = {
    "drive": r"c:\Repos\App",
    "mounted": "/mnt/c/Repos/App",
    "long": r"\\?\C:\Repos\App",
    "tree": r"C:\Repos\App\.claude\worktrees\fix-1",
    "sub": r"C:\Repos\App\.claude\worktrees\fix-1\web",
    "twice": r"C:\Repos\App\.claude\worktrees\fix-1\.claude\worktrees\fix-2",
    "share": r"\\NAS\team\App",
    "slashed": "//nas/team/App/",
    "unc": r"\\?\UNC\nas\team\App",
    "wsl": r"\\wsl.localhost\Ubuntu\home\me\app",
    "old_wsl": r"\\wsl$\Debian\home\me\app",
    "plain": "/home/me/app/.claude/worktrees/fix-2",
}


def write(root: Path) -> Path:
    """Write one session for each habit; returns a folder above `projects`."""
    for make in (_ide, _queue, _only_queued, _labels, _blocks, _hooks, _blank):
        log = make()
        log.save(_path(root, log.session))
    for name, folder in FOLDERS.items():
        log = Log(f"folder-{name}", cwd=folder)
        log.user("where am I?")
        log.save(_path(root, log.session))
    bare = {"type": "user", "uuid": "u", "sessionId": "no-cwd", "timestamp": stamp(86_400),
            "message": {"role": "user", "content": "nowhere"}}  # fmt: skip
    _path(root, "no-cwd").write_text(json.dumps(bare) + "\n")
    return root


def _path(root: Path, session: str) -> Path:
    return root / ".claude" / "projects" / "-home-me-app" / f"{session}.jsonl"


def _text(words: str) -> Json:
    return {"type": "text", "text": words}


def _ide() -> Log:
    log = Log("ide")
    log.user([_text(OPENED), _text("why does the build fail?")])
    log.user(f"{OPENED}\nand now?\n{REMINDER}")
    log.user(f"{REMINDER}")
    log.user([_text("<ide_selection>x < y\nin a.py</ide_selection>what is this?")])
    log.answer("msg_01ide", _text("A brace is missing."))
    log.lines.append(b'{"type":"assistant","message":{"id":"msg_01cut","n":1e4')
    return log


def _queued(log: Log, operation: str, content: Any = None) -> None:
    log.second += 1
    entry = {"type": "queue-operation", "operation": operation,
             "timestamp": stamp(log.second), "sessionId": log.session}  # fmt: skip
    log.put(entry | ({} if content is None else {"content": content}))


def _queue() -> Log:
    log = Log("queue")
    log.user("begin")
    _queued(log, "enqueue", "this was sent")
    _queued(log, "dequeue")
    log.user("this was sent")
    _queued(log, "enqueue", "taken back zebra")
    _queued(log, "enqueue", "and this one")
    _queued(log, "popAll", "taken back zebra\nand this one")
    _queued(log, "enqueue", "<task-notification>done</task-notification>")
    log.answer("msg_01queue", _text("Yes."))
    return log


def _only_queued() -> Log:
    log = Log("only-queued")
    _queued(log, "enqueue", f"{OPENED}hello   quokka")
    _queued(log, "dequeue")
    return log


def _labels() -> Log:
    log = Log("labels")
    log.user("name it")
    log.put(
        {"type": "custom-title", "customTitle": "First numbat", "sessionId": "labels"}
    )
    for _ in range(2):
        log.put({"type": "custom-title", "customTitle": "Second numbat",
                 "sessionId": "labels"})  # fmt: skip
    log.put({"type": "custom-title", "customTitle": "  ", "sessionId": "labels"})
    log.put({"type": "tag", "tag": "wombat", "sessionId": "labels"})
    log.put({"type": "agent-name", "agentName": "bilby", "sessionId": "labels"})
    log.put({"type": "pr-link", "prNumber": 7, "prUrl": "https://example.invalid/potoroo/7",
             "prRepository": "me/app", "timestamp": stamp(86_500),
             "sessionId": "labels"})  # fmt: skip
    return log


def _blocks() -> Log:
    log = Log("blocks")
    log.user("read it")
    log.answer("msg_01blocks", {"type": "tool_use", "id": "toolu_b", "name": "Read",
                                "input": {}})  # fmt: skip
    log.result("toolu_b", [
        {"type": "document", "title": "spec", "source": {
            "type": "text", "media_type": "text/plain", "data": "inner aardvark"}},
        {"type": "document", "source": {
            "type": "content", "content": [_text("inner pangolin")]}},
        {"type": "search_result", "title": "hit", "source": "x",
         "content": [_text("inner axolotl")]},
        {"type": "document", "source": {"type": "base64", "data": "JVBERg=="}},
        {"type": "document", "context": "inner ibis", "source": "inner jackal"},
        [_text("inner kudu")],
        _text("plain text"),
    ])  # fmt: skip
    log.answer("msg_01compact", {"type": "compaction", "content": "summary by tarsier"})
    return log


def _hooks() -> Log:
    log = Log("hooks")
    log.user("hook it")
    for event in ("PreToolUse", "PostToolUse", "Stop"):
        log.add("progress", data={"type": "hook_progress", "hookEvent": event})
    log.add("system", subtype="stop_hook_summary", hookCount=2)
    log.add("system", subtype="stop_hook_summary", hookInfos=[{"command": "x"}])
    log.add(
        "attachment", attachment={"type": "hook_success", "hookEvent": "SessionStart"}
    )
    return log


def _blank() -> Log:
    log = Log("blank")
    log.user("one prompt")
    zero_width = "\u00a0\u200b"
    blank: tuple[Any, ...] = ("", "  ", zero_width, [], [_text("")], [""], [None], [[]])
    for content in (*blank, None):
        log.user(content)
    log.add("user")
    log.user([{"type": "image", "source": {"type": "url", "url": "https://x.invalid"}}])
    log.user(["words in a plain string"])
    return log
