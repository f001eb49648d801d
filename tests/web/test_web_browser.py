"""The pages in a real Chromium: hostile text, keys, folds, and accessibility."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from datasette_auth_passwords.utils import hash_password
from playwright.sync_api import Browser, Page, expect
from sample import FORK, HOSTILE, LONG, MAIN, ODD_PATH, RUNNING, VECTORS
from webface import Watched, Web, serving

pytest_plugins = ("webfixtures",)

pytestmark = pytest.mark.browser
_WIDE = """[...document.querySelectorAll('body *')].filter(one =>
    document.documentElement.scrollWidth > innerWidth
    && one.getBoundingClientRect().right > innerWidth + 1
    && one.getBoundingClientRect().width).map(one => one.outerHTML.slice(0, 90))"""
_OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true)"
_DRAWN = """() => new Promise(done => requestAnimationFrame(
    () => requestAnimationFrame(() => setTimeout(done))))"""
# What no page of ours has but by an attack.
_ODD = (
    "iframe, object, embed, base, meta[http-equiv], math, marquee, video, template, "
    "noscript, form:not([action^='/']):not([method]), [autofocus]:not(input[type=search]), "
    + ", ".join(
        f"[on{event}]"
        for event in ("error", "load", "toggle", "begin", "focus", "click", "mouseover")
    )
)
# Texts and attributes in which a character does what nobody sees.
_UNSEEN = r"""(() => {
    const odd = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff]/;
    const found = [];
    const texts = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) if (odd.test(texts.currentNode.data)) found.push(texts.currentNode.data.slice(0, 80));
    const free = new Set(["value", "href", "id", "data-session"]);
    for (const one of document.querySelectorAll("*"))
        for (const { name, value } of one.attributes)
            if (!free.has(name) && odd.test(value)) found.push(`${name}=${value.slice(0, 80)}`);
    return found;
})()"""
_HREFS = "all => all.map(a => new URL(a.getAttribute('href'), location).href)"
SIGHTS: tuple[tuple[Literal["light", "dark"], int], ...] = (
    ("light", 1440),
    ("dark", 390),
)
TEAM = f"""
[[user]]
name = "anna"
password = "{hash_password("open sesame", iterations=1000)}"
reads = "all"
"""
FILE = "/file?path=/home/me/alpha/src/parser.py"
KEEP = f"/keep?session={HOSTILE}"
ODD_FILE = f"/file?path={quote(ODD_PATH)}"
PAGES = (
    "/", "/search?q=window", "/search?q=window&tool_use=1&tool_result=1&thinking=1",
    "/compare", "/compare?period=all&a_branch=%22%3E%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E",
    "/dashboard?period=30", "/dashboard?period=all&branch=%22%3E%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E",
    f"/session/{HOSTILE}", f"/session/{HOSTILE}?all=1&page=2",
    f"/session/{MAIN}", f"/session/{FORK}", f"/session/{LONG}", "/?errors=1&sort=errors",
    "/search?q=%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E", "/session/%3Cimg%20src=x%3E",
    "/?q=%22%3E%3Cscript%3Ewindow.pwned=1%3C/script%3E", "/conversations",
    KEEP, "/?starred=1", "/files", FILE, ODD_FILE, "/search?q=parser.py", f"/session/{MAIN}?project=%3Cb%3Ebeta%3C%2Fb%3E",
    "/runs", f"/session/{HOSTILE}?page=99", f"/session/{HOSTILE}?page=3&reveal=1",
    "/?sort=cost&by=hour", "/search?q=onerror&order=best&tool_use=1", "/raw/abab",
    "/conversations/models", "/conversations/thread_blocks?_facet=tool_name&_size=20",
    "/conversations/dim_sessions", "/conversations/thread_blocks?_size=100",
)  # fmt: skip


@pytest.fixture(scope="module")
def plain(browser: Browser, web: Web) -> Iterator[Watched]:
    """A tab of which no test keeps anything but the page."""
    watched = Watched(browser, web)
    yield watched
    watched.close()


def test_nothing_of_a_log_runs_and_nothing_is_requested(
    tab: Watched, subtests: pytest.Subtests
) -> None:
    assert len(set(VECTORS)) >= 25
    for path in PAGES:
        with subtests.test(path):
            tab.complaints.clear()
            page = tab.open(path)
            page.evaluate(_OPEN_ALL)
            # What opens with a fold is drawn, and what it brought has run.
            page.evaluate(_DRAWN)
            assert page.evaluate("window.pwned") is None
            assert tab.outside == []
            # Here is no MongoDB, and no page of a session that there is not.
            missing = ("404", "503") if path.startswith("/raw") else ("404",)
            said = [t for t in tab.complaints if not any(code in t for code in missing)]
            assert said == []
            if "/conversations" not in path:
                assert page.locator("script:not([nonce]):not([src])").count() == 0
            assert page.locator(_ODD).count() == 0
            for href in page.eval_on_selector_all("a[href]", _HREFS):
                known = (tab.web.base, "http://", "https://", "mailto:")
                assert href.startswith(known), href
            assert page.evaluate(_UNSEEN) == []


def test_a_standalone_export_needs_nothing_and_runs_nothing(
    browser: Browser, web: Web, tmp_path: Path
) -> None:
    file = tmp_path / "thread.html"
    file.write_bytes(web.get(f"/session/{HOSTILE}/export.html").content)
    context = browser.new_context()
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("window.pwned") is None
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert page.get_by_text("<script>window.pwned=1</script>").count() > 0
    context.close()


def test_a_fold_opens_and_a_call_shows_its_result(tab: Watched) -> None:
    page = tab.open(f"/session/{MAIN}")
    bash = page.locator(".call", has_text="Run the tests")
    expect(bash).not_to_be_visible()
    page.locator(".work > summary").first.click()
    expect(bash).to_be_visible()
    bash.locator("summary").click()
    expect(bash.get_by_text("FAILED tests/test_parser.py")).to_be_visible()


def test_a_link_to_a_message_in_a_fold_unfolds_it(tab: Watched) -> None:
    page = tab.open(f"/session/{MAIN}")
    ids = page.eval_on_selector_all(".call[id]", "all => all.map(one => one.id)")
    page = tab.open(f"/session/{MAIN}#{ids[2]}")
    expect(page.locator(f"#{ids[2]}")).to_be_in_viewport()


def test_keys_go_from_turn_to_turn_and_fold(tab: Watched) -> None:
    page = tab.open(f"/session/{LONG}")
    start = page.evaluate("scrollY")
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.wait_for_function(f"scrollY > {start}")
    second = page.evaluate("scrollY")
    page.keyboard.press("p")
    page.wait_for_function(f"scrollY < {second}")
    page.keyboard.press("e")
    assert page.locator(".work:not([open])").count() == 0
    page.keyboard.press("e")
    assert page.locator(".work[open]").count() == 0
    page.keyboard.press("]")
    page.wait_for_url("**page=2*")
    page.keyboard.press("x")
    expect(page.locator(".failed").first).to_be_in_viewport()


def test_the_list_of_keys_opens_and_closes(tab: Watched) -> None:
    page = tab.open("/")
    page.keyboard.press("?")
    expect(page.locator("dialog.keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()


def test_ctrl_k_finds_a_prompt_and_goes_there(tab: Watched) -> None:
    page = tab.open("/")
    page.keyboard.press("Control+k")
    expect(page.locator(".palette li")).to_have_count(8)
    page.keyboard.type("module number 77")
    expect(page.locator(".palette li").first).to_contain_text("Step 77")
    page.keyboard.press("Enter")
    page.wait_for_url("**/session/**")
    expect(page.locator(".bubble", has_text="Step 77:")).to_be_in_viewport()


def test_the_title_goes_with_the_reader(tab: Watched) -> None:
    page = tab.open(f"/session/{LONG}")
    expect(page.locator(".past")).to_be_hidden()
    page.keyboard.press("End")
    expect(page.locator(".past")).to_have_text("A long afternoon of refactoring")


def test_the_resume_command_is_copied(tab: Watched) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab.open(f"/session/{MAIN}")
    page.get_by_role("button", name="Resume command").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"claude --resume {MAIN}"


def test_an_image_opens_large_and_closes(tab: Watched) -> None:
    page = tab.open(f"/session/{MAIN}")
    page.locator("a.shot").first.click()
    image = page.locator("dialog.lightbox img")
    expect(image).to_be_visible()
    assert image.evaluate("one => one.naturalWidth") == 1
    image.click()
    expect(page.locator("dialog")).to_have_count(0)


def test_a_bar_says_what_it_is_and_filters(tab: Watched) -> None:
    page = tab.open("/dashboard?period=30")
    page.locator(".chart.bars a").last.hover()
    expect(page.locator(".tip")).to_contain_text("$")
    page.locator(".chart.bars a").last.click()
    page.wait_for_url("**since=*")
    expect(page.locator(".sessions li").first).to_be_visible()


def test_choosing_a_filter_asks_at_once(tab: Watched) -> None:
    page = tab.open("/")
    page.get_by_label("Project").select_option("delta")
    page.wait_for_url("**project=delta*")
    assert "since" not in page.url
    expect(page.locator(".sessions li", has_text="Upgrade the build")).to_be_visible()


def test_times_are_those_of_the_viewers_zone(browser: Browser, web: Web) -> None:
    shown = []
    for zone in ("UTC", "Asia/Tokyo"):
        tab = Watched(browser, web, timezone_id=zone)
        tab.open("/")
        tab.page.wait_for_load_state("load")
        page = tab.open("/")
        shown.append(page.locator(".sessions time").first.inner_text())
        tab.close()
    hours = [int(text[:2]) for text in shown]
    assert (hours[1] - hours[0]) % 24 == 9


def test_reading_works_without_script(browser: Browser, web: Web) -> None:
    tab = Watched(browser, web, java_script_enabled=False)
    page = tab.open("/")
    page.get_by_role("link", name="Fix the row parser", exact=True).click()
    expect(page.get_by_text("I found it.")).to_be_visible()
    page.locator(".work > summary").first.click()
    expect(page.locator(".call", has_text="Run the tests")).to_be_visible()
    tab.close()


@pytest.mark.parametrize("path", ["/", f"/session/{MAIN}", "/search?q=parser", "/dashboard?period=30",
                                  f"/session/{HOSTILE}", "/files", FILE, ODD_FILE, KEEP, "/conversations/models"])  # fmt: skip
def test_a_phone_needs_no_sideways_scrolling(plain: Watched, path: str) -> None:
    plain.page.set_viewport_size({"width": 390, "height": 844})
    page = plain.open(path)
    page.evaluate(
        "document.querySelectorAll('details:not(.menu)').forEach(d => d.open = true)"
    )
    assert page.evaluate(_WIDE) == []
    header = page.locator("header.top").bounding_box()
    assert header
    assert header["height"] < 60


@pytest.mark.parametrize(
    "path", ["/", f"/session/{MAIN}", "/search?q=parser", "/dashboard?period=30", f"/session/{RUNNING}",
             "/raw/abab", "/runs", "/files", FILE, KEEP, f"/session/{LONG}?page=2", "/compare",
             f"/session/{LONG}/cost", f"/session/{MAIN}?all=1", "/search?q=re:parser", "a part", "/conversations", "/conversations/models",
             "/conversations/thread_blocks?_size=5", "/session/nothing"]
)  # fmt: skip
def test_axe_finds_no_fault(plain: Watched, path: str) -> None:
    page = plain.open(part(plain.web) if path == "a part" else path)
    page.evaluate(
        "document.querySelectorAll('details:not(.menu)').forEach(d => d.open = true)"
    )
    assert faults(page) == []


def test_axe_finds_no_fault_where_users_of_a_team_sign_in(
    browser: Browser, web: Web, tmp_path: Path
) -> None:
    (tmp_path / "team.toml").write_text(TEAM)
    settings = {"CCLAKE_HOME": str(tmp_path), "CCLAKE_WEB_TEAM": "yes"}
    with serving(web.exports, tmp_path / "log", **settings) as team:
        tab = Watched(browser, team)
        page = tab.open("/-/login")
        expect(page.get_by_label("Password")).to_be_visible()
        assert faults(page) == []
        tab.close()


def test_a_theme_is_chosen_and_kept(browser: Browser, web: Web) -> None:
    tab = Watched(browser, web, color_scheme="light")
    page = tab.open("/")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Theme: system").click()
    assert page.evaluate(paper) == light
    page.get_by_role("button", name="Theme: light").click()
    dark = page.evaluate(paper)
    assert dark != light
    tab.open("/dashboard?period=30")
    assert page.evaluate(paper) == dark
    page.get_by_role("button", name="Theme: dark").click()
    assert page.evaluate(paper) == light
    assert tab.complaints == []
    tab.close()


def part(web: Web) -> str:
    """The address of folded content that its page left out."""
    text = web.get(f"/session/{HOSTILE}").text
    found = re.search(r'<a href="(/session/[^"]+/part/[^"]+)"', text)
    assert found
    return found[1]


def faults(page: Page) -> list[str]:
    """Return what axe finds in both schemes and both widths, each once."""
    script = files("axe_playwright_python") / "axe.min.js"
    page.evaluate(script.read_text("utf-8"))
    found = []
    for scheme, width in SIGHTS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            f"{scheme}, {width}: {one['id']}: {node['target']} {node['html'][:120]}"
            for one in result["violations"]
            for node in one["nodes"][:4]
        ]
    return found
