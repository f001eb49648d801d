"""Show unpublished lines in the list, in search and in threads."""

import re
import signal
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from cclake_archive.live.reading import line_of, project_key, project_path
from cclake_archive.live.tables import Tables
from chain import Chain
from export import Export
from harness import Mongod, connect, wait_for
from parity import FIXTURES
from sample import GITHUB_TOKEN, MAIN, RUNNING, VECTORS, sample
from shipper import Shipper, key_of
from webface import Web, serving

FRESH = "77777777-aaaa-4111-8111-777777777777"
AHEAD = 2  # sessions of the sample that end a little ahead of the clock
TITLE = re.compile(r'<a class="title" href="/session/([^"?]+)[^"]*">(.*?)</a>')


class World:
    """A web face over an export, and the archive above it."""

    def __init__(self, web: Web, shipper: Shipper) -> None:
        self.web, self.shipper = web, shipper

    def page(self, path: str) -> str:
        answer = self.web.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def sees(self, path: str, *words: str) -> str:
        """Wait for words on a page; gives the page."""

        def all_there() -> bool:
            return all(word in self.web.get(path).text for word in words)

        wait_for(all_there, f"{words} on {path}")
        return self.page(path)

    def lacks(self, path: str, word: str) -> str:
        """Wait until a word is not on a page; gives the page."""
        wait_for(lambda: word not in self.page(path), f"no {word}")
        return self.page(path)

    def listed(self, query: str = "") -> list[str]:
        """The sessions of a page of the list."""
        return [name for name, _ in TITLE.findall(self.page(f"/{query}"))]

    def publish(self, export: Export, export_id: str) -> None:
        """Publish an export that has all lines."""
        marks = {self.shipper.buffer: self.shipper.seq}
        export.info |= {
            "export_id": export_id,
            "watermarks": orjson.dumps(marks).decode(),
        }
        export.write(self.web.exports / "conversations.db")


@pytest.fixture
def world(tmp_path: Path, mongod: Mongod, mongo_db: str) -> Iterator[World]:
    sample().write(tmp_path / "exports" / "conversations.db")
    with (
        connect(mongod.uri) as client,
        serving(
            tmp_path / "exports",
            tmp_path / "web.log",
            MONGO_URI=mongod.uri,
            MONGO_DB=mongo_db,
            CCLAKE_HOME=str(tmp_path),
        ) as web,
    ):
        yield World(web, Shipper(client[mongo_db]))


def begin(shipper: Shipper, session: str = FRESH, **entry: Any) -> str:
    """Begin a session; returns the uuid of its first prompt."""
    first = str(uuid.uuid4())
    about = {"cwd": "/home/me/gamma", "gitBranch": "trunk", **entry}
    shipper.say("Paint the bikeshed, please.", session, **{"uuid": first, **about})
    call = {"type": "tool_use", "id": "toolu_live1", "name": "Bash", "input": {"command": "mixpaint"}}  # fmt: skip
    content = [{"type": "text", "text": "I mix the colours."}, call]
    said = {"role": "assistant", "id": "msg_1", "model": "claude-opus-4-6", "content": content}  # fmt: skip
    shipper.ship(said, session, **about)
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_live1",
        "content": "vermilion",
    }
    shipper.ship({"role": "user", "content": [result]}, session, **about)
    return first


def test_a_session_that_just_began_is_at_the_top_of_the_list(world: World) -> None:
    assert FRESH not in world.listed()
    begin(world.shipper)
    page = world.sees("/", FRESH)
    # Two of the sample are ahead of the clock.
    assert TITLE.findall(page)[AHEAD] == (FRESH, "Paint the bikeshed, please.")
    row = page[page.index(FRESH) :].partition("</li>")[0]
    assert '<span class="now">running</span>' in row
    assert '<span class="project">gamma</span>' in row
    assert "trunk" in row
    assert "1 new, not yet counted" in page
    sessions = len(sample().rows["dim_sessions"])
    assert f"{sessions} sessions" in page


def test_filters_hold_for_new_sessions_too(world: World) -> None:
    begin(world.shipper)
    (world.web.exports.parent / "accounts.toml").write_text(
        '[[account]]\nname = "Work"\nfolder = "/home/me/gamma"\n'
        '[[account]]\nname = "rest"\n'
    )
    world.sees("/", FRESH)
    for query in (
        "branch=trunk", "host=laptop", "q=bikeshed", f"q={FRESH}", "sort=turns",
        "model=claude-opus-4-6", "since=2020-01-01", "account=work",
    ):  # fmt: skip
        assert FRESH in world.listed(f"?{query}"), query
    for query in (
        "branch=main", "host=server", "q=parser", "errors=1", "tool=Bash",
        "model=claude-sonnet-4-5-20250929", "until=2020-01-01", "project=alpha",
        "account=rest", "account=none",
    ):  # fmt: skip
        assert FRESH not in world.listed(f"?{query}"), query
    assert FRESH in world.page("/search?q=colours+account:work")
    assert FRESH not in world.page("/search?q=colours+account:rest")


def test_a_known_session_moves_to_the_top_once(world: World) -> None:
    before = world.listed()
    assert before[AHEAD] != MAIN
    row = before.index(MAIN)
    world.shipper.say("One more thing.", MAIN)
    wait_for(lambda: world.listed()[AHEAD] == MAIN, "it moves up")
    after = world.listed()
    assert sorted(after) == sorted(before)
    assert [name for name in after if name != MAIN] == before[:row] + before[row + 1 :]
    page = world.page("/")
    assert "not yet counted" not in page
    assert "running" in page[page.index(MAIN) :].partition("</li>")[0]


def test_no_session_is_lost_or_doubled_over_the_pages_of_the_list(
    tmp_path: Path, mongod: Mongod, mongo_db: str
) -> None:
    export = Export()
    for number in range(230):
        one = export.session(f"s{number:03d}", title=f"Number {number}")
        one.prompt("Go")
        one.end()
    export.write(tmp_path / "exports" / "conversations.db")
    settings = {"MONGO_URI": mongod.uri, "MONGO_DB": mongo_db}
    with (
        connect(mongod.uri) as client,
        serving(tmp_path / "exports", tmp_path / "web.log", **settings) as web,
    ):
        world = World(web, Shipper(client[mongo_db]))
        for name in ("s000", "s120", "s229", FRESH):
            world.shipper.say("Here I am.", name)
        world.sees("/", FRESH)
        for sort in ("recent", "cost", "turns", "errors"):
            seen: list[str] = []
            path = f"/?sort={sort}"
            while path:
                page = world.page(path)
                seen += [name for name, _ in TITLE.findall(page)]
                found = re.search(r'rel="next" href="([^"]+)"', page)
                path = found[1].replace("&amp;", "&") if found else ""
            assert len(seen) == len(set(seen)) == 231, sort


def test_a_session_that_just_began_opens_with_its_messages(world: World) -> None:
    begin(world.shipper)
    page = world.sees(
        f"/session/{FRESH}", "Paint the bikeshed", "mixpaint", "vermilion"
    )
    assert "not yet counted" in page
    assert 'class="project" href="/?project=' in page
    assert 'href="#e-' not in page
    assert world.web.get("/session/unknown").status_code == 404
    world.shipper.answer("It is vermilion now.", FRESH)
    world.sees(f"/session/{FRESH}", "It is vermilion now.")


def test_a_known_session_ends_with_its_newer_messages(world: World) -> None:
    path = f"/session/{RUNNING}"
    assert "not yet counted" not in world.page(path)
    world.shipper.say("Use the nightly build.")
    page = world.sees(path, "Use the nightly build.")
    live = page.index('id="live"')
    assert page.index("newest compiler") < live < page.index("Use the nightly build.")
    outline = page[page.index('class="prompts"') :]
    assert "Use the nightly build." in outline
    assert page.count("Upgrade the build to the newest compiler, please.</p>") == 1


def test_a_result_that_came_later_stands_with_its_call(world: World) -> None:
    calls = sample().rows["fct_tool_calls"]
    call = next(row["tool_use_id"] for row in calls if row["session_id"] == RUNNING)
    result = {"type": "tool_result", "tool_use_id": call, "content": "all was built"}
    world.shipper.ship({"role": "user", "content": [result]})
    page = world.sees(f"/session/{RUNNING}", "all was built")
    live = page[page.index('id="live"') :]
    assert 'class="call"' in live
    assert "Result without a call" not in page


def test_long_news_are_cut_into_pages(world: World) -> None:
    for number in range(450):
        world.shipper.say(f"Note number {number}.")
    path = f"/session/{RUNNING}"
    page = world.sees(path, "Page 1 of ")
    wait_for(
        lambda: "Note number 449." in world.page(f"{path}?page=99"), "all are there"
    )
    seen: list[str] = []
    following = path
    while following:
        page = world.page(following)
        main = page.partition("<aside")[0]
        seen += re.findall(r"<p>(Note number \d+\.)</p>", main)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        assert ("data-live=" in page) is not bool(found)
        following = found[1].replace("&amp;", "&") if found else ""
    assert seen == [f"Note number {number}." for number in range(450)]
    # An open page continues with the last ones.
    with httpx.stream("GET", f"{world.web.base}/live/{RUNNING}?part=1") as stream:
        event = next(line for line in stream.iter_lines() if line.startswith("data:"))
    news = orjson.loads(event.removeprefix("data:"))
    assert news["seen"] == 450
    assert "Note number 449." in news["html"]
    assert "Note number 49." not in news["html"]


def test_a_link_to_a_message_holds_before_and_after_it_is_published(
    world: World,
) -> None:
    first = begin(world.shipper)
    key = key_of(first)
    page = world.sees("/search?q=bikeshed", key)
    assert f"/session/{FRESH}?at={key}#e-{key}" in page.replace("&amp;", "&")
    assert f'id="e-{key}"' in world.page(f"/session/{FRESH}?at={key}")
    found = world.web.get("/palette.json?q=bikeshed").json()
    assert [one["kind"] for one in found] == ["Session", "Prompt"]
    assert key in found[1]["href"]


def test_subagents_have_their_own_lines(world: World) -> None:
    begin(world.shipper)
    aside = {"isSidechain": True, "agentId": "abc123"}
    path = f"p/{FRESH}/subagents/agent-abc123.jsonl"
    task = {"role": "user", "content": "Look for brushes."}
    world.shipper.ship(task, FRESH, path, uuid="task", **aside)
    done = {"role": "assistant", "id": "msg_a", "content": [{"type": "text", "text": "Three brushes."}]}  # fmt: skip
    world.shipper.ship(done, FRESH, path, **aside)
    page = world.sees(f"/session/{FRESH}", "Subagents at work", "Look for brushes.")
    assert "Three brushes." not in page
    agent = world.page(f"/session/{FRESH}?agent=abc123")
    assert "Three brushes." in agent
    assert "bikeshed, please.</p>" not in agent
    moved = world.web.get(f"/session/{FRESH}?at={key_of('task')}")
    assert moved.status_code == 302
    assert "agent=abc123" in moved.headers["location"]
    # The call that began it comes back and names it.
    call = {"type": "tool_use", "id": "toolu_task", "name": "Task", "input": {}}
    world.shipper.ship({"role": "assistant", "id": "m3", "content": [call]}, FRESH)
    result = {"type": "tool_result", "tool_use_id": "toolu_task", "content": "ok"}
    world.shipper.ship(
        {"role": "user", "content": [result]},
        FRESH,
        toolUseResult={"agentId": "abc123"},
    )
    page = world.sees(f"/session/{FRESH}", "Three brushes.")
    assert "Subagents at work" not in page


def test_search_finds_the_words_of_new_lines_by_kind_newest_first(world: World) -> None:
    begin(world.shipper)
    world.sees("/search?q=bikeshed", FRESH)
    for word, kind in (("mixpaint", "tool_use"), ("vermilion", "tool_result")):
        assert FRESH not in world.page(f"/search?q={word}")
        assert FRESH in world.page(f"/search?q={word}&{kind}=1")
    assert FRESH in world.page("/search?q=colours&branch=trunk&host=laptop")
    assert FRESH not in world.page("/search?q=colours&branch=main")
    world.shipper.say("The row parser again.")
    page = world.sees("/search?q=parser", "The row <mark>parser</mark> again.")
    hits = re.findall(r'class="hit" href="/session/([^?]+)', page)
    assert hits[0] == RUNNING
    assert MAIN in hits
    assert "Number" not in page


def test_operators_know_new_lines_too(world: World) -> None:
    begin(world.shipper)
    world.sees("/search?q=mixpaint+tool:bash", FRESH)
    for asked in (
        "vermilion+tool:Bash",
        "colours+project:gamma",
        "mixpaint+-error:any&tool_use=1",
    ):
        assert FRESH in world.page(f"/search?q={asked}"), asked
    for asked in (
        "vermilion+tool:Read",
        "colours+-project:gamma",
        "vermilion+error:any",
    ):
        assert FRESH not in world.page(f"/search?q={asked}"), asked
    failed = {
        "type": "tool_result", "tool_use_id": "toolu_live1", "content": "no pigment",
        "is_error": True,
    }  # fmt: skip
    world.shipper.ship({"role": "user", "content": [failed]}, FRESH)
    world.sees("/search?q=pigment+error:any", FRESH)
    # The call failed, too.
    assert FRESH in world.page("/search?q=mixpaint+error:any")
    assert FRESH not in world.page("/search?q=mixpaint+-error:any&tool_use=1")


def hits_of(world: World, path: str) -> list[str]:
    """Return the addresses of all hits, on all pages."""
    hits: list[str] = []
    while path:
        page = world.page(path)
        hits += re.findall(r'class="hit" href="([^"]+)"', page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        path = found[1].replace("&amp;", "&") if found else ""
    return hits


def test_search_turns_its_pages_from_new_lines_to_the_export(world: World) -> None:
    before = hits_of(world, "/search?q=module")
    for number in range(95):
        world.shipper.say(f"Module renamed again {number}.", FRESH)
    world.sees("/search?q=module+renamed", "again 94.")
    hits = hits_of(world, "/search?q=module")
    assert len(before) > 100
    assert len(set(hits)) == len(hits)
    assert all(FRESH in hit for hit in hits[:95])
    assert hits[95:] == before


def test_find_looks_into_new_lines_too(world: World) -> None:
    begin(world.shipper)
    world.sees(f"/session/{FRESH}", "vermilion")
    found = world.web.get(f"/session/{FRESH}/find.json?q=vermilion").json()
    assert [one["who"] for one in found["places"]] == ["Tool output"]


def test_what_is_published_leaves_the_new_lines(world: World) -> None:
    first = begin(world.shipper)
    world.sees(f"/session/{FRESH}", "not yet counted")
    export = sample()
    one = export.session(FRESH, title="Paint the bikeshed", project="gamma")
    one.prompt("Paint the bikeshed, please.", entry_key=key_of(first))
    one.end()
    world.publish(export, "second")
    page = world.lacks(f"/session/{FRESH}", "not yet counted")
    assert page.count("<p>Paint the bikeshed, please.</p>") == 1
    assert world.listed().count(FRESH) == 1
    assert "not yet counted" not in world.page("/")
    hits = re.findall('class="hit"', world.page("/search?q=bikeshed"))
    assert len(hits) == 1
    # Only what is newer than that comes back.
    world.shipper.answer("Shall it be blue?", FRESH)
    page = world.sees(f"/session/{FRESH}", "Shall it be blue?")
    assert page.count("<p>Paint the bikeshed, please.</p>") == 1
    assert "mixpaint" not in page


def test_lines_come_back_when_the_lake_was_rolled_back(world: World) -> None:
    world.shipper.say("Before the rollback.")
    path = f"/session/{RUNNING}"
    world.sees(path, "Before the rollback.")
    world.publish(sample(), "second")
    world.lacks(path, "Before the rollback.")
    export = sample()
    export.info |= {"export_id": "third", "watermarks": '{"b": 0}'}
    export.write(world.web.exports / "conversations.db")
    world.sees(path, "Before the rollback.")


def test_an_entry_that_the_export_has_is_not_shown_again(world: World) -> None:
    export = sample()
    one = export.session("edited", title="Edited in place")
    one.prompt("Rewrite the changelog.", entry_key=key_of("first"))
    one.end()
    export.write(world.web.exports / "conversations.db")
    world.sees("/", "Edited in place")
    # Claude Code rewrote the file: its lines are archived again.
    world.shipper.say("Rewrite the changelog.", "edited", uuid="first")
    world.shipper.answer("The changelog is rewritten.", "edited")
    page = world.sees("/session/edited", "The changelog is rewritten.")
    assert page.count("<p>Rewrite the changelog.</p>") == 1
    hits = re.findall('class="hit"', world.page("/search?q=rewrite+changelog"))
    assert len(hits) == 1


def test_lines_that_a_new_session_copies_are_found_once(world: World) -> None:
    export = sample()
    one = export.session("parent", title="The parent")
    one.prompt("Weld the frame.", entry_key=key_of("weld"))
    one.answer("The frame is welded.", entry_key=key_of("welded"))
    message = export.rows["fct_api_responses"][-1]["message_id"]
    one.end()
    export.write(world.web.exports / "conversations.db")
    world.sees("/", "The parent")
    said = {"role": "assistant", "id": message, "content": [{"type": "text", "text": "The frame is welded."}]}  # fmt: skip
    batch = [
        {"type": "user", "uuid": "weld", "message": {"role": "user", "content": "Weld the frame."}},
        {"type": "assistant", "uuid": "welded", "message": said},
    ]  # fmt: skip
    for line in batch:
        world.shipper.line(
            line | {"sessionId": FRESH, "timestamp": "2026-08-01T10:00:00Z"}
        )
    world.shipper.say("Now paint it.", FRESH)
    page = world.sees(f"/session/{FRESH}", "Now paint it.", "Weld the frame.")
    assert "copied from the parent session" in page
    hits = re.findall(
        r'class="hit" href="/session/([^?]+)', world.page("/search?q=frame")
    )
    assert hits == ["parent", "parent"]


def test_lines_without_a_message_show_nothing(world: World) -> None:
    now = "2026-11-01T10:00:00Z"
    for line in (
        {"type": "file-history-snapshot", "messageId": "x", "snapshot": {}},
        {"type": "queue-operation", "operation": "enqueue", "content": "quux"},
        {"type": "system", "content": "quux", "subtype": "info"},
        {"type": "user", "isMeta": True, "message": {"role": "user", "content": "quux"}},
        {"type": "user", "isSidechain": True, "message": {"role": "user", "content": "quux"}},
        {"type": "ai-title", "aiTitle": "The bikeshed"},
    ):  # fmt: skip
        world.shipper.line({**line, "sessionId": FRESH, "timestamp": now})
    world.shipper.insert(b"r" * 24, {"raw": b"{broken", "error": "not JSON"}, _now())
    world.shipper.insert(b"c" * 24, {"kind": "chunk", "raw": b"quux"}, _now())
    world.shipper.say("a line after them")
    world.sees(f"/session/{RUNNING}", "a line after them")
    assert FRESH not in world.page("/")
    assert world.web.get(f"/session/{FRESH}").status_code == 404
    kinds = "&".join(
        f"{kind}=1" for kind in ("text", "thinking", "tool_use", "context")
    )
    assert "Nothing found" in world.page(f"/search?q=quux&{kinds}")


def test_hostile_lines_are_escaped_and_masked_everywhere(world: World) -> None:
    secret = f"the token {GITHUB_TOKEN} is secret"
    for number, vector in enumerate(VECTORS):
        plain = vector.replace("\0", "")  # MongoDB has no such names
        about = {"cwd": f"/home/{vector}", "gitBranch": vector, "version": vector}
        world.shipper.say(f"{vector} {secret} hostilia", FRESH, **about)
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": vector, "input": {plain: secret}}  # fmt: skip
        said = {
            "role": "assistant",
            "id": f"m{number}",
            "model": vector,
            "content": [call],
        }
        world.shipper.ship(said, FRESH, **about)
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{number}",
            "content": secret,
        }
        world.shipper.ship({"role": "user", "content": [result]}, FRESH, toolUseResult={plain: secret})  # fmt: skip
        path = f"p/{FRESH}/subagents/agent-{number}.jsonl"
        world.shipper.ship(
            {"role": "user", "content": vector}, FRESH, path, agentId=vector
        )
    world.shipper.answer("the end of hostilia", FRESH)
    world.sees(f"/session/{FRESH}?page=99", "the end of hostilia")
    for path in (
        "/", f"/session/{FRESH}", f"/session/{FRESH}?page=99", "/search?q=hostilia",
        "/search?q=secret&tool_use=1&tool_result=1", "/palette.json?q=hostilia",
        f"/session/{FRESH}/find.json?q=secret", f"/session/{FRESH}?agent=1",
    ):  # fmt: skip
        text = world.page(path)
        assert GITHUB_TOKEN not in text, path
        if ".json" not in path:
            for bad in ("<script>window", "<img src=x", "<svg onload", "<iframe"):
                assert bad not in text, (path, bad)
    assert "‹U+202E›" in world.page(f"/session/{FRESH}")
    assert "\u202e" not in world.page(f"/session/{FRESH}")
    assert GITHUB_TOKEN in world.page(f"/session/{FRESH}?reveal=1")


def test_nothing_is_read_again_and_nothing_for_no_news(
    world: World, mongod: Mongod, mongo_db: str
) -> None:
    for number in range(20):
        world.shipper.say(f"Line {number} of twenty.")
    world.sees(f"/session/{RUNNING}", "Line 19 of twenty.")
    with connect(mongod.uri) as client:
        client[mongo_db].command({"profile": 2})
        profile = client[mongo_db].system.profile
        asked = {"ns": f"{mongo_db}.conversations"}
        marks = {"ns": f"{mongo_db}.watermarks", "op": "query"}
        wait_for(
            lambda: world.page("/") and profile.count_documents(marks) >= 3, "asked"
        )
        assert profile.count_documents(asked) == 0
        world.shipper.say("One more.")
        world.sees(f"/session/{RUNNING}", "One more.")
        read = list(profile.find(asked | {"op": "query"}))
        assert [one["nreturned"] for one in read] == [1]
        client[mongo_db].command({"profile": 0})


def test_only_the_newest_of_many_lines_are_kept_and_the_page_says_so(
    world: World, tmp_path: Path
) -> None:
    documents = []
    for number in range(10_050):
        world.shipper.seq += 1
        line = {
            "type": "user", "uuid": f"u{number}", "sessionId": FRESH,
            "message": {"role": "user", "content": f"backlog{number}"},
        }  # fmt: skip
        documents.append({
            "_id": world.shipper.seq.to_bytes(24, "big"), "host": "laptop", "buffer": "b",
            "seq": world.shipper.seq, "kind": "line", "projectId": "p", "entry": line,
            "sessionId": FRESH, "sourceFile": "p/x.jsonl", "ingestedAt": _now(),
            "source": {"file": "00", "gen": 0, "off": 0, "len": 99},
        })  # fmt: skip
    world.shipper.database.conversations.insert_many(documents)
    world.shipper.acknowledge()
    page = world.sees("/search?q=backlog10049", f"/session/{FRESH}")
    assert "only the newest of them are shown" in page
    assert FRESH not in world.page("/search?q=backlog49")
    assert FRESH in world.page("/search?q=backlog50")
    world.publish(sample(), "all")
    world.lacks("/search?q=backlog10049", "only the newest of them")


def test_without_mongodb_pages_are_as_quick_and_say_what_is_missing(
    tmp_path: Path,
) -> None:
    server = Mongod(tmp_path / "mongod").start()
    sample().write(tmp_path / "exports" / "conversations.db")
    try:
        with (
            serving(
                tmp_path / "exports", tmp_path / "web.log", MONGO_URI=server.uri
            ) as web,
            connect(server.uri) as client,
        ):
            world = World(web, Shipper(client.claude_logs))
            begin(world.shipper)
            world.sees(f"/session/{FRESH}", "bikeshed")
            assert server.process
            # It hangs: nothing is refused, and nothing is answered.
            server.process.send_signal(signal.SIGSTOP)
            page = world.sees("/", "MongoDB does not answer")
            assert FRESH in page  # what was read before stays
            waits = [web.get(path).elapsed for path in ("/", "/search?q=row") * 10]
            assert sorted(waits)[5].total_seconds() < 0.25
            server.process.send_signal(signal.SIGCONT)
            world.lacks("/", "MongoDB does not answer")
            server.kill()
            world.sees("/search?q=bikeshed", "MongoDB does not answer", FRESH)
            missing = web.get("/session/unknown")
            assert missing.status_code == 404
            assert "MongoDB does not answer" in missing.text
    finally:
        server.kill()


def test_a_copied_export_misses_no_mongodb(tmp_path: Path) -> None:
    sample().write(tmp_path / "exports" / "conversations.db")
    home = tmp_path / "home"
    home.mkdir()
    with serving(
        tmp_path / "exports", tmp_path / "web.log", MONGO_URI="", CCLAKE_HOME=str(home)
    ) as web:
        for path in ("/", "/search?q=row", "/dashboard") * 2:
            assert "MongoDB does not answer" not in web.get(path).text
        # A private mongod that is down is missed.
        (home / "mongo").mkdir()
    with serving(
        tmp_path / "exports", tmp_path / "web2.log", MONGO_URI="", CCLAKE_HOME=str(home)
    ) as web:
        wait_for(lambda: "MongoDB does not answer" in web.get("/").text, "the hint")


def test_a_session_with_an_odd_name_opens(world: World) -> None:
    name = 'odd/na me"<b>~é'
    begin(world.shipper, name)
    path = f"/session/{quote(name, safe='')}"
    world.sees(path, "Paint the bikeshed")
    assert path in world.page("/")


def _now() -> datetime:
    return datetime.now(UTC)


def test_the_light_reading_agrees_with_gold(
    pricing: Chain, tmp_path: Path, mongod: Mongod, mongo_db: str
) -> None:
    # The exports are shared by all workers; their documents are in one's MongoDB.
    own = Chain(tmp_path, mongod.uri, mongo_db)
    own.archive(FIXTURES / "pricing" / "projects", "laptop")
    with connect(mongod.uri) as client:
        documents = list(client[mongo_db].conversations.find({"kind": "line"}))
    read = [line for one in documents if (line := line_of(one)) and line.kind]
    assert len(read) > 15
    with closing(sqlite3.connect(pricing.exports / "conversations.db")) as export:
        tables = Tables(export)
        tables.add(export, read)
        assert tables.entries(read[0].session_id) == []  # it is all published
        tables.close()
        for line in read:
            row = export.execute(
                """select m.message_kind, m.said_at, s.project_key, m.agent_id
                from fct_messages m join dim_sessions s using (session_id)
                where m.entry_key = ?""",
                (line.key,),
            ).fetchone()
            path = project_path(line.cwd, line.folder)
            found = (line.kind, line.said_at, project_key(path), line.agent_id or None)
            assert found == row, line


def test_from_the_log_to_the_page_and_through_the_pipeline(
    tmp_path: Path, mongod: Mongod, mongo_db: str
) -> None:
    chain = Chain(tmp_path, mongod.uri, mongo_db)
    log = tmp_path / "projects" / "-home-me-alpha" / f"{FRESH}.jsonl"
    log.parent.mkdir(parents=True)
    write(log, "user", "Sharpen the pencils.")
    chain.archive(tmp_path / "projects")
    done = chain.tool("pipeline", "run")
    assert done.returncode == 0, done.stderr
    settings = {"MONGO_URI": mongod.uri, "MONGO_DB": mongo_db}
    path = f"/session/{FRESH}"
    with serving(chain.exports, tmp_path / "web.log", **settings) as web:
        page = web.get(path).text
        assert "Sharpen the pencils." in page
        assert "not yet counted" not in page
        write(log, "assistant", "All pencils are sharp.")
        chain.archive(tmp_path / "projects")
        new = f"{FRESH}?at={key_of('assistant')}#e-"

        def shown_once() -> None:
            page = web.get(path).text
            assert page.count("<p>All pencils are sharp.</p>") == 1
            assert page.count("<p>Sharpen the pencils.</p>") == 1
            assert web.get("/search?q=sharp").text.count(new) == 1

        wait_for(lambda: "not yet counted" in web.get(path).text, "it is shown")
        shown_once()
        done = chain.tool("pipeline", "run")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: "not yet counted" not in web.get(path).text, "it is counted")
        shown_once()


def write(log: Path, kind: str, text: str) -> None:
    """Append an entry to a log; its UUID is its kind."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    content: Any = text if kind == "user" else [{"type": "text", "text": text}]
    entry = {
        "type": kind, "uuid": kind, "sessionId": FRESH, "timestamp": now,
        "cwd": "/home/me/alpha", "message": {"role": kind, "id": "m1", "content": content},
    }  # fmt: skip
    with log.open("ab") as file:
        file.write(orjson.dumps(entry) + b"\n")
