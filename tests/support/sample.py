"""A sample export that has one of everything the pages can show."""

import json
from datetime import UTC, datetime, timedelta

from export import PIXEL, Export, Session

MAIN = "11111111-aaaa-4111-8111-111111111111"
FORK = "22222222-aaaa-4111-8111-222222222222"
HOSTILE = "33333333-aaaa-4111-8111-333333333333"
LONG = "44444444-aaaa-4111-8111-444444444444"
RUNNING = "55555555-aaaa-4111-8111-555555555555"
GITHUB_TOKEN = "ghp_" + "a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e5F6"

ANSWER = """I found it. The parser dropped the **last row** when the file had no newline.

What changed:

1. `read_rows` now yields the rest of the buffer at the end of the file.
2. A test holds it: *a file without a final newline keeps its last row*.

```python
def read_rows(lines: Iterable[str]) -> Iterator[Row]:
    \"\"\"Yield one row per line, the last one too.\"\"\"
    for number, line in enumerate(lines):
        yield Row(number, line.rstrip("\\n"))
```

| case | before | after |
|---|---:|---:|
| with newline | 120 | 120 |
| without | 119 | 120 |

- [x] The error bound is $e_n = 2^{-n}$.
- [ ] The documents say so.

```mermaid
graph TD; A[read] --> B[write]
```

> All 214 tests pass.
"""
# Every colour that output of a terminal has here, as ink and as paper.
COLOURS = " ".join(
    f"\x1b[{code}m{code}\x1b[0m"
    for code in (1, 2, 4, 7, 9, *range(31, 37), *range(41, 48), 90, 100)
)
PATCH = [
    {
        "oldStart": 10, "oldLines": 5, "newStart": 10, "newLines": 6,
        "lines": [
            " def read_rows(lines):", "-    for line in lines[:-1]:",
            "+    for line in lines:", "         yield parse(line)",
            "-    return total", "+    return total + 1", "+# done", " ",
        ],
    }
]  # fmt: skip


def sample(now: datetime | None = None) -> Export:
    export = Export()
    now = now or datetime.now(UTC)
    _main(export, now - timedelta(hours=26))
    _fork(export, now - timedelta(hours=20))
    _hostile(export, now - timedelta(hours=50))
    _long(export, now - timedelta(days=9))
    # A little ahead of the clock, so that it runs for as long as the tests do.
    _running(export, now + timedelta(minutes=20))
    for number in range(14):
        _small(export, number, now - timedelta(days=number * 2, hours=number))
    return export


def _main(export: Export, start: datetime) -> None:
    s = export.session(MAIN, title="Fix the row parser", start=start)
    s.prompt(
        "The CSV import loses a row, see the screenshot.\n\nCan you find out why?",
        image=PIXEL,
    )
    (read, grep) = s.answer(
        "Let me look at the parser first.",
        thinking="The last row is missing.\nMaybe an off-by-one error.",
        tools=(
            ("Read", {"file_path": "/home/me/alpha/src/parser.py"}),
            ("Grep", {"pattern": "lines\\[:-1\\]", "path": "src"}),
        ),
    )
    s.result(
        read, "1\tdef read_rows(lines):\n2\t    for line in lines[:-1]:",
        {"type": "text", "file": {
            "filePath": "/home/me/alpha/src/parser.py", "startLine": 1, "numLines": 2,
            "totalLines": 40, "content": "def read_rows(lines):\n    for line in lines[:-1]:",
        }},
    )  # fmt: skip
    s.result(grep, "src/parser.py:2", {"mode": "files", "filenames": ["src/parser.py"]})
    (bash,) = s.answer(
        tools=(("Bash", {"command": "pytest -q", "description": "Run the tests"}),)
    )
    s.result(
        bash, f"Exit code 1\n\x1b[31mFAILED\x1b[0m tests/test_parser.py::test_last_row\n{COLOURS}",
        "Error: Exit code 1", error=True,
    )  # fmt: skip
    (edit, todo) = s.answer(
        "There it is: the slice drops the last line.",
        tools=(
            ("Edit", {
                "file_path": "/home/me/alpha/src/parser.py",
                "old_string": "for line in lines[:-1]:", "new_string": "for line in lines:",
            }),
            ("TodoWrite", {"todos": [
                {"content": "Find the bug", "status": "completed", "activeForm": "Finding"},
                {"content": "Mend it", "status": "in_progress", "activeForm": "Mending it"},
                {"content": "Write a test", "status": "pending", "activeForm": "Writing"},
            ]}),
        ),
    )  # fmt: skip
    s.result(
        edit, "The file has been updated.",
        {"filePath": "/home/me/alpha/src/parser.py", "structuredPatch": PATCH},
    )  # fmt: skip
    s.result(todo, "Todos have been modified")
    (task,) = s.answer(
        tools=(
            ("Task", {
                "description": "Check the callers", "subagent_type": "Explore",
                "prompt": "Find every caller of **read_rows** and report.",
            }),
        )
    )  # fmt: skip
    s.subagent(task, "a1b2c3d4")
    s.entry(
        "agent_prompt",
        [
            {
                "block_kind": "text",
                "text": "Find every caller of **read_rows** and report.",
            }
        ],
    )
    (inner,) = s.answer(
        tools=(("Task", {"description": "Look deeper", "prompt": "Dig."}),),
        cost=0.01,
        model="claude-haiku-4-5-20251001",
    )
    s.subagent(inner, "b2c3d4e5")
    s.entry("agent_prompt", [{"block_kind": "text", "text": "Dig."}])
    s.answer("Nothing more is below.", cost=0.002)
    s.agent = "a1b2c3d4"
    s.result(inner, "Nothing more is below.")
    s.answer("Two callers: `load` and `check`.", cost=0.01)
    s.back()
    s.result(
        task, "Two callers: `load` and `check`.",
        {"status": "completed", "agentId": "a1b2c3d4", "totalTokens": 1200},
    )  # fmt: skip
    s.answer(ANSWER)
    s.prompt("Thanks! Also write the test, the key is " + GITHUB_TOKEN)
    (write,) = s.answer(
        thinking="",
        tools=(
            (
                "Write",
                {
                    "file_path": "/home/me/alpha/tests/test_rows.py",
                    "content": "def test_last_row():\n    assert rows('a\\nb') == ['a', 'b']\n",
                },
            ),
        ),
    )
    s.result(
        write,
        "File created",
        {
            "type": "create",
            "filePath": "/home/me/alpha/tests/test_rows.py",
            "structuredPatch": [],
        },
    )
    s.count["api_errors"] += 1
    s.entry("api_error", [{"block_kind": "text", "text": "API Error: 529 overloaded"}])
    (mcp,) = s.answer(
        tools=(("mcp__github__create_issue", {"title": "Row lost", "labels": ["bug"]}),)
    )
    s.result(mcp, '{"number": 12, "state": "open"}')
    s.answer("The test is written and an issue is filed.", cost=None, model="glm-4.6")
    s.count["compactions"] += 1
    s.entry("system", [{"block_kind": "text", "text": "Conversation compacted"}])
    s.entry(
        "compact_summary",
        [
            {
                "block_kind": "text",
                "text": "The user wanted the row parser fixed. It was.",
            }
        ],
    )
    s.prompt("/review the change")
    s.entry(
        "queued_prompt",
        [{"block_kind": "text", "text": "and look at the docs as well"}],
    )
    s.answer("The change is sound.")
    s.end()


def _fork(export: Export, start: datetime) -> None:
    s = export.session(
        FORK, title="Fix the row parser, another way", start=start,
        parent_session_id=MAIN, relation="fork",
    )  # fmt: skip
    for row in [r for r in export.rows["thread_entries"] if r["session_id"] == MAIN][
        :3
    ]:
        s.turn = row["turn_number"]
        copied = {name: row[name] for name in ("entry_key", "owner_session_id")}
        s.entry(row["message_kind"], [], is_copy=1, **copied)
    s.prompt("Try it with the csv module instead.")
    s.answer("Done: `csv.reader` keeps every row.")
    s.end()


VECTORS = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "![x](https://evil.example/pixel.png)",
    "[click](javascript:window.pwned=1)",
    "[slash](//evil.example/x) and [out](/-/logout)",
    "<svg onload=window.pwned=1>",
    "<iframe src=https://evil.example></iframe>",
    "[ref]: javascript:window.pwned=1\n\n[ref]",
    '```"><script>window.pwned=1</script>\ncode\n```',
    "<a href='data:text/html,<script>window.pwned=1</script>'>x</a>",
    "<style>@import url(https://evil.example/x.css);</style>",
    "safe\u202egnp.exe\u202c and \u0000 and \u001b[31mred\u001b[0m and \u2066x",
    "<form action=https://evil.example><button>go</button></form>",
    "<https://evil.example/auto> <link rel=prefetch href=//evil.example>",
    "</pre></code></div></details><h1>broken out</h1>",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example><object data=x></object><math><mtext>",
    "\u001b]52;c;cHduZWQ=\u0007 \u001b]8;;javascript:window.pwned=1\u0007link\u001b]8;;\u0007 \u009b31m",
    "<details open ontoggle=window.pwned=1>x</details><marquee onstart=window.pwned=1>",
    "[tab](java\tscript:window.pwned=1) [entity](java&#115;cript:window.pwned=1) [x](&#x6A;avascript:1)",
    "<svg><animate onbegin=window.pwned=1 attributeName=x dur=1s><use href='data:image/svg+xml,x'/>",
    '<noscript><p title="</noscript><img src=x onerror=window.pwned=1>">',
    "--><!--><script>window.pwned=1</script><![CDATA[<script>window.pwned=1</script>]]>",
    "' onmouseover='window.pwned=1' x=\" autofocus onfocus=window.pwned=1 y=\"",
    "</title></textarea></style></script><script>window.pwned=1</script>",
    "<math><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=window.pwned=1&gt;'>",
    "<input autofocus onfocus=window.pwned=1><video><source onerror=window.pwned=1></video>",
    "<a id=location href=https://evil.example>clobber</a><form name=document><input name=cookie>",
    "soft\u00adhy\u034fphen \ufeff\u200b\U000e0041\u3164 \u061c\u200e\u200f\u2028\u2029 end",
    '\u001b[38;5;9m<img src=x onerror=window.pwned=1>\u001b[0m\u001b[31;\u001b[0m" onclick=window.pwned=1',
    "harmless\r<script>window.pwned=1</script>\u001b[2K\rlast \u001b[1G\u001b]0;title\u0007\b\b\u001b[48;2;1mX",
    "\u001b\u001b[31m[31m\u009b\u001b[0m1m\u001b[999999999999;38;5;300;48;2;999;-1;0m</span></code></pre>",
    "- [ ] <input onfocus=window.pwned=1 autofocus>\n- [x] ![x](https://evil.example/t.png)",
    "$\\href{javascript:window.pwned=1}{x}$ $$<script>window.pwned=1</script>$$ \\(<img src=x onerror=window.pwned=1>\\)",
    '```mermaid"><script>window.pwned=1</script>\ngraph TD; A[<script>window.pwned=1</script>]\n```',
    '|<script>window.pwned=1</script>|b" onclick="window.pwned=1|\n|:-:|-:|\n|[x](javascript:window.pwned=1)|<img src=x onerror=window.pwned=1>|',
    "[t](https://me:pw@evil.example/ 'x\" onclick=window.pwned=1 \"') <ruby onclick=window.pwned=1>",
)
ODD_PATH = "\n\n".join(VECTORS)
ODD_MODEL = (
    "claude-\u001b]52;c;cHduZWQ=\u0007\u202eeno\u0000<script>window.pwned=1</script>"
)


def _hostile(export: Export, start: datetime) -> None:
    s = export.session(
        HOSTILE, title=VECTORS[0] + VECTORS[1], start=start, project="<b>beta</b>",
        branch='"><script>window.pwned=1</script>', host="<i>host</i>",
    )  # fmt: skip
    for vector in VECTORS:
        s.prompt(vector)
        (one,) = s.answer(vector, thinking=vector, tools=((vector, {vector: vector}),))
        s.result(one, vector, {vector: [vector]}, error=True)
    every = "\n\n".join(VECTORS)
    for name, given, result in (
        ("Bash", {"command": every, "description": every}, {"stdout": every, "stderr": every}),
        ("Edit", {"file_path": every, "old_string": every, "new_string": every + "x"}, {"structuredPatch": [{"lines": ["-" + every, "+" + every]}, 7, None]}),
        ("Write", {"file_path": every, "content": every}, {"structuredPatch": "no"}),
        ("Read", {"file_path": every}, {"file": {"content": every, "filePath": 5}}),
        ("TodoWrite", {"todos": [every, {"content": every, "status": every}]}, every),
        ("WebSearch", {"query": every}, {"results": [{"content": [{"title": every, "url": "javascript:window.pwned=1"}]}]}),
        ("WebFetch", {"url": "javascript:window.pwned=1", "prompt": every}, {"result": every}),
        ("AskUserQuestion", {"questions": [{"question": every, "options": [{"label": every}]}]}, {"answers": {every: every}}),
        ("ExitPlanMode", {"plan": every}, {"plan": every}),
        ("Read", {"file_path": every}, {"file": {"content": every * 2, "startLine": 7, "numLines": 2, "totalLines": every}}),
        ("Read", {"file_path": VECTORS[0]}, {"file": {"cells": [{"cell_id": VECTORS[0], "cellType": kind, "source": every, "language": VECTORS[1], "outputs": [{"text": every}, 7]} for kind in ("markdown", "code")]}}),
        ("NotebookEdit", {"notebook_path": VECTORS[0], "cell_id": VECTORS[1], "cell_type": VECTORS[2], "edit_mode": VECTORS[3], "new_source": every}, {"old_source": every[9:], "language": VECTORS[0]}),
        ("NotebookEdit", {"notebook_path": VECTORS[0], "cell_number": 3, "cell_type": "markdown", "edit_mode": "insert", "new_source": every}, {"error": VECTORS[0]}),
        ("MultiEdit", {"file_path": every, "edits": [{"old_string": every, "new_string": ""}, every]}, {"userModified": True, "structuredPatch": [{"oldStart": 3, "newStart": every, "lines": ["@@" + every, "\\" + every, every]}]}),
        ("Task", {"description": every, "prompt": every, "subagent_type": every}, None),
        ("WebSearch", {"query": every}, {"results": [{"content": [{"title": every, "url": f"https://a.example/{vector}"} for vector in VECTORS]}, every]}),
        ("WebFetch", {"url": f"https://a.example/{every}", "prompt": every}, {"code": every, "codeText": every}),
        ("AskUserQuestion", {"questions": [{"question": "q", "options": [{"label": vector, "description": vector} for vector in VECTORS]}]}, {"answers": {"q": every}, "annotations": {"q": {"notes": every}}}),
        ("TaskCreate", {"subject": every, "description": every}, {"task": {"id": every}}),
        ("TaskUpdate", {"taskId": every, "status": every, "owner": every, "addBlockedBy": [every]}, {"statusChange": {"from": every}}),
        ("TaskList", {}, {"tasks": [{"id": every, "subject": every, "status": every, "owner": every}]}),
        ("TaskOutput", {"task_id": every}, {"task": {"command": every, "output": every, "status": every}}),
        ("TaskStop", {"task_id": every}, {"message": f"({every})"}),
        ("SendMessage", {"to": every, "message": every}, None),
        ("Skill", {"skill": every, "args": every}, None),
        ("ToolSearch", {"query": every}, {"matches": list(VECTORS)}),
        (f"mcp__{every}__{every}", {every: every, "sql": f"select '{every}'", "list": [every], "command": every}, None),
    ):  # fmt: skip
        (one,) = s.answer(tools=((name, given),))
        s.result(one, every, result)
    (one,) = s.answer(tools=(("mcp__a__b", {}),))
    s.result(one, json.dumps({every: every, "list": [every]}))
    (one,) = s.answer(tools=(("ExitPlanMode", {"plan": every}),))
    s.result(one, f"The tool use was rejected. the user said:\n{every}", error=True)
    (one,) = s.answer(tools=(("Workflow", {"name": every, "script": every}),))
    s.result(one, every, {"runId": "wf_1"})
    export.add(
        "dim_workflow_runs", session_id=HOSTILE, workflow_run_id="wf_1", tool_use_id=one,
        workflow_name=every, status=every, agents=2, total_tokens=6000, result=every,
        phases=json.dumps([{"title": every}, every]),
    )  # fmt: skip
    export.add(
        "dim_agents", session_id=HOSTILE, agent_id=VECTORS[1], agent_type=VECTORS[0],
        description=every, tool_use_id=one, workflow_run_id="wf_1",
    )  # fmt: skip
    s.agent = VECTORS[1]
    s.entry("agent_prompt", [{"block_kind": "text", "text": every}])
    s.agent = None
    for text in ("me/x https://evil.example/pull/1", f"me/x https://a.example/{every}",
                 "me/x javascript:window.pwned=1/pull/2"):  # fmt: skip
        s.entry("label", [{"block_kind": "text", "text": text}], record_type="pr-link")
    for subtype in ("compact_boundary", "turn_duration", "api_error"):
        sizes = {"preTokens": 5, "postTokens": 1, "trigger": every, "error": every}
        s.record("system", sizes, subtype=subtype)
    run = dict.fromkeys(("hookName", "command", "stdout", "stderr", "content"), every)
    for kind in ("hook_success", "hook_blocking_error"):
        s.record("attachment", run | {"type": kind, "exitCode": 1})
    s.record(
        "system", {"hookInfos": [run], "hookErrors": [every], "stopReason": every},
        subtype="stop_hook_summary",
    )  # fmt: skip
    for text in (
        f"<task-notification><summary>{every}</summary><result>{every}</result></task-notification>",
        f'<teammate-message teammate_id="{VECTORS[0]}" summary="x">{every}</teammate-message>',
        *(f"<task-notification>{vector}" for vector in VECTORS),
    ):
        s.entry("notification", [{"block_kind": "text", "text": text}])
    (one,) = s.answer(
        tools=(("Edit", {"file_path": every, "old_string": every, "new_string": "x"}),)
    )
    s.result(
        one,
        f"The user doesn't want to proceed with this tool use. The user said: {every}",
        None,
        error=True,
    )
    s.answer("Another model goes on.", model=ODD_MODEL, cost=0.0)
    s.end()


def _long(export: Export, start: datetime) -> None:
    s = export.session(
        LONG, title="A long afternoon of refactoring", start=start, project="gamma"
    )
    for turn in range(150):
        s.prompt(f"Step {turn}: rename module number {turn}")
        for step in range(2):
            (one,) = s.answer(
                f"Working on part {step}.",
                tools=(("Bash", {"command": f"git mv a{turn} b{turn}"}),),
            )
            s.result(one, "ok", {"stdout": "ok", "stderr": ""}, error=turn % 40 == 7)
        s.answer(f"Module {turn} has its new name.")
    s.end()


def _running(export: Export, start: datetime) -> None:
    s = export.session(
        RUNNING, title="Upgrade the build", start=start, project="delta", host="server"
    )
    s.prompt("Upgrade the build to the newest compiler, please.")
    s.answer(
        "I am reading the build files.",
        tools=(("Bash", {"command": "make", "description": "Build everything"}),),
    )
    s.end()


TITLES = (
    "Add dark mode to the settings page", "Investigate the slow query", "Write the release notes",
    "Migrate to the new API", "Why does the test flake?", "Draw the architecture diagram",
    "Tidy the imports", "Explain the retry logic", "Speed up the docker build", "Review the login flow",
    "Parse the invoices", "Replace the date library", "Find the memory leak", "Set up linting",
)  # fmt: skip


def _small(export: Export, number: int, start: datetime) -> None:
    s: Session = export.session(
        f"66666666-aaaa-4111-8111-{number:012d}", title=TITLES[number], start=start,
        project=("alpha", "gamma", "delta")[number % 3], branch=("main", "feature/rows", "")[number % 3],
        model=("claude-opus-4-6", "claude-sonnet-4-5-20250929")[number % 2],
    )  # fmt: skip
    for turn in range(1 + number % 4):
        s.prompt(f"{TITLES[number]}, part {turn + 1}.")
        for _ in range(number % 5):
            (one,) = s.answer(tools=(("Bash", {"command": "ls -la"}),), cost=0.11)
            s.result(
                one,
                "total 0",
                {"stdout": "total 0", "stderr": ""},
                error=number % 6 == 5,
            )
        s.answer("Done, and checked.", cost=0.09 * (number + 1))
    s.end()
