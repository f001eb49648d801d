"""The log files of a small made-up account that shows what real logs do.

Each session stands for one habit of the logs: streamed records, resumed and
forked copies, subagents in all layouts, progress copies, images, hostile lines.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from logfile import Json, Log, stamp

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def sid(letter: str) -> str:
    """The id of the session of that letter."""
    return f"{letter * 8}-0000-4000-8000-000000000000"


def text(words: str) -> Json:
    """A text block."""
    return {"type": "text", "text": words}


def use(call: str, name: str, **given: Any) -> Json:
    """A tool call block."""
    return {"type": "tool_use", "id": call, "name": name, "input": given}


def image(data: bytes = PNG, media: str = "image/png") -> Json:
    """An image block."""
    source = {"type": "base64", "media_type": media}
    return {
        "type": "image",
        "source": source | {"data": base64.b64encode(data).decode()},
    }


def write(root: Path) -> Path:
    """Write the whole account; returns the folder of the projects."""
    project = root / "projects" / "-home-me-app"
    first = _first()
    first.save(project / f"{sid('a')}.jsonl")
    _resumed(first).save(project / f"{sid('b')}.jsonl")
    _forked(first).save(project / f"{sid('c')}.jsonl")
    for path, log in _agents(project):
        log.save(path)
    meta = project / sid("d") / "subagents" / "workflows" / "w1" / "agent-a2.meta.json"
    meta.write_text('{"agentType": "Digger", "description": "dig"}')
    run = project / sid("d") / "workflows" / "w1.json"
    run.parent.mkdir()
    run.write_text('{"workflowName": "digging", "result": {"depth": [3]}}')
    _old_sidechains().save(project / f"{sid('e')}.jsonl")
    _hostile().save(project / f"{sid('f')}.jsonl")
    _advised().save(project / f"{sid('7')}.jsonl")
    titles = Log(sid("9"))
    titles.put({"type": "summary", "summary": "Mend the door", "leafUuid": first.last})
    titles.save(project / f"{sid('9')}.jsonl")
    history = [
        {"display": "fix the door", "project": "/home/me/app", "timestamp": 1785578400000,
         "sessionId": sid("a")},
        {"display": "long gone", "project": "/home/me/old", "timestamp": 1750000000000,
         "sessionId": sid("0")},
    ]  # fmt: skip
    lines = (json.dumps(entry) + "\n" for entry in history)
    (root / "history.jsonl").write_text("".join(lines))
    return root / "projects"


def _first() -> Log:
    log = Log(sid("a"))
    log.put({"type": "file-history-snapshot", "messageId": "x", "snapshot": {}})
    log.user("please fix the door", promptSource="typed")
    log.answer("msg_01a", {"type": "thinking", "thinking": "hm", "signature": "s"},
               text("Looking."), use("toolu_1", "Read", file_path="/home/me/app/door.py"))  # fmt: skip
    log.result("toolu_1", "1 import hinge", toolUseResult={"type": "text", "file": {
        "filePath": "/home/me/app/door.py", "content": "import hinge"}})  # fmt: skip
    log.answer("msg_01b", use("toolu_2", "Edit", file_path="/home/me/app/door.py",
                              old_string="a", new_string="b\nc"))  # fmt: skip
    log.result("toolu_2", "ok", toolUseResult={
        "filePath": "/home/me/app/door.py", "originalFile": "a\n" * 500,
        "structuredPatch": [{"lines": ["-a", "+b", "+c", " d"]}]})  # fmt: skip
    log.answer("msg_01c", use("toolu_3", "Bash", command="make"))
    log.result("toolu_3", "Exit code 2", error=True, toolUseResult="Error: Exit code 2")
    log.answer("msg_01d", use("toolu_4", "Bash", command="make again"))
    log.result("toolu_4", [text("ok"), image()], toolUseResult=[image()])
    log.add("attachment", attachment={"type": "queued_command", "commandMode": "prompt",
                                      "prompt": "and the window"})  # fmt: skip
    log.user([text("like this"), image()])
    log.answer("msg_01e", text("Done."), model="claude-sonnet-4-5-20250929")
    log.add("assistant", isApiErrorMessage=True, message={
        "id": "x", "role": "assistant", "model": "<synthetic>",
        "content": [text("API Error: 529")], "usage": {"output_tokens": 0}})  # fmt: skip
    log.add("system", subtype="compact_boundary", content="Conversation compacted",
            compactMetadata={"trigger": "auto", "preTokens": 1234})  # fmt: skip
    log.user("so far", isCompactSummary=True)
    log.user("thanks")
    log.answer("msg_01f", text("You are welcome."), model="glm-9")
    return log


def _resumed(first: Log) -> Log:
    """As versions up to 1.0 did it: same uuids, new session, time of the resume."""
    log = Log(sid("b"), day=2)
    for entry in first.entries[:12]:
        if "uuid" in entry:
            log.second += 1
            log.put(entry | {"sessionId": sid("b"), "timestamp": stamp(log.second)})
    log.last = first.entries[11]["uuid"]
    log.user("go on")
    log.answer("msg_01g", text("Going on."))
    return log


def _forked(first: Log) -> Log:
    """As the SDK does it: new uuids that name the old ones."""
    log = Log(sid("c"), day=3)
    for entry in first.entries[:8]:
        if "uuid" in entry:
            fork = {"sessionId": sid("a"), "messageUuid": entry["uuid"]}
            log.put(entry | {"sessionId": sid("c"), "uuid": f"fork-{entry['uuid']}",
                             "forkedFrom": fork})  # fmt: skip
    log.user("another way")
    log.answer("msg_01h", text("This way."))
    return log


def _agents(project: Path) -> Iterator[tuple[Path, Log]]:
    main = Log(sid("d"), day=4)
    main.put(
        {"type": "ai-title", "aiTitle": "Send three agents", "sessionId": sid("d")}
    )
    main.user("send agents")
    main.answer("msg_01i", use("toolu_5", "Agent", prompt="look left", subagent_type="Explore"),
                use("toolu_6", "Agent", prompt="look right", subagent_type="Plan"))  # fmt: skip
    inner = Log(sid("d"), day=4, isSidechain=True, agentId="a1")
    inner.user("look left")
    inner.answer("msg_01j", use("toolu_7", "Agent", prompt="look deeper"), out=33)
    inner.result("toolu_7", "deep")
    deep = Log(sid("d"), day=4, isSidechain=True, agentId="a2")
    deep.user("look deeper")
    deep.answer("msg_01k", text("It is deep."), model="claude-haiku-4-5-20251001")
    lost = Log(sid("d"), day=4, isSidechain=True, agentId="a3")
    lost.answer("msg_01l", text("Right."), out=77)
    for call, entry in (("toolu_5", inner.entries[1]), ("toolu_6", lost.entries[0])):
        main.add("progress", toolUseID="x", parentToolUseID=call, data={
            "type": "agent_progress", "agentId": entry["agentId"], "message": entry})  # fmt: skip
    main.result("toolu_5", "left", toolUseResult={"agentId": "a1", "totalTokens": 5000,
                                             "usage": {"output_tokens": 5000}})  # fmt: skip
    main.result("toolu_6", "right")
    main.answer("msg_01m", text("All back."))
    folder = project / sid("d") / "subagents"
    yield project / f"{sid('d')}.jsonl", main
    yield folder / "agent-a1.jsonl", inner
    yield folder / "workflows" / "w1" / "agent-a2.jsonl", deep


def _old_sidechains() -> Log:
    log = Log(sid("e"), day=5, version="1.0.60")
    log.user("old times")
    log.answer("msg_01n", use("toolu_8", "Task", prompt="find it"))
    main = log.last
    log.last = None
    log.user("find it", isSidechain=True)
    log.answer("msg_01o", text("Found."), isSidechain=True)
    log.last = main
    log.result("toolu_8", "Found.")
    return log


def _advised() -> Log:
    """Advisors, a profile of Bedrock, a result without its call and a call without one."""
    log = Log(sid("7"), day=7)
    log.result("toolu_lost_its_call_0001", "x", error=True)
    log.user("ask the advisor about the plan")
    steps = [
        {"type": "message", "input_tokens": 1, "output_tokens": 50,
         "cache_read_input_tokens": 120_000, "cache_creation_input_tokens": 7_000},
        {"type": "advisor_message", "model": "claude-opus-4-7",
         "input_tokens": 150_000, "output_tokens": 8_000},
        {"type": "message", "input_tokens": 2, "output_tokens": 450,
         "cache_read_input_tokens": 120_000, "cache_creation_input_tokens": 1_000},
    ]  # fmt: skip
    _billed(log, "msg_01q", "claude-sonnet-4-6", iterations=steps)
    steps = [
        {"type": "message", "input_tokens": 10, "output_tokens": 100},
        {"type": "advisor_message", "model": "claude-mythos-5-2", "output_tokens": 5},
    ]
    _billed(log, "msg_01r", "claude-opus-5", speed="fast", iterations=steps)
    steps = [{"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 200}]
    _billed(log, "msg_01u", "claude-opus-4-6", input_tokens=100, iterations=steps)
    odd: list[Any] = [None, {}]
    _billed(log, "msg_01v", "claude-opus-4-6", input_tokens=100, iterations=odd)
    profile = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    _billed(log, "msg_01s", profile, input_tokens=100_000)
    log.answer("msg_01t", use("toolu_without_result_001", "Read", file_path="/a"))
    return log


def _billed(log: Log, name: str, model: str, **usage: Any) -> None:
    usage = {"input_tokens": 3, "output_tokens": 0} | usage
    message = {"id": name, "type": "message", "role": "assistant", "model": model,
               "content": [text("ok")], "stop_reason": "end_turn", "usage": usage}  # fmt: skip
    log.add("assistant", requestId=f"req_{name}", message=message)


def _hostile() -> Log:
    log = Log(sid("f"), day=6)
    log.user("a normal line")
    odd: list[Any] = [
        None, True, 7, "text", [], {}, [None, 1, "x", [], {"type": 5}], {"type": {}},
        [{"type": "tool_use"}], [{"type": "tool_result", "tool_use_id": 7}],
        [{"type": "image", "source": {"media_type": "image/png", "data": "!!!"}}],
        [{"type": "image", "source": "x"}], {"0": "e", "1": "v"},
    ]  # fmt: skip
    for value in odd:
        for kind in ("user", "assistant", "progress", "system", "attachment", "new"):
            log.add(kind, message=value, toolUseResult=value, data=value,
                    attachment=value, content=value)  # fmt: skip
        log.user(value)
        log.add("assistant", message={"id": "msg_01z", "model": value, "content": value,
                                      "usage": value})  # fmt: skip
        log.add("assistant", message={"id": value, "usage": {
            "input_tokens": value, "iterations": value, "cache_creation": value}})  # fmt: skip
        log.add("progress", data={"type": "agent_progress", "message": value,
                                  "normalizedMessages": value})  # fmt: skip
    log.add("user", uuid="nul", message={"role": "user", "content": "a\0b"})
    log.lines += [b'{"type":"assistant","cut', b"\0\0\0", b"[1]", b"7", b"{}", b"",
                  b'{"type":"user","message":{"content":"lone \\ud83d half"}}']  # fmt: skip
    return log
