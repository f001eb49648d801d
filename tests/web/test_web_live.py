"""A running session grows as it is written, and a line can be seen as it is."""

import base64
import gzip
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path

import gridfs
import httpx
import orjson
import psutil
import pytest
from bson import Binary
from export import PIXEL, Export
from harness import PATIENCE, Mongod, connect, wait_for
from playwright.sync_api import Browser, expect
from sample import GITHUB_TOKEN, RUNNING, sample
from shipper import Shipper, key_of
from webface import Watched, Web, serving

pytest_plugins = ("webfixtures",)


@pytest.fixture
def shipper(mongod: Mongod, mongo_db: str) -> Iterator[Shipper]:
    with connect(mongod.uri) as client:
        client[mongo_db].conversations.create_index("sessionId")
        yield Shipper(client[mongo_db])


@pytest.fixture
def live(tmp_path: Path, mongod: Mongod, mongo_db: str) -> Iterator[Web]:
    sample().write(tmp_path / "exports" / "conversations.db")
    with serving(
        tmp_path / "exports",
        tmp_path / "web.log",
        MONGO_URI=mongod.uri,
        MONGO_DB=mongo_db,
    ) as web:
        yield web


@pytest.mark.browser
def test_new_lines_appear_on_an_open_page_by_themselves(
    browser: Browser, live: Web, shipper: Shipper
) -> None:
    tab = Watched(browser, live)
    with tab.page.expect_response(lambda answer: "/live/" in answer.url):
        page = tab.open(f"/session/{RUNNING}")
    expect(page.locator(".bubble")).to_contain_text("newest compiler")
    call = {
        "type": "tool_use",
        "id": "toolu_live",
        "name": "Bash",
        "input": {"command": "make all"},
    }
    shipper.ship({"role": "assistant", "id": "m1", "content": [
        {"type": "text", "text": "Now **building** <script>window.pwned=1</script>"}, call,
    ]})  # fmt: skip
    expect(page.locator("#live strong", has_text="building")).to_be_visible()
    entry = page.locator("#live .say").first.get_attribute("id") or ""
    fields = {"session": RUNNING, "entry": entry.removeprefix("e-"), "note": "Watch it"}
    assert live.client.post("/keep", data=fields).status_code == 303
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_live",
        "content": "all built",
    }
    shipper.ship({"role": "user", "content": [result]})
    shipper.ship({"role": "assistant", "id": "m2", "content": [
        {"type": "text", "text": f"Built. The key is {GITHUB_TOKEN}."},
    ]})  # fmt: skip
    expect(page.get_by_text("Built. The key is ghp_")).to_be_visible()
    expect(page.locator("#live .note-of")).to_have_text("Watch it")
    assert GITHUB_TOKEN not in page.content()
    assert page.locator("#live .call").count() == 1
    page.locator("#live .call > summary").click()
    expect(page.get_by_text("all built")).to_be_visible()
    assert page.evaluate("window.pwned") is None
    assert tab.outside == []
    assert tab.complaints == []
    tab.close()


@pytest.mark.browser
def test_images_of_new_lines_are_seen_before_the_pipeline_ran(
    browser: Browser, live: Web, shipper: Shipper
) -> None:
    tab = Watched(browser, live)
    page = tab.open(f"/session/{RUNNING}")
    page.locator(".bubble").wait_for()
    picture = {"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": base64.b64encode(PIXEL).decode(),
    }}  # fmt: skip
    shipper.ship(
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, picture]}
    )
    call = {"type": "tool_use", "id": "toolu_shot", "name": "Screenshot", "input": {}}
    shipper.ship({"role": "assistant", "id": "m1", "content": [call]})
    came = {"type": "tool_result", "tool_use_id": "toolu_shot", "content": [picture]}
    shipper.ship({"role": "user", "content": [came]})
    expect(page.locator("#live .bubble img")).to_be_visible()
    page.locator("#live .call > summary").click()
    shown = page.locator("#live img")
    expect(shown).to_have_count(2)
    expect(shown.last).to_be_visible()
    widths = (
        "all => Promise.all(all.map(async i => (await i.decode(), i.naturalWidth)))"
    )
    assert page.locator("#live img").evaluate_all(widths) == [1, 1]
    answer = live.get(shown.first.get_attribute("src") or "")
    assert answer.content == PIXEL
    assert "sandbox" in answer.headers["content-security-policy"]
    assert tab.complaints == []
    tab.close()


def test_an_image_that_could_hold_a_script_is_not_served_from_its_line(
    live: Web, shipper: Shipper
) -> None:
    parts = [
        {"type": "image", "source": {"type": kind, "media_type": media, "data": data}}
        for kind, media, data in (
            ("base64", "image/svg+xml", "PHN2Zz4="), ("base64", "text/html", "PGI+"),
            ("base64", "image/png", "not base64!"), ("url", "image/png", "aGk="),
            ("base64", "image/png", None), ("base64", None, "aGk="),
        )
    ]  # fmt: skip
    doc_id = shipper.ship({"role": "user", "content": [*parts, "x", {"type": "image"}]})
    for number in range(10):
        assert live.get(f"/line-image/{doc_id}/{number}").status_code == 404
    assert live.get(f"/line-image/{'ab' * 24}/0").status_code == 404
    assert live.get("/line-image/abc/0").status_code == 404


@pytest.mark.browser
def test_the_page_takes_over_what_the_pipeline_has_counted(
    browser: Browser, live: Web, shipper: Shipper
) -> None:
    tab = Watched(browser, live)
    page = tab.open(f"/session/{RUNNING}")
    doc_id = shipper.answer("Half way.", uuid="half")
    expect(page.locator("#live").get_by_text("Half way.")).to_be_visible()
    publish_with(live, shipper, doc_id, "Half way.")
    counted = page.locator(".turn:not(#live .turn)").get_by_text("Half way.")
    expect(counted).to_be_visible()
    expect(page.locator("#live").get_by_text("Half way.")).to_have_count(0)
    tab.close()


@pytest.mark.browser
def test_a_page_without_new_lines_is_left_as_it_is(
    browser: Browser, live: Web, shipper: Shipper
) -> None:
    tab = Watched(browser, live)
    page = tab.open(f"/session/{RUNNING}")
    page.locator(".bubble").wait_for()
    page.evaluate("window.stays = true")
    sample().write(live.exports / "conversations.db")
    shipper.answer("On it.")
    expect(page.locator("#live").get_by_text("On it.")).to_be_visible()
    assert page.evaluate("window.stays") is True
    tab.close()


def publish_with(web: Web, shipper: Shipper, doc_id: str, text: str) -> None:
    export: Export = sample()
    export.info |= {"export_id": "next", "watermarks": f'{{"b": {shipper.seq}}}'}
    key = key_of("half")
    last = [r for r in export.rows["thread_entries"] if r["session_id"] == RUNNING][-1]
    entry = {
        **last,
        "position": last["position"] + 1,
        "entry_key": key,
        "doc_id": doc_id,
    }
    export.add("thread_entries", **entry)
    export.add(
        "thread_blocks",
        entry_key=key,
        session_id=RUNNING,
        block_no=0,
        block_kind="text",
        text=text,
    )
    export.write(web.exports / "conversations.db")


def test_nothing_asks_mongodb_while_no_page_is_open(
    live: Web, shipper: Shipper, mongod: Mongod
) -> None:
    live.get(f"/session/{RUNNING}")
    with connect(mongod.uri) as client:
        counts = []
        for _ in range(4):
            status = client.admin.command("serverStatus")
            counts.append(status["opcounters"]["query"])
            time.sleep(1.5)
    # MongoDB asks itself now and then, but not in every one of these spans.
    assert any(before == after for before, after in pairwise(counts))


def test_an_idle_server_seldom_wakes(tmp_path: Path) -> None:
    sample().write(tmp_path / "conversations.db")
    own = {"PYTHONPATH": ""}  # a process of its own, not one of the fork server
    with serving(tmp_path, tmp_path / "web.log", **own) as web:
        assert web.process
        page = web.get("/")
        assert page.headers["date"].endswith("GMT")

        server = psutil.Process(web.process.pid)

        def wakes() -> int:
            return int(server.num_ctx_switches().voluntary)

        before = wakes()
        time.sleep(4)
        assert wakes() - before < 20  # once a second; uvicorn's own loop wakes 40 times
        later = parsedate_to_datetime(web.get("/").headers["date"])
        assert later > parsedate_to_datetime(page.headers["date"])
        web.process.terminate()
        assert web.process.wait(PATIENCE) in (0, -signal.SIGTERM)


def test_a_stop_does_not_wait_for_open_streams(live: Web, shipper: Shipper) -> None:
    with httpx.stream("GET", f"{live.base}/live/{RUNNING}", timeout=PATIENCE) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry")
        assert live.process
        live.process.terminate()
        assert live.process.wait(PATIENCE) is not None


def test_a_stream_ends_with_a_word_when_mongodb_goes(tmp_path: Path) -> None:
    server = Mongod(tmp_path / "mongod").start()
    sample().write(tmp_path / "exports" / "conversations.db")
    try:
        with (
            serving(
                tmp_path / "exports", tmp_path / "web.log", MONGO_URI=server.uri
            ) as web,
            httpx.stream(
                "GET", f"{web.base}/live/{RUNNING}", timeout=PATIENCE
            ) as stream,
        ):
            lines = stream.iter_lines()
            assert next(lines).startswith("retry")
            server.kill()
            assert "event: away" in list(lines)
            assert web.get(f"/session/{RUNNING}").status_code == 200
    finally:
        server.kill()


def test_a_line_is_shown_as_it_was_written(live: Web, shipper: Shipper) -> None:
    doc_id = shipper.ship({"role": "user", "content": f"the key {GITHUB_TOKEN}"})
    page = live.get(f"/raw/{doc_id}")
    assert page.status_code == 200
    assert "byte 4,711" in page.text
    assert GITHUB_TOKEN not in page.text
    text = live.get(f"/raw/{doc_id}?plain=1&reveal=1").text
    assert GITHUB_TOKEN in text
    assert orjson.loads(text)["message"]["role"] == "user"
    assert live.get("/raw/" + "00" * 24).status_code == 404
    assert live.get("/raw/abc").status_code == 404


def test_raw_and_very_large_lines_are_shown_too(live: Web, shipper: Shipper) -> None:
    now = datetime.now(UTC) - timedelta(minutes=1)
    broken = b'{"type":"user","text":"cut in two<script>'
    shipper.insert(b"r" * 24, {"raw": Binary(broken, 0), "error": "not JSON"}, now)
    large = b'{"big":"' + b"x" * 3_000_000 + b'"}'
    file = gridfs.GridFSBucket(shipper.database, "raw").upload_from_stream("f", large)
    shipper.insert(b"g" * 24, {"raw_file": file}, now)
    page = live.get(f"/raw/{(b'r' * 24).hex()}").text
    assert "cut in two&lt;script&gt;" in page
    assert "not JSON" in page
    whole = live.get(f"/raw/{(b'g' * 24).hex()}?plain=1").content
    assert whole == large
    assert len(gzip.compress(live.get(f"/raw/{(b'g' * 24).hex()}").content)) < 100_000


def test_lines_of_any_shape_do_not_end_the_stream(live: Web, shipper: Shipper) -> None:
    for content in (7, None, [], [7], {"a": 1}, [{"type": 5}], [{"type": "text", "text": 5}],
                    [{"type": "tool_use"}], [{"type": "tool_result", "content": {"x": 1}}]):  # fmt: skip
        shipper.ship({"role": "user", "content": content})
    shipper.ship(
        {"role": "assistant", "content": [{"type": "text", "text": "still here"}]}
    )
    with httpx.stream("GET", f"{live.base}/live/{RUNNING}", timeout=PATIENCE) as stream:
        for line in stream.iter_lines():
            if "still here" in line:
                break
        else:
            raise AssertionError("the stream ended")
    wait_for(lambda: live.get("/").status_code == 200)
