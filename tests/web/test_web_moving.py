"""From one session to the next within the list that it was opened from."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from cclake_web.data.filters import SORTS, Filters
from cclake_web.live import merge
from export import Export, publish_in_place
from playwright.sync_api import Browser, expect
from sample import HOSTILE, MAIN
from webface import Watched, Web

pytest_plugins = ("webfixtures",)


def titles(text: str) -> list[str]:
    return re.findall(r'class="title" href="[^"]*">([^<]*)', text)


def neighbours(web: Web, address: str) -> tuple[str, str]:
    """Return the addresses above and below a session, "" at the ends."""
    text = web.get(address).text
    found = {
        name: href.replace("&amp;", "&")
        for name, href in re.findall(r'class="to-(\w+)" href="([^"]+)"', text)
    }
    return found.get("previous", ""), found.get("next", "")


@pytest.mark.parametrize(
    "query", ["", "project=alpha", "errors=1&sort=cost", "model=claude-opus-4-6&sort=turns"]
)  # fmt: skip
def test_the_whole_list_is_walked_in_its_order_and_back(web: Web, query: str) -> None:
    listed = web.get(f"/?{query}").text
    order = [
        href.replace("&amp;", "&")
        for href in re.findall(r'class="title" href="([^"]*)"', listed)
    ]
    walked, at = [], order[0]
    assert neighbours(web, at)[0] == ""
    while at:
        walked.append(at)
        following = neighbours(web, at)[1]
        assert not following or neighbours(web, following)[0] == at
        at = following
    assert walked == order
    assert len(walked) > 3


def test_a_session_outside_the_selection_has_its_place_in_it(web: Web) -> None:
    above, below = neighbours(web, f"/session/{MAIN}?project=gamma")
    whole = [
        re.search(r"/session/([^?]+)", href)
        for href in (above, below)
        if href.endswith("?project=gamma")
    ]
    assert whole
    assert all(one and one[1] != MAIN for one in whole)


def test_the_list_is_kept_by_every_link_within_the_thread(web: Web) -> None:
    query = "project=gamma&since=2001-01-01"
    listed = web.get(f"/?{query}").text
    href = re.search(r'class="title" href="(/session/44444444[^"]*)"', listed)
    assert href
    text = web.get(href[1].replace("&amp;", "&")).text.replace("&amp;", "&")
    assert f'class="all" href="/?{query}"' in text
    turned = re.findall(r'rel="next" href="([^"]+)"', text)
    assert turned
    assert all(query in one for one in turned)
    assert "gamma, from 2001-01-01" in text


def test_the_list_beside_the_thread_is_asked_for_and_marks_its_place(web: Web) -> None:
    assert 'class="beside"' not in web.get(f"/session/{MAIN}").text
    cookies = {"cookie": "beside=1"}
    text = web.get(f"/session/{MAIN}?project=alpha", headers=cookies).text
    rows = text.split('class="beside"')[1].split("</nav>")[0].split("<li>")[1:]
    named = [re.sub(r"<small>.*", "", row) for row in rows]
    listed = titles(web.get("/?project=alpha").text)
    assert [re.sub(r"<[^>]+>", "", row).strip() for row in named] == listed
    (here,) = [row for row in rows if 'aria-current="page"' in row]
    assert "Fix the row parser" in here


def test_hostile_titles_stand_beside_a_thread_as_text(web: Web) -> None:
    cookies = {"cookie": "beside=1"}
    text = web.get(f"/session/{MAIN}?errors=1&sort=cost", headers=cookies).text
    assert f"/session/{HOSTILE}?errors=1&amp;sort=cost" in text
    assert "<script>window" not in text
    odd = {"project": '"><script>window.pwned=1</script>', "q": "<b>\u202e"}
    text = web.get(f"/session/{MAIN}?{urlencode(odd)}", headers=cookies).text
    assert "<script>window" not in text
    assert "\u202e" not in text


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Sessions of which some have the same time, the same cost or none."""
    export = Export()
    start = datetime(2026, 8, 1, 10, tzinfo=UTC)
    for number in range(12):
        s = export.session(
            f"{number % 4}-{number}", start=start + timedelta(hours=number % 3)
        )
        s.prompt("Go on.")
        if number % 2:
            s.answer("Done.", cost=0.1 * (number % 3))
        s.end()
    path = export.write(tmp_path_factory.mktemp("places") / "conversations.db")
    publish_in_place(
        path,
        "delete from agg_session_metrics where session_id like '%3'",
        "update dim_sessions set ended_at = null, started_at = null"
        " where session_id = '1-5'",
    )
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        yield db


@pytest.mark.parametrize("sort", SORTS)
def test_neighbours_are_those_of_the_list_in_every_order(
    places: sqlite3.Connection, sort: str
) -> None:
    from cclake_web.data.sessions import page

    filters = Filters(sort=sort)
    order = [row["session_id"] for row in page(places, filters)[0]]
    assert len(order) == 12
    for at, session_id in enumerate(order):
        above, below = merge.around(places, None, filters, session_id, 3)
        assert [row["session_id"] for row in above] == order[max(0, at - 3) : at][::-1]
        assert [row["session_id"] for row in below] == order[at + 1 : at + 4]


@pytest.mark.browser
def test_keys_go_to_the_next_session_and_the_list_keeps_its_place(
    browser: Browser, web: Web
) -> None:
    tab = Watched(browser, web, viewport={"width": 1440, "height": 420})
    page = tab.open("/")
    page.locator(".sessions .title", has_text="Fix the row parser").first.click()
    expect(page.locator(".beside")).to_have_count(0)
    page.get_by_role("button", name="List").click()
    expect(page.locator(".beside")).to_be_visible()
    place = """one => one.getBoundingClientRect().top
        - one.closest('.beside').getBoundingClientRect().top"""
    following = page.locator(".beside [aria-current]").locator("xpath=../following::a")
    before = following.first.evaluate(place)
    title = following.first.locator("span").inner_text()
    page.keyboard.press("Shift+J")
    expect(page.locator(".beside [aria-current] span")).to_have_text(title)
    here = page.locator(".beside [aria-current]")
    assert abs(here.evaluate(place) - before) < 2
    page.keyboard.press("Shift+K")
    expect(page.locator("h1")).to_contain_text("Fix the row parser")
    page.set_viewport_size({"width": 1200, "height": 800})
    expect(page.locator(".beside")).to_be_hidden()
    assert tab.complaints == []
    tab.close()


@pytest.mark.browser
def test_the_key_of_errors_unfolds_the_failed_call(tab: Watched) -> None:
    page = tab.open(f"/session/{MAIN}")
    failed = page.locator(".call.failed").first
    expect(failed).not_to_be_visible()
    page.keyboard.press("x")
    expect(failed).to_be_in_viewport()
    expect(failed.get_by_text("FAILED tests/test_parser.py")).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_find_in_session_covers_no_button_of_the_header(
    browser: Browser, web: Web, width: int
) -> None:
    tab = Watched(browser, web, viewport={"width": width, "height": 844})
    page = tab.open(f"/session/{MAIN}")
    page.keyboard.press("f")
    page.keyboard.type("row")
    expect(page.locator(".finder li").first).to_be_visible()
    covered = page.evaluate(
        """() => {
            const box = document.querySelector('.finder').getBoundingClientRect();
            return [...document.querySelectorAll('.acts > *, .acts > details > summary')]
                .map(one => one.getBoundingClientRect())
                .filter(one => one.width && one.right > box.left && one.left < box.right
                    && one.bottom > box.top && one.top < box.bottom).length;
        }"""
    )
    assert covered == 0
    tab.close()


def test_the_page_of_an_agent_is_titled_by_what_it_was_asked(web: Web) -> None:
    text = web.get(f"/session/{MAIN}?agent=a1b2c3d4").text
    head = text.split("<h1>")[1].split("</header>")[0]
    assert head.startswith("Find every caller of read_rows and report.</h1>")
    assert "Subagent" in head
    assert "a1b2c3d4" in head
    assert "<title>Find every caller of read_rows" in text
    assert "<h1>Subagent nobody</h1>" in web.get(f"/session/{MAIN}?agent=nobody").text
