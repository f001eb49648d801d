"""Files: of a session, the history of one, those changed most, and the way to them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cclake_web.data.file_operations import EDITS
from export import Export
from sample import GITHUB_TOKEN, HOSTILE, MAIN, ODD_PATH
from webface import Web, serving

pytest_plugins = ("webfixtures",)
PARSER = "/home/me/alpha/src/parser.py"
NOTES = "/srv/notes.md"
START = datetime(2026, 8, 1, 10, tzinfo=UTC)


def patch(added: int, removed: int, *more: str) -> dict[str, object]:
    lines = [f"-old {n}" for n in range(removed)] + [f"+new {n}" for n in range(added)]
    lines += more
    return {"structuredPatch": [{"newStart": 1, "lines": lines}]}


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Two sessions that edit a file 18 times, one of them by a subagent."""
    export = Export()
    s = export.session("first", title="The first", start=START)
    for number in range(16):
        s.prompt(f"Change number {number} of the notes")
        (one,) = s.answer(
            tools=(
                (
                    "Edit",
                    {"file_path": NOTES, "old_string": "a", "new_string": f"b{number}"},
                ),
            )
        )
        s.result(one, "ok", patch(1, 2), error=number == 3)
    s.end()
    later = START + timedelta(days=40)
    s = export.session("second", title="The second", start=later, project="beta")
    s.prompt("Let an agent do it")
    (task,) = s.answer(tools=(("Task", {"description": "Do it", "prompt": "Do it"}),))
    s.subagent(task, "agent1")
    (one, _read) = s.answer(
        tools=(
            ("Write", {"file_path": NOTES, "content": f"key {GITHUB_TOKEN}"}),
            ("Read", {"file_path": f"/srv/{GITHUB_TOKEN}.txt"}),
        )
    )
    s.result(one, f"the key is {GITHUB_TOKEN}", patch(29, 0, f"+key {GITHUB_TOKEN}"))
    s.back()
    (other,) = s.answer(
        tools=(
            (
                "Edit",
                {
                    "file_path": "C:\\src\\Notes.md",
                    "old_string": "x",
                    "new_string": "y",
                },
            ),
        )
    )
    s.result(other, "ok", patch(2, 0))
    s.prompt("Once more")
    (secret,) = s.answer(
        tools=(("Write", {"file_path": f"/srv/{GITHUB_TOKEN}.txt", "content": "x"}),)
    )
    s.result(secret, "ok", patch(1, 0))
    (last,) = s.answer(
        tools=(("Edit", {"file_path": NOTES, "old_string": "x", "new_string": "y"}),)
    )
    s.result(last, "ok", patch(1, 1))
    s.end()
    folder = tmp_path_factory.mktemp("files")
    export.write(folder / "exports" / "conversations.db")
    with serving(folder / "exports", folder / "web.log") as web:
        yield web
    assert '" 500 ' not in (folder / "web.log").read_text()


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_a_thread_lists_its_files_and_each_edit_leads_to_its_message(web: Web) -> None:
    text = web.get(f"/session/{MAIN}").text
    section = text.split('class="files"')[1].split("</details>")[0]
    assert re.match(r"> ?Files \(\d+\) \+3 −2 ", plain(section) + " ")
    assert f'href="/file?path={quote(PARSER, safe="")}"' in section
    assert "src/parser.py" in section
    assert "read 1 time" in section
    edit = re.search(r'<a href="([^"#]+)#(e-[^"]+)">', section)
    assert edit
    page = web.get(edit[1].replace("&amp;", "&")).text
    assert f'id="{edit[2]}"' in page
    assert "details open" in page.replace('class="work" open', "details open")


def test_the_files_of_a_session_are_those_of_its_subagents_too(edited: Web) -> None:
    section = edited.get("/session/second").text.split('class="files"')[1]
    section = section.split("</details>")[0]
    assert "Files (3) +34 −1" in plain(section)
    assert edited.get("/session/second?agent=agent1").text.count('class="files"') == 0
    agents = re.search(r'href="([^"#]+)[^"]*"><time[^>]*>[^<]*</time> \+30', section)
    assert agents
    shown = edited.get(agents[1].replace("&amp;", "&"), follow_redirects=True)
    assert "agent=agent1" in str(shown.url)


def test_a_file_shows_every_edit_with_its_session_and_prompt(edited: Web) -> None:
    first = edited.get(f"/file?path={NOTES}").text
    assert "18 edits in 2 sessions · +46 −31" in plain(first)
    assert "1 failed" in plain(first)
    edits = first.split('<article class="edit')[1:]
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = edited.get(following[1].replace("&amp;", "&")).text
    assert 'rel="next"' not in second
    edits += second.split('<article class="edit')[1:]
    assert len(edits) == 18 == EDITS + 3
    assert "Once more" in edits[0]
    assert "The second" in edits[1]
    assert "Let an agent do it" in edits[1]
    assert "by a subagent" in edits[1]
    numbers = [int(n) for one in edits for n in re.findall(r"Change number (\d+)", one)]
    assert numbers == list(range(15, -1, -1))
    assert all('<pre class="' in one for one in edits)
    assert "not applied" in edits[2 + 12]
    led = re.search(r'class="more-of"><a href="([^"#]+)#(e-[^"]+)"', edits[5])
    assert led
    assert f'id="{led[2]}"' in edited.get(led[1].replace("&amp;", "&")).text


def test_a_file_that_no_session_touched_is_not_found(edited: Web) -> None:
    for path in ("/nothing", "", "%00", "x" * 5000, "'; drop table x --"):
        answer = edited.get(f"/file?path={path}")
        assert answer.status_code == 404, path
        assert "No such file" in answer.text
    assert edited.get("/file").status_code == 404
    assert edited.get(f"/file?path={NOTES}&start=99999").status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["notes.md", "Notes.md", f"{'ghp_'}••••••••.txt"]),
        ("order=sessions", ["notes.md"]),
        ("project=beta", ["notes.md", "Notes.md"]),
        ("project=alpha", ["notes.md"]),
        ("name=src", ["Notes.md"]),
        ("since=2026-09-01&order=edits", ["notes.md"]),
        ("until=2026-08-02", ["notes.md"]),
        ("model=nobody", []),
        ("name=%25", []),
    ],
)  # fmt: skip
def test_the_files_changed_most_of_a_selection(
    edited: Web, query: str, expected: list[str]
) -> None:
    text = edited.get(f"/files?{query}").text
    names = re.findall(r"<b>([^<]+)</b>", text.split("<main")[1])
    assert names[: len(expected)] == expected
    if not expected:
        assert "No file was changed in this selection." in text


def test_counts_of_a_file_are_those_of_the_chosen_days(edited: Web) -> None:
    rows = {
        query: plain(edited.get(f"/files?{query}").text.split("<tbody>")[1])
        for query in ("until=2026-08-02", "since=2026-09-01")
    }
    assert "notes.md /srv/ 16 1 failed 1 +15 −30" in rows["until=2026-08-02"]
    assert "notes.md /srv/ 2 1 +31 −1" in rows["since=2026-09-01"]


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("notes.md", NOTES), ("note", NOTES), ("srv/notes.md", NOTES), ("'notes.md'", NOTES),
        (NOTES, NOTES), ("src/Notes.md", "C:\\src\\Notes.md"), ("notes*", NOTES),
    ],
)  # fmt: skip
def test_a_name_of_a_file_in_the_search_offers_its_page(
    edited: Web, typed: str, path: str
) -> None:
    text = edited.get("/search", params={"q": typed}).text
    offered = text.split('class="offered"')[1].split("</nav>")[0]
    assert f'href="/file?path={quote(path, safe="")}"' in offered
    found = edited.get("/palette.json", params={"q": typed}).json()
    assert path.replace("\\", "/").rpartition("/")[2] in [
        one["text"] for one in found if one["kind"] == "File"
    ]


def test_words_that_name_no_file_offer_none(edited: Web) -> None:
    for typed in ("other/notes.md", "two words", "no", "%", "/", "tes.md", "ghp_"):
        answer = edited.get("/search", params={"q": typed})
        assert answer.status_code == 200
        assert 'class="offered"' not in answer.text, typed


def test_secrets_in_files_and_in_their_names_are_masked(edited: Web) -> None:
    secret = f"/srv/{GITHUB_TOKEN}.txt"
    for path in (
        "/files", f"/file?path={NOTES}", "/session/second", "/search?q=ghp_a1",
        "/palette.json?q=ghp_a1",
    ):  # fmt: skip
        assert GITHUB_TOKEN not in edited.get(path).text, path
    assert "••••" in edited.get("/files").text
    assert GITHUB_TOKEN in edited.get(f"/file?path={NOTES}&reveal=1").text
    assert "••••" in edited.get(f"/file?path={secret}").text


def test_hostile_names_of_files_are_shown_as_text(web: Web) -> None:
    odd = quote(ODD_PATH, safe="")
    for path in ("/files", f"/file?path={odd}", f"/session/{HOSTILE}"):
        text = web.get(path).text
        assert "&lt;script&gt;window.pwned=1" in text, path
        assert "<script>window" not in text, path
        assert "\u202e" not in re.sub(r'value="[^"]*"', "", text), path
    hostile = quote('"><script>window.pwned=1</script>')
    for path in (f"/files?name={hostile}&order={hostile}", f"/file?path={hostile}"):
        assert "<script>window" not in web.get(path).text


def test_pages_of_files_are_closed_to_other_paths(edited: Web, tmp_path: Path) -> None:
    """A path is a value of a column; no file of this machine is opened."""
    secret = tmp_path / "secret.txt"
    secret.write_text("not for the pages")
    answer = edited.get("/file", params={"path": str(secret)})
    assert answer.status_code == 404
    assert "not for the pages" not in answer.text
