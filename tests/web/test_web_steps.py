"""The steps of docs/face.md that need a key or the palette."""

from playwright.sync_api import expect
from sample import MAIN
from webface import Watched

pytest_plugins = ("webfixtures",)


def test_a_phrase_is_read_in_its_place_after_three_steps(tab: Watched) -> None:
    page = tab.open("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("the slice drops")
    expect(page.locator(".palette li").first).to_contain_text("the slice drops")
    page.keyboard.press("Enter")
    said = page.locator(".say:target", has_text="the slice drops the last line")
    expect(said).to_be_in_viewport()
    assert tab.complaints == []


def test_a_key_downloads_the_conversation(tab: Watched) -> None:
    page = tab.open(f"/session/{MAIN}")
    with page.expect_download() as download:
        page.keyboard.press("d")
    assert download.value.suggested_filename == f"cclake-{MAIN}.html"
    # "g d" goes to the dashboard, and downloads nothing.
    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page.locator("h1")).to_have_text("Dashboard")
