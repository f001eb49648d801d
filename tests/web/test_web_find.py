"""Find in a session: every place, in a real Chromium too, and no secret."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from cclake_web.data import find
from cclake_web.data.find import places
from export import Export
from playwright.sync_api import expect
from sample import HOSTILE, LONG, MAIN
from webface import Watched, Web

pytest_plugins = ("webfixtures",)
SECRET = "ghp_" + "a1B2" * 9


@pytest.fixture
def small(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    export = Export()
    session = export.session("s")
    session.prompt("Where is the **last row** of\nÄrger.csv?")
    (call,) = session.answer(
        tools=(("Bash", {"command": 'grep "last row"\n  x'}),), text="I look."
    )
    session.result(call, "the last row is there")
    session.prompt(f"My key is {SECRET}, keep it.")
    session.end()
    other = export.session("other")
    other.prompt("the last row of another session")
    other.end()
    connection = sqlite3.connect(export.write(tmp_path / "c.db"))
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def test_words_are_found_as_they_look(small: sqlite3.Connection) -> None:
    found = places(small, "s", "LAST  row")
    assert [one.kind for one in found] == ["prompt", "tool_use", "tool_result"]
    assert [one.words for one in found] == ["last row"] * 3
    assert found[1].before.endswith('grep "')
    assert [one.kind for one in places(small, "s", "last row of ärger")] == ["prompt"]
    assert [one.kind for one in places(small, "s", 'row" x')] == ["tool_use"]


@pytest.mark.parametrize(
    "words", ["", "   ", "nowhere", "%", "la_t", "[a-z]", "(", "\\"]
)
def test_nothing_is_found_where_nothing_is(
    small: sqlite3.Connection, words: str
) -> None:
    assert places(small, "s", words) == []


def test_a_masked_secret_is_not_found_by_its_letters(small: sqlite3.Connection) -> None:
    assert places(small, "s", SECRET[:12]) == []
    (near,) = places(small, "s", "my key is")
    assert SECRET[6:] not in near.after
    (shown,) = places(small, "s", SECRET[:12], reveal=True)
    assert shown.words == SECRET[:12]


def test_places_end_at_a_limit(
    small: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "MOST", 2)
    assert len(places(small, "s", "e")) == 3  # one more says that there are more


def test_the_answer_is_that_of_the_session(web: Web) -> None:
    answer = web.get(f"/session/{LONG}/find.json?q=module number 77").json()
    assert [one["words"] for one in answer["places"]] == ["module number 77"]
    assert not answer["more"]
    assert web.get("/session/none/find.json?q=e").json()["places"] == []


@pytest.mark.browser
def test_find_goes_from_place_to_place_over_pages(tab: Watched) -> None:
    page = tab.open(f"/session/{LONG}")
    page.keyboard.press("f")
    field = page.get_by_role("searchbox", name="Find in this session")
    expect(field).to_be_focused()
    field.fill("module number 14")
    expect(page.locator(".finder .count")).to_have_text("11 places")
    page.keyboard.press("Enter")
    expect(page.locator(".finder .count")).to_have_text("1 of 11")
    expect(
        page.locator(".bubble", has_text="module number 14").first
    ).to_be_in_viewport()
    page.keyboard.press("Enter")  # 140, on another page
    page.wait_for_url("**find=module*")
    expect(page.locator(".finder .count")).to_have_text("2 of 11")
    expect(page.locator(".bubble", has_text="module number 140")).to_be_in_viewport()
    page.keyboard.press("Shift+Enter")
    page.wait_for_url("**at=*")
    expect(page.locator(".finder .count")).to_have_text("1 of 11")
    page.keyboard.press("Escape")
    expect(page.locator(".finder")).to_have_count(0)


@pytest.mark.browser
def test_a_place_in_a_fold_is_unfolded_and_marked(tab: Watched) -> None:
    page = tab.open(f"/session/{MAIN}")
    page.get_by_role("button", name="Find", exact=True).click()
    page.keyboard.type("FAILED tests/test_parser")
    page.keyboard.press("Enter")
    expect(
        page.locator(".call", has_text="FAILED tests/test_parser.py")
    ).to_be_visible()
    marked = "[...CSS.highlights.get('found-here')].map(range => String(range))"
    assert page.evaluate(marked) == ["FAILED tests/test_parser"]
    page.get_by_label("Find in this session").get_by_role("searchbox").fill("zzzz")
    expect(page.locator(".finder .count")).to_have_text("Not found")


@pytest.mark.browser
def test_hostile_text_among_the_places_runs_nothing(tab: Watched) -> None:
    page = tab.open(f"/session/{HOSTILE}?find=pwned&at=%22%3E%3Cimg%20src=x%3E")
    expect(page.locator(".finder li").first).to_contain_text("pwned")
    page.locator(".finder li").nth(3).click()
    expect(page.locator(".finder .count")).to_contain_text("4 of")
    assert page.evaluate("window.pwned") is None
    assert page.locator(".finder img, .finder svg, .finder script").count() == 0
    assert tab.outside == []
    assert tab.complaints == []
