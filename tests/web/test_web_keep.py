"""Stars, labels and notes: kept, shown, filtered by, downloaded."""

import csv
import io
import json
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from cclake_common.kept import Kept, Store
from playwright.sync_api import Browser, expect
from sample import FORK, GITHUB_TOKEN, HOSTILE, MAIN, VECTORS, sample
from webface import Watched, Web, serving

pytest_plugins = ("webfixtures",)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("keep")
    sample().write(folder / "exports" / "conversations.db")
    home = str(folder / "home")
    with serving(folder / "exports", folder / "web.log", CCLAKE_HOME=home) as web:
        yield web
    assert '" 500 ' not in (folder / "web.log").read_text()


@pytest.fixture
def file(served: Web) -> Path:
    """Return where the server keeps stars, labels and notes; nothing is kept yet."""
    path = served.exports.parent / "home" / "kept.db"
    path.unlink(missing_ok=True)
    return path


@pytest.fixture
def keeping(served: Web, file: Path) -> Web:
    return served


def keep(web: Web, **fields: str) -> httpx.Response:
    return web.client.post("/keep", data=fields)


def titles(text: str) -> list[str]:
    return re.findall(r'class="title" href="[^"]*">([^<]*)', text)


def entries(web: Web, session_id: str) -> list[str]:
    """Return the entries of the messages that can be kept."""
    text = web.get(f"/session/{session_id}").text
    return re.findall(r'href="/keep\?session=[^&]+&amp;entry=([^"]+)"', text)


def test_a_star_a_label_and_a_note_are_kept_shown_and_filtered_by(
    keeping: Web, file: Path
) -> None:
    assert not file.exists()  # until something is kept
    assert "No session matches" in keeping.get("/?starred=1").text
    answer = keep(keeping, session=MAIN, starred="1", list="project=alpha&x=%22%3E")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/session/{MAIN}?project=alpha"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    message = entries(keeping, MAIN)[2]
    fields = {"session": MAIN, "entry": message, "labels": " parser,bug  fix ,, parser"}
    answer = keep(keeping, **fields, starred="1", note="Here it was\r\nlost")
    assert answer.headers["location"].endswith(f"?at={message}#e-{message}")
    keep(keeping, session=FORK, labels="parser", note="")
    listed = keeping.get("/").text
    row = listed.split(f'href="/session/{MAIN}"')[1].split("</li>")[0]
    assert "Starred" in row
    assert re.findall(r'class="label"[^>]*>([^<]*)', row) == ["parser", "bug fix"]
    assert titles(keeping.get("/?starred=1").text) == ["Fix the row parser"]
    both = ["Fix the row parser, another way", "Fix the row parser"]
    assert titles(keeping.get("/?label=parser").text) == both
    assert titles(keeping.get("/?q=label:parser").text) == both
    assert titles(keeping.get('/?q=label:"bug fix" row').text) == both[1:]
    assert titles(keeping.get("/?q=is:starred&label=parser").text) == both[1:]
    assert titles(keeping.get("/?label=nothing").text) == []
    assert '<option value="parser">parser (2)' in listed
    following = keeping.get(f"/session/{FORK}?label=parser").text
    assert f'class="to-next" href="/session/{MAIN}?label=parser"' in following
    thread = keeping.get(f"/session/{MAIN}?at={message}").text
    assert 'class="note-of">Here it was\nlost<' in thread
    assert 'aria-pressed="true"' in thread.split('class="star"')[1][:700]
    assert thread.count("Here it was\nlost<") == 1
    section = thread.split('class="keepsakes"')[1].split("</section>")[0]
    assert f"#e-{message}" in section
    found = keeping.get("/export/kept.json").json()
    assert [one["labels"] for one in found] == [[], ["parser", "bug fix"], ["parser"]]


def test_a_star_is_taken_away_and_its_row_says_so(keeping: Web, file: Path) -> None:
    keep(keeping, session=MAIN, starred="1", labels="a", note="b")
    keep(keeping, session=MAIN, starred="0")
    (one,) = keeping.get("/export/kept.json").json()
    assert (one["starred"], one["labels"], one["note"]) == (False, ["a"], "b")
    keep(keeping, session=MAIN, labels="", note="")
    assert keeping.get("/export/kept.json").json() == []
    (row,) = Store(file).rows()
    assert row.is_empty
    assert row.changed_at > one["changed_at"]


def test_what_is_kept_survives_another_export_and_is_not_in_it(keeping: Web) -> None:
    message = entries(keeping, MAIN)[0]
    keep(keeping, session=MAIN, entry=message, labels="stays", note="A note of mine")
    export = sample().write(keeping.exports / "conversations.db")
    with closing(sqlite3.connect(export)) as db:
        tables = db.execute("select group_concat(name) from sqlite_master").fetchone()
        assert "kept" not in tables[0]
    assert b"A note of mine" not in export.read_bytes()
    assert titles(keeping.get("/?label=stays").text) == ["Fix the row parser"]


def test_downloads_contain_what_is_kept(keeping: Web) -> None:
    message = entries(keeping, MAIN)[0]
    keep(keeping, session=MAIN, starred="1", labels="whole, fine", note="All of it")
    keep(keeping, session=MAIN, entry=message, labels="part", note="=1+1")
    rows = csv.DictReader(io.StringIO(keeping.get("/export/sessions.csv").text))
    (row,) = [row for row in rows if row["session_id"] == MAIN]
    assert (row["labels"], row["note"]) == ("whole, fine", "All of it")
    lines = keeping.get(f"/session/{MAIN}/export.jsonl").text.splitlines()
    kept = [one for one in map(json.loads, lines) if "labels" in one]
    assert [(one["entry_key"], one["labels"]) for one in kept] == [(message, ["part"])]
    rows = csv.DictReader(io.StringIO(keeping.get(f"/session/{MAIN}/export.csv").text))
    assert [row["note"] for row in rows if row["note"]] == ["'=1+1"]
    markdown = keeping.get(f"/session/{MAIN}/export.md").text
    assert "- Labels: whole, fine" in markdown
    assert "> part · =1+1" in markdown
    page = keeping.get(f"/session/{MAIN}/export.html").text
    assert "All of it" in page
    assert "part" in page
    assert not re.search(r'(?:src|href)="(?!#i-|data:|https?://|mailto:)', page)
    assert "<form" not in page


def test_the_form_shows_what_is_there_and_works_without_script(keeping: Web) -> None:
    keep(keeping, session=MAIN, labels="one, two", note="\nLine <1>\nLine 2")
    text = keeping.get(f"/keep?session={MAIN}&list=project%3Dalpha").text
    assert 'value="one, two"' in text
    assert ">\nLine &lt;1&gt;\nLine 2</textarea>" in text
    assert 'name="list" value="project=alpha"' in text
    assert "checked" not in text
    for path in (
        "/keep", "/keep?session=none", f"/keep?session={MAIN}&entry=none", "/keep?session=%00",
    ):  # fmt: skip
        answer = keeping.get(path)
        assert answer.status_code == 404, path
    for fields in ({}, {"session": "none"}, {"session": MAIN, "entry": "none"}):
        assert keep(keeping, starred="1", **fields).status_code == 404
    assert len(keeping.get("/export/kept.json").json()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"origin": "null"}, {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"host": "evil.example"},
    ],
)  # fmt: skip
def test_another_site_can_not_keep_anything(web: Web, headers: dict[str, str]) -> None:
    fields = {"session": MAIN, "starred": "1"}
    assert web.client.post("/keep", data=fields, headers=headers).status_code == 403
    assert web.get("/export/kept.json").json() == []


def test_hostile_labels_and_notes_are_text_and_have_limits(keeping: Web) -> None:
    message = entries(keeping, HOSTILE)[0]
    for entry in ("", message):
        keep(
            keeping,
            session=HOSTILE,
            entry=entry,
            labels=",".join(VECTORS),
            note="\n".join(VECTORS) * 20,
        )
    keep(
        keeping,
        session=MAIN,
        labels=",".join(f"l{n}" * 90 for n in range(99)),
        note="x" * 50_000,
    )
    (one,) = [
        one
        for one in keeping.get("/export/kept.json").json()
        if one["session_id"] == MAIN
    ]
    assert len(one["labels"]) == 20
    assert {len(label) for label in one["labels"]} == {60}
    assert len(one["note"]) == 10_000
    for path in (
        "/", "/files", f"/session/{HOSTILE}", f"/session/{HOSTILE}?at={message}", "/?label=%3Cscript%3E",
        f"/keep?session={HOSTILE}&entry={message}", f"/session/{HOSTILE}/export.html",
    ):  # fmt: skip
        text = keeping.get(path).text
        assert "<script>window" not in text, path
        assert "<img src=x" not in text, path
        seen = re.sub(
            r'value="[^"]*"|<textarea.*?</textarea>', "", text, flags=re.DOTALL
        )
        assert "\u202e" not in seen, path


def test_secrets_in_notes_are_masked_but_not_lost(keeping: Web) -> None:
    note = f"the key is {GITHUB_TOKEN}"
    keep(keeping, session=MAIN, note=note)
    for path in ("/", f"/session/{MAIN}", "/export/kept.json", "/export/sessions.csv",
                 f"/session/{MAIN}/export.md"):  # fmt: skip
        assert GITHUB_TOKEN not in keeping.get(path).text, path
    assert note in keeping.get("/export/kept.json?reveal=1").text
    assert note in keeping.get(f"/keep?session={MAIN}").text


def test_a_file_that_is_broken_or_newer_takes_no_page_away(
    keeping: Web, file: Path
) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"no database at all" * 100)
    assert keeping.get("/").status_code == 200
    assert keeping.get(f"/session/{MAIN}").status_code == 200
    answer = keep(keeping, session=MAIN, starred="1")
    assert answer.status_code == 503
    assert "kept.db" in answer.text
    file.unlink()
    with closing(sqlite3.connect(file)) as db:
        db.execute("pragma user_version = 99")
    assert keep(keeping, session=MAIN, starred="1").status_code == 503
    assert "newer version" in keeping.get(f"/keep?session={MAIN}").text


def test_of_two_changes_the_later_counts_whatever_the_clock_says(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "a.db")
    future = Kept("s", "e", True, ("one",), "", "2999-01-01T00:00:00.000000+00:00")
    assert store.merge([future]) == 1
    assert store.merge([future]) == 0
    after = store.change("s", "e", starred=False)
    assert after.changed_at > future.changed_at
    assert after.labels == ("one",)
    older = Kept("s", "e", True, (), "old", "2001-01-01T00:00:00.000000+00:00")
    assert store.merge([older]) == 0
    assert store.rows() == [after]


@pytest.mark.browser
def test_a_message_is_starred_by_a_click_and_a_session_by_a_key(
    browser: Browser, keeping: Web
) -> None:
    tab = Watched(browser, keeping, viewport={"width": 1100, "height": 800})
    page = tab.open(f"/session/{MAIN}?project=alpha")
    page.locator(".answer .say").first.hover()
    star = page.locator(".answer .say .keep").first
    star.click()
    expect(star).to_have_class("keep starred")
    page.keyboard.press("s")
    expect(page.get_by_role("button", name="Starred")).to_be_visible()
    assert page.url.endswith(f"/session/{MAIN}?project=alpha")
    expect(page.locator(".keepsakes li")).to_have_count(1)
    star.hover()
    star.click()
    page.get_by_label("Note").fill("Where it was found")
    page.get_by_label("Labels").fill("found")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".answer .note-of")).to_have_text("Where it was found")
    expect(page.locator(".answer .note-of")).to_be_in_viewport()
    assert tab.outside == []
    assert tab.complaints == []
    tab.close()
