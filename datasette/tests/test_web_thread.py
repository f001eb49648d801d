"""Pages of a thread, cards, calls of any shape, and searches of any words."""

import sqlite3
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from cclake_archive.live.blocks import Block
from cclake_archive.live.reading import line_of
from cclake_common.search import question
from cclake_web.charts.scale import after, periods, ticks
from cclake_web.data.blocks import Call, Entry
from cclake_web.data.thread import LONGEST_TURN, PAGE, Mark, pages
from cclake_web.render.cards import cards_of
from cclake_web.render.tool_view import view
from harmless import checked
from hypothesis import given, settings
from hypothesis import strategies as st

TOOLS = ("Bash", "Read", "Edit", "MultiEdit", "Write", "Grep", "TodoWrite", "Task", "WebFetch",
         "WebSearch", "AskUserQuestion", "ExitPlanMode", "NotebookEdit", "mcp__a__b", "mcp__", "X",
         "TaskCreate", "TaskUpdate", "TaskList", "TaskGet", "TaskOutput", "TaskStop", "SendMessage",
         "Skill", "ToolSearch", "Workflow")  # fmt: skip
KEYS = ("command", "file_path", "edits", "todos", "content", "status", "questions", "question",
        "plan", "old_string", "new_string", "file", "structuredPatch", "lines", "numLines",
        "answers", "stdout", "prompt", "url", "options", "label", "results", "title", "matches",
        "tasks", "task", "subject", "taskId", "id", "sql", "query", "annotations", "notes",
        "addBlockedBy", "statusChange", "from", "code", "bytes", "args", "isAsync")  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(TOOLS), JSON, JSON, st.text(max_size=20), st.booleans())
@settings(max_examples=300)
def test_a_call_of_any_shape_can_be_shown(
    name: str, given_: Any, result: Any, text: str, failed: bool
) -> None:
    block = Block("tool_use", tool_use_id="t", tool_name=name, input=given_)
    call = Call(block, Entry("k", "answer", 1), is_error=failed)
    view(call)
    call.result = Block("tool_result", text=text, result=result, is_error=failed)
    shown = view(call)
    assert "\n" not in shown.summary
    checked(shown.body)


TURNS = st.lists(st.integers(1, 700), min_size=1, max_size=12)


@given(TURNS)
def test_pages_tile_a_thread_and_begin_at_prompts_or_answers(turns: list[int]) -> None:
    marks = list(marks_of(turns))
    found = pages(marks)
    assert found[0].first == marks[0].position
    assert found[-1].last == marks[-1].position
    by_position = {mark.position: mark for mark in marks}
    for one, following in pairwise(found):
        assert following.first == one.last + 1
        assert by_position[following.first].kind in ("prompt", "answer")
    for page in found:
        inside = [m for m in marks if page.first <= m.position <= page.last]
        assert len(inside) <= PAGE + LONGEST_TURN + 1


def marks_of(turns: list[int]) -> Any:
    position = 0
    for turn, size in enumerate(turns, 1):
        for number in range(size):
            position += 1
            kind = "prompt" if not number else ("answer", "tool_result")[number % 2]
            yield Mark(position, turn, kind, f"k{position}", "", "")


def entry(kind: str, *blocks: Block, turn: int = 1) -> Entry:
    return Entry(f"k{id(blocks)}", kind, turn, blocks=list(blocks))


def test_the_answer_stands_outside_the_fold() -> None:
    call = Block("tool_use", tool_use_id="t", tool_name="Bash", input={"command": "ls"})
    entries = [
        entry("prompt", Block("text", "Do it")),
        entry("answer", Block("text", "First I look."), call),
        entry("tool_result", Block("tool_result", "x", "t")),
        entry("answer", Block("text", "It is done.")),
        entry("prompt", Block("text", "And?"), turn=2),
        entry("answer", Block("thinking", "hm"), Block("text", "Nothing."), turn=2),
    ]
    calls = {"t": Call(call, entries[1], Block("tool_result", "x", "t"))}
    first, second = cards_of(entries, calls, nest=lambda call: None)
    assert [item.kind for item in first.work] == ["text", "call"]
    assert [str(item.html) for item in first.answer] == ["<p>It is done.</p>\n"]
    assert first.line[0] == "1 call"
    assert not first.open
    assert [item.kind for item in second.work] == ["thinking"]
    assert second.line[0] == "Thinking"


def test_a_turn_without_an_answer_is_open() -> None:
    call = Block("tool_use", tool_use_id="t", tool_name="Bash", input={})
    entries = [entry("prompt", Block("text", "Do it")), entry("answer", call)]
    (card,) = cards_of(entries, {}, nest=lambda call: None)
    assert card.open
    assert card.answer == []


def test_system_lines_are_shown_on_request_only() -> None:
    entries = [
        entry("meta", Block("text", "a caveat")),
        entry("system", Block("text", "x")),
    ]
    assert cards_of(entries, {}, nest=lambda call: None) == []
    shown = cards_of(entries, {}, nest=lambda call: None, everything=True)[0].answer
    assert [item.label for item in shown] == ["meta: a caveat", "system: x"]


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_question_that_fts_understands(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("create virtual table f using fts5(text)")
    connection.execute("insert into f values ('the row parser lost a row')")
    asked = question(text)
    for match in (asked.match, asked.loose):
        if match:
            connection.execute("select * from f where f match ?", (match,)).fetchall()
    connection.close()


def test_words_phrases_and_beginnings_mean_what_they_say() -> None:
    assert question('row "lost a" pars*').match == '"row" "lost a" "pars"*'
    assert question("why is the parser slow?").loose == '"parser" OR "slow?"'
    assert question("?! -- ()").match == ""


@given(JSON, st.sampled_from(["user", "assistant", "system", 7]))
def test_a_fresh_line_may_have_any_shape(message: Any, kind: Any) -> None:
    about = {
        "_id": b"x" * 24, "buffer": "b", "seq": 1, "sessionId": "s", "source": {"len": 9},
    }  # fmt: skip
    fields = {"type": kind, "message": message, "toolUseResult": message}
    extra = dict.fromkeys(
        ("uuid", "cwd", "gitBranch", "aiTitle", "forkedFrom"), message
    )
    for entry in (fields, fields | extra, message):
        line = line_of(about | {"entry": entry})
        assert line is None or line.session_id == "s"


@given(st.floats(0, 1e15, allow_nan=False))
def test_ticks_are_round_and_reach_the_highest_value(highest: float) -> None:
    marks = ticks(highest)
    assert marks[0] == 0
    assert marks[-1] >= highest * 0.999
    assert 2 <= len(marks) <= 7
    assert len({f"{mark:.12g}" for mark in marks}) == len(marks)


@given(st.lists(st.dates(date(2020, 1, 1), date(2030, 1, 1)), min_size=1, max_size=20))
def test_no_period_is_skipped(days: list[date]) -> None:
    unit, starts = periods(days)
    assert starts[0] <= min(days)
    assert after(starts[-1], unit) > max(days)
    for one, following in pairwise(starts):
        assert after(one, unit) == following
        assert following - one <= timedelta(days=31)
    assert len(starts) <= 160
