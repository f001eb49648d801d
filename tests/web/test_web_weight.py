"""Pages stay light: they are compressed, and heavy folded content comes when unfolded."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from export import Export
from playwright.sync_api import Browser, expect
from sample import HOSTILE, LONG, MAIN
from webface import Watched, Web, serving

pytest_plugins = ("webfixtures",)

HEAVY = "99999999-aaaa-4111-8111-999999999999"
TURNS = 12
CALLS = 100  # of the last turn
ON_THE_WIRE, IN_ALL = 150_000, 400_000
PLAIN = {"accept-encoding": "identity"}


def heavy() -> Export:
    export = Export()
    s = export.session(
        HEAVY, title="Much was said", start=datetime(2026, 8, 1, 10, tzinfo=UTC)
    )
    for turn in range(TURNS):
        s.prompt(f"Question {turn}. " + f"Here is a long log of part {turn}. " * 600)
        s.answer(f"Answer {turn}. " + f"The *cause* lies in line {turn}.\n\n" * 600)
    s.prompt("Now try all of them.")
    for number in range(CALLS):
        (one,) = s.answer(
            thinking=f"Thought {number}. " + "It may be the cache, or the clock. " * 40,
            tools=(("Bash", {"command": f"try {number}"}),),
        )
        lines = "\n".join(f"line {n} of try {number}" for n in range(300))
        s.result(one, f"first of {number}\n{lines}", error=number == CALLS - 2)
    (task,) = s.answer(tools=(("Task", {"description": "Look", "prompt": "Look."}),))
    s.subagent(task, "a1b2c3d4")
    for number in range(60):
        (one,) = s.answer(tools=(("Bash", {"command": f"look {number}"}),), cost=0.001)
        s.result(one, f"seen {number}\n" + "It is as expected.\n" * 200)
    s.back()
    s.result(task, "All was looked at.")
    s.answer("All of them were tried.")
    s.end()
    return export


@pytest.fixture(scope="module")
def heavy_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("heavy")
    heavy().write(folder / "exports" / "conversations.db")
    with serving(folder / "exports", folder / "log") as served:
        yield served


def sizes(web: Web, path: str) -> tuple[int, int]:
    """Return the bytes of a page with its files: on the wire, and unpacked."""
    page = web.get(path)
    assert page.status_code == 200, path
    files = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', page.text)
    assert len(files) > 4
    wire = unpacked = 0
    for one in [page, *map(web.get, set(files))]:
        assert one.headers.get("content-encoding") == "gzip" or len(one.content) < 500
        wire += one.num_bytes_downloaded
        unpacked += len(one.content)
    return wire, unpacked


def pages_of(web: Web, session_id: str) -> list[str]:
    text = web.get(f"/session/{session_id}").text
    found = re.search(r"Page 1 of (\d+)", text)
    last = int(found[1]) if found else 1
    return [f"/session/{session_id}?page={n}" for n in range(1, last + 1)]


def test_every_page_of_a_heavy_conversation_is_light(heavy_web: Web) -> None:
    pages = pages_of(heavy_web, HEAVY)
    assert len(pages) > 3
    for page in pages:
        wire, unpacked = sizes(heavy_web, page)
        assert wire < ON_THE_WIRE, page
        assert unpacked < IN_ALL, page


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        (f"/session/{LONG}", ON_THE_WIRE), (f"/session/{HOSTILE}", ON_THE_WIRE),
        ("/dashboard?period=all", 60_000), ("/", 60_000), ("/search?q=part", 60_000),
    ],
)  # fmt: skip
def test_pages_of_the_sample_are_light(web: Web, path: str, wire: int) -> None:
    found = sizes(web, path)
    assert found[0] < wire
    assert found[1] < IN_ALL


def test_nothing_of_a_heavy_conversation_is_lost(heavy_web: Web) -> None:
    """Everything that its pages left out is at the address that they give."""
    seen = ""
    waiting = pages_of(heavy_web, HEAVY)
    known = set(waiting)
    while waiting:
        text = heavy_web.get(waiting.pop()).text
        seen += text
        for found in re.findall(r'data-load="([^"]+)"|<div data-load><p[^>]*><a href="([^"]+)"', text):  # fmt: skip
            address = "".join(found).replace("&amp;", "&")
            address += ("&" if "?" in address else "?") + "inside=1"
            if address not in known:
                known.add(address)
                waiting.append(address)
    for number in range(CALLS):
        assert f"Thought {number}." in seen
        assert f"first of {number}\n" in seen
    for number in range(60):
        assert f"seen {number}\n" in seen
    for turn in range(TURNS):
        assert f"Question {turn}." in seen
        assert f"Answer {turn}." in seen


def fullest(web: Web) -> str:
    """Return the page that leaves out most."""
    pages = pages_of(web, HEAVY)
    return max(pages, key=lambda page: web.get(page).text.count("data-load"))


def part_of(web: Web) -> str:
    """Return the address of folded content that a page left out."""
    found = re.search(r'<a href="(/session/[^"]+/part/[^"]+)"', web.get(fullest(web)).text)  # fmt: skip
    assert found
    return found[1]


def test_a_part_has_a_page_of_its_own(heavy_web: Web) -> None:
    address = part_of(heavy_web)
    page = heavy_web.get(address)
    assert page.status_code == 200
    assert "<html" in page.text
    assert f'href="/session/{HEAVY}?at=' in page.text
    inside = heavy_web.get(f"{address}?inside=1")
    assert "<html" not in inside.text
    assert inside.text.strip() in page.text
    assert heavy_web.get(address.rpartition("/")[0] + "/9999").status_code == 404
    assert heavy_web.get(f"/session/{HEAVY}/part/none/0").status_code == 404


def test_parts_of_hostile_content_are_escaped(web: Web) -> None:
    text = web.get(f"/session/{HOSTILE}").text
    found = set(re.findall(r'<a href="(/session/[^"]+/part/[^"]+)"', text))
    assert found
    for address in found:
        page = web.get(address)
        assert page.status_code == 200
        for tag in (
            "<img ",
            "<iframe",
            "<form action=https",
            "<h1>broken",
            "<meta http",
        ):
            assert tag not in page.text.partition("<main")[2]
        inside = web.get(f"{address}?inside=1").text
        assert "<script" not in inside


def test_unfolding_brings_what_was_left_out(browser: Browser, heavy_web: Web) -> None:
    tab = Watched(browser, heavy_web)
    page = tab.open(fullest(heavy_web))
    page.locator(".work > summary").last.click()
    left_out = page.locator(".call", has=page.locator("[data-load='']"))
    (number,) = re.findall(r"try (\d+)", left_out.first.inner_text())
    one = page.locator(".call", has_text=re.compile(rf"try {number}\b"))
    one.locator("summary").click()
    expect(one.locator("pre.out").first).to_contain_text(f"first of {number}\n")
    assert one.locator("[data-load]").count() == 0
    # The next error, and a hit of the search in the session, unfold theirs.
    page.keyboard.press("x")
    expect(page.locator(".call.failed pre.err").first).to_be_visible()
    assert tab.complaints == []
    assert tab.outside == []
    tab.close()


def test_find_looks_into_what_was_left_out(browser: Browser, heavy_web: Web) -> None:
    tab = Watched(browser, heavy_web)
    page = tab.open(fullest(heavy_web))
    page.keyboard.press("f")
    page.keyboard.type(f"first of {CALLS - 1}")
    page.keyboard.press("Enter")
    expect(
        page.locator("pre.out", has_text=f"first of {CALLS - 1}")
    ).to_be_in_viewport()
    tab.close()


def test_without_script_a_link_leads_to_what_was_left_out(
    browser: Browser, heavy_web: Web
) -> None:
    tab = Watched(browser, heavy_web, java_script_enabled=False)
    page = tab.open(fullest(heavy_web))
    page.locator(".work > summary").last.click()
    one = page.locator(".call", has=page.locator("[data-load='']")).first
    one.locator("summary").click()
    one.get_by_text("Open this on its own page").click()
    expect(page.locator("main pre.out").first).to_be_visible()
    page.get_by_text("Show in the conversation").click()
    expect(page.locator(".about-session h1")).to_contain_text("Much was said")
    tab.close()


@pytest.mark.parametrize(
    "path", [f"/session/{MAIN}?reveal=1", "/-/login", "/conversations?_reveal=1"]
)
def test_a_page_with_a_secret_or_a_token_is_not_compressed(web: Web, path: str) -> None:
    assert "content-encoding" not in web.get(path).headers


def test_who_takes_no_compressed_answers_gets_none(web: Web) -> None:
    answer = web.get(f"/session/{MAIN}", headers=PLAIN)
    assert "content-encoding" not in answer.headers
    assert "Fix the row parser" in answer.text


def test_a_long_outline_shows_the_prompts_around_the_page(tmp_path: Path) -> None:
    export = Export()
    s = export.session(
        HEAVY, title="Many prompts", start=datetime(2026, 8, 1, 10, tzinfo=UTC)
    )
    for number in range(900):
        s.prompt(f"Prompt number {number}.")
    s.end()
    export.write(tmp_path / "exports" / "conversations.db")
    with serving(tmp_path / "exports", tmp_path / "log") as served:
        for page in (1, 3, 5):
            text = served.get(f"/session/{HEAVY}?page={page}").text
            aside = text.partition('<section class="prompts">')[2]
            listed = list(map(int, re.findall(r">Prompt number (\d+)\.</a>", aside)))
            first = (page - 1) * 200
            assert listed == list(range(listed[0], listed[-1] + 1))
            assert len(listed) == 200
            assert listed[0] <= first <= listed[-1]
            left = [f"{n} {where}" for n, where in ((listed[0], "earlier"), (899 - listed[-1], "later")) if n]  # fmt: skip
            assert re.findall(r">(\d+ (?:earlier|later))</a>", aside) == left
