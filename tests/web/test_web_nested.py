"""Subagents with more entries than a page shows are loaded when they are unfolded."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cclake_archive.live.blocks import Block
from cclake_web.data.blocks import Call, Entry
from cclake_web.subagents import MOST_OF_RUN, Ask, NestedRun, Nester
from export import Export
from playwright.sync_api import Browser, expect
from webface import Watched, Web, serving

pytest_plugins = ("webfixtures",)

ID = "77777777-aaaa-4111-8111-777777777777"
LEVELS = 10  # deeper than any page nests
MANY = 450  # entries of the longest agents, more than a page nests


def deep() -> Export:
    export = Export()
    s = export.session(
        ID, title="Deep work", start=datetime(2026, 8, 1, 10, tzinfo=UTC)
    )
    s.prompt("Begin, and ask others.")
    calls = []
    for level in range(LEVELS):
        name = {"description": f"Level {level}", "prompt": f"Task of level {level}"}
        (call,) = s.answer(tools=(("Task", name),), cost=0.01)
        calls.append(call)
        s.subagent(call, f"agent{level}")
        s.entry("agent_prompt", [{"block_kind": "text", "text": name["prompt"]}])
        for step in range(MANY // 2 if level in (0, 1) else 1):
            (one,) = s.answer(
                tools=(("Bash", {"command": f"echo {level} {step}"}),), cost=0.001
            )
            s.result(one, f"output {level} {step}")
    s.answer("The deepest answer.", cost=0.001)
    for level in reversed(range(LEVELS)):
        s.agent = f"agent{level - 1}" if level else None
        s.result(calls[level], f"Level {level} is done")
    s.answer("All is done.")
    s.end()
    return export


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("nested")
    deep().write(folder / "exports" / "conversations.db")
    with serving(folder / "exports", folder / "log") as served:
        yield served


def test_a_call_shows_the_totals_of_all_below_it(nested: Web) -> None:
    text = nested.get(f"/session/{ID}").text
    after = re.search(
        r'Level 0</span>\s*<span class="after">(.*?)</summary>', text, re.DOTALL
    )
    assert after
    calls = 2 * (MANY // 2) + (LEVELS - 2) + (LEVELS - 1)
    cost = calls * 0.001 + (LEVELS - 1) * 0.009 + 0.001
    assert f"{calls} calls" in after[1]
    assert f"${cost:.2f}" in after[1]
    assert "output 0 0" not in text
    assert f'href="/session/{ID}?agent=agent0"' in text


def test_the_sum_of_a_run_has_every_subagent_once(tmp_path: Path) -> None:
    agents = [f"agent{number:03}" for number in range(MOST_OF_RUN + 5)]
    export = Export()
    s = export.session(ID, start=datetime(2026, 8, 1, 10, tzinfo=UTC))
    s.prompt("Run it.")
    (called,) = s.answer(tools=(("Workflow", {"name": "w"}),))
    export.add(
        "dim_workflow_runs", session_id=ID, workflow_run_id="w", tool_use_id=called
    )
    for number, agent in enumerate(agents):
        export.add("dim_agents", session_id=ID, agent_id=agent, workflow_run_id="w")
        s.agent = agent
        # The first one starts the second, which belongs to the run, too.
        calls = s.answer("x", tools=(("Task", {}),) if number == 0 else (), cost=0.01)
        if number == 0:
            s.subagent(calls[0], agents[1])
    s.end()
    path = export.write(tmp_path / "conversations.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        block = Block("tool_use", tool_use_id=called, tool_name="Workflow")
        run = Nester(connection, Ask(ID))(Call(block, Entry("k", "answer", 1)))
    assert isinstance(run, NestedRun)
    assert (len(run.agents), run.more) == (MOST_OF_RUN, 5)
    assert run.sums.responses == len(agents)
    assert round(run.sums.cost, 2) == len(agents) / 100


def test_every_level_can_be_reached_by_loading(nested: Web) -> None:
    waiting, seen = [f"/session/{ID}"], ""
    asked = 0
    while waiting:
        text = nested.get(waiting.pop().replace("&amp;", "&")).text
        assert asked == 0 or "<html" not in text
        asked += 1
        seen += text
        found = re.findall(r'data-load="([^"]+)"', text)
        waiting += [f"{address}&inside=1" for address in found]
    for level in range(LEVELS):
        steps = MANY // 2 if level in (0, 1) else 1
        found = re.findall(rf"output {level} (\d+)\b", seen)
        assert sorted(map(int, set(found))) == list(range(steps)), level
    assert "The deepest answer." in seen
    assert asked < 12


def test_unfolding_loads_what_is_inside(browser: Browser, nested: Web) -> None:
    tab = Watched(browser, nested)
    page = tab.open(f"/session/{ID}")
    page.locator(".work > summary").first.click()
    page.locator(".call.agent > summary", has_text="Level 0").click()
    expect(page.get_by_text("echo 0 3", exact=True).first).to_be_visible()
    page.locator(".call.later > summary").first.click()
    page.locator(".call.agent > summary", has_text="Level 1").click()
    expect(page.get_by_text("echo 1 7", exact=True).first).to_be_visible()
    assert page.locator("[data-load]").count() >= 1
    assert tab.complaints == []
    assert tab.outside == []
    tab.close()


def test_without_script_a_link_leads_to_the_subagent(
    browser: Browser, nested: Web
) -> None:
    tab = Watched(browser, nested, java_script_enabled=False)
    page = tab.open(f"/session/{ID}")
    page.locator(".work > summary").first.click()
    page.locator(".call.agent > summary", has_text="Level 0").click()
    page.get_by_text("Open this subagent on its own page").first.click()
    expect(page.locator(".about-session")).to_contain_text("agent0")
    tab.close()


def test_an_agent_that_two_calls_name_is_shown_once(tmp_path: Path) -> None:
    export = Export()
    s = export.session(
        ID, title="Asked twice", start=datetime(2026, 8, 1, 10, tzinfo=UTC)
    )
    s.prompt("Ask one, and ask it again.")
    for task in ("First task", "Second task"):
        (call,) = s.answer(tools=(("Agent", {"prompt": task}),))
        s.subagent(call, "helper")
        s.entry("agent_prompt", [{"block_kind": "text", "text": task}])
        s.answer(f"An answer to the {task.lower()}.")
        s.agent = None
        s.result(call, "done")
    s.end()
    export.write(tmp_path / "exports" / "conversations.db")
    with serving(tmp_path / "exports", tmp_path / "log") as web:
        for page in ("", "/export.html"):
            text = web.get(f"/session/{ID}{page}").text
            assert text.count("An answer to the first task.") == 1
            assert text.count("An answer to the second task.") == 1
            assert text.count("shown at the first call that names it") == 1


def test_an_export_nests_every_level(nested: Web) -> None:
    text = nested.get(f"/session/{ID}/export.html").text
    assert text.count('class="nested"') == LEVELS
    assert "The deepest answer." in text
    assert 'data-load="' not in text
