"""Calls and records by what they say: plans, questions, tasks, hooks, web, JSON."""

import json
import re
from typing import Any

import pytest
from cclake_archive.json_text import indented
from cclake_archive.live.blocks import Block
from cclake_web.data.blocks import Call, Entry, Run
from cclake_web.render.agents import notices
from cclake_web.render.arguments import about, arguments
from cclake_web.render.elements import elements
from cclake_web.render.hooks import hook
from cclake_web.render.items import Item, items_of
from cclake_web.render.system_lines import system_line
from cclake_web.render.tasks import name_tasks
from cclake_web.render.tool_view import view
from cclake_web.render.view import View
from cclake_web.render.web_tools import is_web, link, pull_request
from cclake_web.render.workflows import facts, result_of_run
from harmless import checked
from hypothesis import given, settings
from hypothesis import strategies as st
from sample import VECTORS

REJECTED = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected. "
    "To tell you how to proceed, the user said:\nToo big, smaller steps please"
)
KEYS = (
    "type", "hookName", "hookEvent", "command", "exitCode", "stdout", "stderr",
    "content", "blockingError", "hookInfos", "hookErrors", "durationMs", "data",
    "error", "retryAttempt", "retryInMs", "messageCount", "stopReason",
)  # fmt: skip
KINDS = ("hook_success", "hook_blocking_error", "hook_progress")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(KINDS)
    | st.sampled_from(VECTORS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


def call(
    name: str, given_: Any, text: str = "", result: Any = None, *, error: bool = False
) -> Call:
    block = Block("tool_use", tool_use_id="t", tool_name=name, input=given_)
    came = Block("tool_result", text=text, result=result, is_error=error)
    return Call(block, Entry("k", "answer", 1), came, is_error=error)


def shown(
    name: str, given_: Any, text: str = "", result: Any = None, **how: Any
) -> View:
    found = view(call(name, given_, text, result, **how))
    checked(found.body)
    return found


def items(
    kind: str, *blocks: Block, everything: bool = False, **entry: Any
) -> list[Item]:
    one = Entry("k", kind, 1, blocks=list(blocks), **entry)
    return items_of(one, {}, lambda call: None, everything)


def test_an_approved_plan_is_shown_once() -> None:
    text = f"User has approved your plan.\n\n## Approved Plan:\n{'# Move it'}"
    found = shown("ExitPlanMode", {"plan": "# Move it"}, text, {"plan": "# Move it"})
    assert (found.summary, found.outcome) == ("Move it", "approved")
    assert found.body.count("Move it") == 1
    assert '<p class="decided approved">Approved</p>' in found.body


def test_a_plan_that_the_user_edited_is_the_one_that_was_approved() -> None:
    text = "User has approved your plan.\n\n## Approved Plan (edited by user):\nB"
    found = shown("ExitPlanMode", {"plan": "A"}, text, {"plan": "B"})
    assert "<p>B</p>" in found.body
    assert "<p>A</p>" not in found.body
    assert "Approved: with changes by the user" in found.body


def test_a_rejected_plan_says_why() -> None:
    found = shown("ExitPlanMode", {"plan": "All"}, REJECTED, error=True)
    assert found.outcome == "rejected"
    assert "Rejected: Too big, smaller steps please" in found.body
    assert "want to proceed" not in found.body


def test_a_plan_of_which_only_the_result_is_logged_is_shown() -> None:
    assert "<p>B</p>" in shown("ExitPlanMode", {}, "ok", {"plan": "B"}).body


def test_any_rejected_call_is_called_so() -> None:
    found = shown("Bash", {"command": "rm"}, REJECTED, error=True)
    assert found.outcome == "rejected by you"
    assert shown("Bash", {"command": "rm"}, "no such file", error=True).outcome == ""


def asked(answer: Any, *labels: str) -> str:
    options = [{"label": label, "description": f"about {label}"} for label in labels]
    question = {"question": "Which?", "options": options}
    result = {"answers": {"Which?": answer}}
    return str(shown("AskUserQuestion", {"questions": [question]}, "said", result).body)


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("Auth", ["Auth"]),
        ("Auth, Export", ["Auth", "Export"]),
        (["Auth", "Export"], ["Auth", "Export"]),
        ("Auth, log in, Export", ["Auth, log in", "Export"]),
        ("Neither", ["Neither"]),
        ("Export, and do it soon", ["Export", "and do it soon"]),
    ],
)
def test_the_chosen_options_are_ticked(answer: Any, chosen: list[str]) -> None:
    html = asked(answer, "Auth", "Auth, log in", "Export")
    ticked = [part.partition("<")[0] for part in html.split("☑</i>")[1:]]
    assert ticked == chosen
    assert "said" not in html


def test_a_question_without_an_answer_shows_what_came() -> None:
    html = asked(None, "Auth")
    assert "☑" not in html
    assert "said" in html


def test_tasks_are_things_to_do_and_named_by_their_subject() -> None:
    created = call(
        "TaskCreate", {"subject": "Write it", "description": "**All**"}, "made",
        {"task": {"id": "1", "subject": "Write it"}},
    )  # fmt: skip
    change = {"statusChange": {"from": "pending", "to": "in_progress"}}
    updated = call("TaskUpdate", {"taskId": "1", "status": "in_progress"}, "ok", change)
    name_tasks({"a": created, "b": updated})
    first, second = view(created), view(updated)
    assert (first.label, first.summary) == ("New task #1", "Write it")
    assert "<strong>All</strong>" in first.body
    assert second.summary == "Write it · to do → in progress"
    assert '<li class="in_progress">' in second.body


def test_the_list_of_tasks_counts_what_is_done() -> None:
    tasks = [{"id": "1", "subject": "A", "status": "completed", "owner": "alice"},
             {"id": "2", "subject": "B", "status": "pending"}]  # fmt: skip
    found = shown("TaskList", {}, "#1 ...", {"tasks": tasks})
    assert found.summary == "1 of 2 done"
    assert "#1 A<small> alice</small>" in found.body
    assert "#7 open" in shown("TaskList", {}, "#7 open").body


def test_a_search_of_the_web_is_a_list_of_titles() -> None:
    results = [{"content": [{"title": "One", "url": "https://a.example/1"},
                            {"title": "Two", "url": "http://b.example/"}]}, "So **it** is."]  # fmt: skip
    found = shown("WebSearch", {"query": "q"}, "Links: ...", {"results": results})
    assert found.summary == "q · 2 results"
    assert checked(found.body).links == ["https://a.example/1", "http://b.example/"]
    assert found.body.count('rel="noopener noreferrer nofollow"') == 2
    assert "<strong>it</strong>" in found.body
    assert "Links:" not in found.body


def test_a_search_of_which_only_the_text_is_logged_is_a_list_too() -> None:
    links = json.dumps([{"title": "One", "url": "https://a.example/1"}])
    text = f'Web search results for query: "q"\n\nLinks: {links}\n\nFound.\n\nREMINDER: You MUST cite'
    found = shown("WebSearch", {"query": "q"}, text)
    assert checked(found.body).links == ["https://a.example/1"]
    assert "<p>Found.</p>" in found.body
    assert "REMINDER" not in found.body


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "//evil.example/x", "/-/logout", "data:text/html,x", "x",
     "https:", "https://", "http://[x", "java\tscript:x", "https://a\u202e.example",
     "https://a.example/\nx", "ftp://a.example", "HTTPS://a b", " https://a.example"],
)  # fmt: skip
def test_only_addresses_of_the_web_become_links(address: str) -> None:
    assert not is_web(address)
    assert "<a" not in link(address, "title")


@given(st.text() | st.sampled_from(VECTORS), st.text() | st.sampled_from(VECTORS))
@settings(deadline=None)
def test_a_link_is_harmless_whatever_its_address_and_title(
    url: str, title: str
) -> None:
    checked(link(url, title))
    checked(link(f"https://a.example/{url}", title))


@pytest.mark.parametrize(
    ("given_", "line"),
    [
        ({"owner": "me", "repo": "x", "title": "A bug"}, "A bug"),
        ({"limit": 5, "Query": "all users"}, "all users"),
        ({"limit": 5, "other": "words"}, "words"),
        ({"limit": 5}, ""),
    ],
)
def test_a_call_is_summed_up_by_what_it_asks(given_: dict[str, Any], line: str) -> None:
    assert about(given_) == line


def test_arguments_have_the_form_of_their_values() -> None:
    html = arguments(
        {"n": 12345678901234567890, "sql": "SELECT 1\nFROM t", "body": "a\nb",
         "q": "select a country", "nested": {"a": [1, {"b": None}]}}
    )  # fmt: skip
    checked(html)
    assert "12345678901234567890" in html
    assert '<span class="k">SELECT</span>' in html
    assert "<code>a\nb</code>" in html
    assert "<dd>select a country</dd>" in html


def test_a_result_that_is_json_has_line_breaks_and_its_texts_are_texts() -> None:
    found = shown("mcp__a__b", {}, '{"id":1,"tags":["x"],"ratio":1.10}')
    assert found.body.count("\n") > 5
    assert "1.10" in found.body
    assert "<code>one\ntwo</code>" in shown("mcp__a__b", {}, '{"t":"one\\ntwo"}').body
    assert "{not json" in shown("mcp__a__b", {}, "{not json").body


@given(st.recursive(st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_json_with_line_breaks_is_the_same_json(value: Any) -> None:
    text = json.dumps(value)
    found = indented(text)
    if isinstance(value, dict | list) and "\\ud" not in text:
        assert found is not None
        assert json.loads(found) == value
        assert found.replace(" ", "").replace("\n", "") == text.replace(" ", "")


def test_numbers_of_any_length_and_names_given_twice_stay() -> None:
    text = '{"a":123456789012345678901234567890,"a":1.10}'
    assert indented(text) == '{\n  "a": 123456789012345678901234567890,\n  "a": 1.10\n}'


def test_a_search_for_tools_lists_their_names() -> None:
    found = shown(
        "ToolSearch", {"query": "select:x"}, "", {"matches": ["mcp__a__send"]}
    )
    assert found.summary == "select:x · 1 tool"
    assert "<li><code>mcp__a__send</code></li>" in found.body
    assert "No tool was found" in shown("ToolSearch", {}, "", {"matches": []}).body


def test_a_background_agent_says_so_and_its_end_brings_the_report() -> None:
    given_ = {"description": "Check", "prompt": "Do", "subagent_type": "Explore"}
    launched = "Async agent launched successfully.\nagentId: a22"
    found = shown("Agent", given_, launched, {"isAsync": True})
    assert found.outcome == "in the background"
    assert "Async agent" not in found.body
    (end,) = items(
        "notification",
        Block("text", "<task-notification>\n<task-id>a2</task-id>\n<status>completed</status>\n"
              '<summary>Agent "Check" completed</summary>\n<result>## Report\n\nIt is **fine**.'
              "</result>\n<usage>total_tokens: 23099\ntool_uses: 2\nduration_ms: 15506</usage>\n"
              "</task-notification>"),
    )  # fmt: skip
    assert end.label == 'Agent "Check" completed'
    assert "<strong>fine</strong>" in end.html
    assert "23.1k tokens · 2 calls · 16s" in end.html
    assert not end.is_bad


def test_a_subagent_without_a_thread_shows_its_report() -> None:
    one = call("Task", {"prompt": "Do"}, "It is **fine**.", {"agentId": "a1"})
    assert "<strong>fine</strong>" in view(one).body
    one.is_nested = True
    assert view(one).body == ""


def test_messages_of_teammates_are_each_a_notice() -> None:
    text = (
        '<teammate-message teammate_id="alice" color="blue" summary="All pass">\n**96%**\n'
        '</teammate-message>\n\n<teammate-message teammate_id="bob">\nhi\n</teammate-message>'
    )  # fmt: skip
    first, second = items("notification", Block("text", text))
    assert first.label == "Message from alice: All pass"
    assert "<strong>96%</strong>" in first.html
    assert second.label == "Message from bob: hi"


def test_the_output_of_a_background_command_is_named_by_the_command() -> None:
    result = {
        "command": "pnpm dev",
        "status": "running",
        "exitCode": None,
        "stdout": "VITE",
    }
    found = shown("BashOutput", {"bash_id": "d"}, "<status>running</status>", result)
    assert found.summary == "pnpm dev · running"
    assert "VITE" in found.body
    text = "<status>completed</status>\n\n<output>\nall done\n</output>"
    found = shown("TaskOutput", {"task_id": "b1"}, text)
    assert found.summary == "task b1 · completed"
    assert "all done" in found.body
    assert "&lt;" not in found.body


def test_a_hook_has_its_command_exit_code_and_stderr() -> None:
    run = {"type": "hook_non_blocking_error", "hookName": "PreToolUse:Bash", "exitCode": 1,
           "command": "guard.py", "stderr": "Traceback: boom", "durationMs": 40}  # fmt: skip
    (item,) = items("attachment", Block("other", result=run))
    assert item.label == "Hook PreToolUse:Bash · exit code 1, 40ms: guard.py"
    assert "Traceback: boom" in item.html
    assert item.is_bad


def test_a_hook_that_succeeded_is_a_system_line() -> None:
    run = {
        "type": "hook_success",
        "hookName": "Stop",
        "exitCode": 0,
        "command": "black -q",
    }
    assert items("attachment", Block("other", result=run)) == []
    (item,) = items("attachment", Block("other", result=run), everything=True)
    assert item.label == "Hook Stop · exit code 0: black -q"
    assert not item.is_bad


def test_a_summary_of_hooks_names_what_failed() -> None:
    found = {"hookInfos": [{"command": "lint.sh", "durationMs": 812}, {"command": "b"}],
             "hookErrors": ["ruff: command not found"]}  # fmt: skip
    block = Block("other", result=found)
    (item,) = items("system", block, subtype="stop_hook_summary")
    assert item.label == "2 Stop hooks · 1 error: lint.sh, b"
    assert "ruff: command not found" in item.html


def test_system_lines_are_said_in_words() -> None:
    retry = {"error": {"formatted": "529 Overloaded"}, "retryAttempt": 1, "maxRetries": 10,
             "retryInMs": 1200.5}  # fmt: skip
    for subtype, found, words in (
        ("turn_duration", {"durationMs": 183000, "messageCount": 12}, "The turn took 3m 3s, 12 messages"),
        ("api_error", retry, "API error 529 Overloaded, attempt 1 of 10, retry after 1s"),
    ):  # fmt: skip
        block = Block("other", result=found)
        (item,) = items("system", block, subtype=subtype, everything=True)
        assert item.label == words


@given(JSON, st.sampled_from(["attachment", "system", "other"]),
       st.sampled_from(["stop_hook_summary", "turn_duration", "api_error", ""]))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_a_record_of_any_shape_can_be_shown(
    found: Any, kind: str, subtype: str
) -> None:
    entry = Entry("k", kind, 1, subtype=subtype, blocks=[Block("other", result=found)])
    notice = hook(entry)
    if notice:
        checked(notice.body)
        assert "\n" not in notice.label
    assert "\n" not in system_line(entry)
    items_of(entry, {}, lambda call: None, everything=True)


def test_a_notice_of_one_line_says_it_once() -> None:
    said = "Set model to \x1b[1mopus\x1b[22m"
    (short,) = items(
        "command", Block("text", f"<local-command-stdout>{said}</local-command-stdout>")
    )
    assert (short.label, short.html) == ("Set model to opus", "")
    (long,) = items("command", Block("text", "<bash-stdout>a\nb</bash-stdout>"))
    assert "a\nb" in long.html


def test_all_notices_of_one_text_are_shown() -> None:
    text = """<task-notification><task-id>1</task-id><summary>One</summary>
    </task-notification>
    <task-notification><summary>Two</summary><status>failed</status></task-notification>
    In between.
    <teammate-message teammate_id="ann">Three</teammate-message>"""
    assert [(one.label, one.failed) for one in notices(text)] == [
        ("One", False), ("Two", True), ("In between.", False),
        ("Message from ann: Three", False),
    ]  # fmt: skip


@given(st.lists(st.sampled_from([*VECTORS, "<task-notification>", "</task-notification>", "<result>",
       "</result>", "<summary>", "</summary>", "<teammate-message teammate_id=\"", "\">",
       "</teammate-message>"]), max_size=12).map("".join))  # fmt: skip
@settings(deadline=None)
def test_a_notice_of_any_text_is_harmless(text: str) -> None:
    for notice in notices(text):
        checked(notice.body)
        assert "\n" not in notice.label


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"trigger": "auto", "preTokens": 167000, "postTokens": 22000, "durationMs": 41000},
         "Compacted automatically: 167k → 22k tokens, 41 s"),
        ({"trigger": "manual", "preTokens": 9000}, "Compacted by the user: 9,000 tokens before"),
        ({"trigger": "auto", "preTokens": 167000, "tokensSaved": 30000},
         "Compacted automatically: 167k tokens before, 30k saved"),
        ({}, "Conversation compacted"),
    ],
)  # fmt: skip
def test_a_compaction_says_its_sizes(found: dict[str, Any], words: str) -> None:
    block = Block("text", "Conversation compacted", result=found)
    (item,) = items("system", block, subtype="compact_boundary")
    assert item.label == words


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("me/x https://github.com/me/x/pull/12", ">PR #12</a>"),
        ("https://gitlab.example/a/-/merge_requests/3", ">PR #3</a>"),
        ("me/x https://example.org/review", ">Pull request</a>"),
        ("me/x javascript:alert(1)/pull/1", "None"),
        ("", "None"),
    ],
)
def test_a_pull_request_is_a_link(text: str, html: str) -> None:
    assert html in str(pull_request(text))


def test_the_facts_of_a_run_are_words() -> None:
    run = Run("wf", "t", status="timed_out", tokens=6000, agents=["a", "b"],
              phases=[{"title": "scout"}, {"title": "judge"}, 7])  # fmt: skip
    assert facts(run) == [
        "timed out",
        "2 agents",
        "6,000 tokens",
        "phases: scout, judge",
    ]
    assert facts(Run("wf", "t")) == []


@pytest.mark.parametrize("text", [*VECTORS, '{"a": "x\\ny"}', "[1]", "", "# Report"])
def test_the_result_of_a_run_is_harmless(text: str) -> None:
    checked(result_of_run(Run("wf", "t", result=text)))


def test_a_list_of_which_only_the_text_is_logged_is_a_list_too() -> None:
    text = "#1 [completed] Add tests (alice)\n#2 [pending] Merge"
    found = shown("TaskList", {}, text)
    assert found.summary == "1 of 2 done"
    assert (
        '<li class="completed"><span>✓</span> #1 Add tests (alice)</li>' in found.body
    )
    found = shown("ToolSearch", {"query": "q"}, "TaskCreate\nmcp__a__send")
    assert found.summary == "q · 2 tools"
    assert "no such tool" in shown("ToolSearch", {"query": "q"}, "no such tool").body


def test_a_workflow_is_named_by_its_script() -> None:
    script = "export const meta = {\n  name: 'demo-review',\n}"
    found = shown("Workflow", {"script": script}, "launched")
    assert found.summary == "demo-review"
    assert "launched" in found.body


# An expression for what is between two tags would take minutes for each of these.
@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        ("TaskOutput", "<a>" * 130_000, None),
        ("TaskOutput", "".join(f"<a{'b' * n}>" for n in range(40)) * 900, None),
        ("Read", '<cell id="a">' * 30_000, None),
        ("AskUserQuestion", "", {"answers": {"q": "a, " * 130_000}}),
    ],
)
def test_tags_that_nothing_closes_take_no_time(
    name: str, text: str, result: Any
) -> None:
    question = {"question": "q", "options": [{"label": "a"}]}
    assert shown(name, {"questions": [question]}, text, result).body
    assert items("command", Block("text", "<command-name>" * 30_000)) == []
    assert notices(f"<task-notification>{text}")


@given(st.lists(st.sampled_from(["<a>", "</a>", "<b>", "</b>", "x"])).map("".join))
def test_elements_are_the_outermost_ones(text: str) -> None:
    found = re.findall(r"<([a-z])>(.*?)</\1>", text)
    assert elements(text) == found


def test_a_notebook_of_which_only_the_text_is_logged_has_its_cells() -> None:
    text = (
        '<cell id="a1"><cell_type>markdown</cell_type># Title</cell id="a1">\n'
        '<cell id="b2"><language>r</language>x <- "</cell id="</cell id="b2">'
    )
    found = shown("Read", {"notebook_path": "a.ipynb"}, text)
    assert found.summary == "a.ipynb · 2 cells"
    assert "<h1>Title</h1>" in found.body
    assert "cell id=" in found.body
