"""Regular expressions, flags and stars in search; stars on the dashboard."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from cclake_common.search import Scope, question
from cclake_web.data import regexp
from export import Export
from sample import GITHUB_TOKEN, LONG, MAIN, sample
from webface import Web, serving

pytest_plugins = ("webfixtures",)

KIND = ("text",)


def snippets(web: Web, q: str, **more: str) -> list[str]:
    text = web.get("/search", params={"q": q, **more}).text
    return re.findall(r'<span class="snippet">(.*?)</span></a>', text, re.DOTALL)


@pytest.mark.parametrize(
    ("q", "marked"),
    [
        (r"re:14[5-6]:\s+rename", ["146: rename", "145: rename"]),
        ('re:"STEP 14[5-6]: ren"', ["Step 146: ren", "Step 145: ren"]),
        (r"re:(?-i)STEP\s14", []),
        (r're:"^two callers: .*check.\.$"', ["Two callers: load and check."]),
        (r"re:new\sname re:x", []),  # the second one is words
        (r"re:numbers?\s14[5-6] rename", ["number 146", "number 145"]),
        (r"re:numbers?\s14[5-6] project:alpha", []),
        (r"re:~*", []),  # nothing is not a place
    ],
)
def test_an_expression_finds_the_newest_texts(
    web: Web, q: str, marked: list[str]
) -> None:
    found = [re.findall("<mark>(.*?)</mark>", one)[0] for one in snippets(web, q)]
    assert found == marked


def test_pages_of_an_expression_continue_each_other(web: Web) -> None:
    found: list[str] = []
    path = f"/search?q={'re:module%5Csnumber'}"
    while path:
        text = web.get(path).text
        found += re.findall(r"rename <mark>module number</mark> (\d+)", text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert found == [str(number) for number in reversed(range(150))]


def test_filters_and_kinds_choose_what_is_searched(web: Web) -> None:
    assert snippets(web, r"re:^git\smv") == []
    assert snippets(web, r"re:git\smv\sa1\b", tool_use="1")
    assert snippets(web, r"re:module\s\d+", project="alpha") == []
    assert snippets(web, r"re:module\s\d+", project="gamma")
    assert snippets(web, r"re:module\s\d+", until="2001-01-01") == []


@pytest.mark.parametrize(
    ("q", "reason"),
    [("re:(a", "missing )"), ("re:(?=x)", "invalid perl operator"), (r"re:(a)\1", "invalid escape"), (f"re:{'x' * 501}", "1 to 500"),
     ("re:" + "[ab]{1000}" * 40, "too long with its repetitions")],
)  # fmt: skip
def test_what_is_not_an_expression_is_said(web: Web, q: str, reason: str) -> None:
    answer = web.get("/search", params={"q": q[:499] if reason[0] != "1" else q})
    assert answer.status_code == 200
    assert "Invalid regular expression" in answer.text
    assert reason in answer.text


def test_an_expression_does_not_reveal_a_secret(web: Web) -> None:
    assert snippets(web, "re:write.the.test,.the.key")
    for part in (GITHUB_TOKEN[:12], "ghp_[a-zA-Z0-9]{8}"):
        assert snippets(web, f"re:{part}") == []


@pytest.fixture
def long_text(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    export = Export()
    s = export.session("s", start=datetime(2026, 8, 1, 10, tzinfo=UTC))
    for _ in range(30):
        s.prompt("a" * 200_000)
    s.end()
    path = export.write(tmp_path / "conversations.db")
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def test_no_expression_takes_long(long_text: sqlite3.Connection) -> None:
    """In a backtracking engine this one takes longer than the universe has existed."""
    wanted = regexp.expression("(a+)+$b|(a|aa)+c|(.*)*x")
    begin = time.monotonic()
    found = regexp.find(long_text, wanted, "", KIND, Scope(), limit=40)
    assert found.rows == []
    assert time.monotonic() - begin < 60


def test_a_place_is_found_after_many_empty_ones(long_text: sqlite3.Connection) -> None:
    wanted = regexp.expression("(aa$)?")
    found = regexp.find(long_text, wanted, "", KIND, Scope(), limit=1, seconds=60)
    assert len(found.rows) == 1


def test_when_time_is_over_the_search_says_how_far_it_came(
    long_text: sqlite3.Connection,
) -> None:
    wanted = regexp.expression("nothing like it")
    below, rounds = None, 0
    while True:
        found = regexp.find(
            long_text, wanted, "", KIND, Scope(), limit=40, below=below, seconds=0
        )
        rounds += 1
        if found.following is None:
            break
        assert found.looked_to == found.following // 256
        below = found.following
    assert rounds == 31  # one text each time, and then none


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("rm -rf", '"rm" "rf"'), ("ls -l -9", '"ls" "l" "9"'), ("-x", '"x"'),
        ("error -timeout", '("error") NOT ("timeout")'),
        ('find "-name"', '"find" "-name"'), ("a-b", '"a-b"'),
        ('find -"some words"', '("find") NOT ("some words")'),
        ("error --force", '"error" "--force"'),
    ],
)  # fmt: skip
def test_only_a_minus_before_a_word_excludes(text: str, match: str) -> None:
    assert question(text).match == match


@pytest.fixture
def starred(tmp_path: Path) -> Iterator[Web]:
    sample().write(tmp_path / "exports" / "conversations.db")
    settings = {"CCLAKE_HOME": str(tmp_path / "home")}
    with serving(tmp_path / "exports", tmp_path / "log", **settings) as web:
        form = {"session": MAIN, "starred": "1", "labels": "to read", "note": ""}
        assert web.client.post("/keep", data=form).status_code == 303
        yield web


def test_stars_and_labels_choose_on_the_dashboard_and_in_search(starred: Web) -> None:
    everything = starred.get("/dashboard?period=all").text
    chosen = starred.get("/dashboard?period=all&starred=1").text
    labelled = starred.get("/dashboard?period=all&label=to+read").text

    def cost(text: str) -> str:
        found = re.search(r"<dt>Cost</dt><dd>([^<]+)", text)
        assert found
        return found[1]

    with closing(sqlite3.connect(starred.exports / "conversations.db")) as db:
        sql = "select sum(cost_usd) from fct_api_responses where session_id = ?"
        (dollars,) = db.execute(sql, (MAIN,)).fetchone()
    assert cost(chosen) == cost(labelled) == f"${dollars:.2f}" != cost(everything)
    assert ">Fix the row parser<" in chosen
    assert "A long afternoon" not in chosen
    assert 'name="starred" value="1" checked' in chosen
    # The SQL behind a chart counts the same.
    links = re.findall(r'/conversations\?sql=([^"]*)"', chosen)
    (sql,) = {one for one in map(unquote_plus, links) if "share_final" in one}
    answer = starred.get("/conversations.json", params={"sql": sql, "_shape": "array"})
    assert sum(row["cost_usd"] or 0 for row in answer.json()) == pytest.approx(dollars)
    for q in ("module", r"re:module"):
        assert snippets(starred, q)
        assert snippets(starred, q, starred="1") == []
        assert snippets(starred, f"{q} label:other") == []
    assert snippets(starred, "parser is:starred")
    assert snippets(starred, "re:parser", label="to read")


def test_the_dashboard_says_where_the_cache_was_missed(tmp_path: Path) -> None:
    export = Export()
    s = export.session(LONG, title="Long pauses", start=datetime.now(UTC))
    s.prompt("Begin.")
    s.answer("Begun.")
    s.prompt("Continue after lunch.")
    s.answer("Continued.", after=3 * 3600)
    s.end()
    for row, (write, read) in zip(
        export.rows["fct_api_responses"], ((90_000, 0), (90_000, 0)), strict=True
    ):
        row |= {
            "cache_write_tokens": write, "cache_write_5m_tokens": write,
            "cache_read_tokens": read, "cache_write_5m_usd": 0.5, "input_usd": 0.0,
            "cache_write_1h_usd": 0.0, "cache_read_price": 0.5, "price_multiplier": 1,
        }  # fmt: skip
    export.write(tmp_path / "exports" / "conversations.db")
    with serving(tmp_path / "exports", tmp_path / "log") as web:
        text = web.get("/dashboard?period=all").text
        panel = text.partition("Where the cache was missed")[2].partition("</section>")[
            0
        ]
        assert "after a pause of 3h" in panel
        assert f"/session/{LONG}?at=" in panel
        early = web.get("/dashboard?since=2020-01-01&until=2020-01-02").text
        assert "Where the cache was missed" not in early


def test_the_palette_leads_to_what_was_said(web: Web) -> None:
    found = web.get("/palette.json?q=drops the last").json()
    (answer,) = [one for one in found if one["kind"] == "Answer"]
    assert "the slice drops the last line" in answer["text"]
    assert f"/session/{MAIN}?at=" in answer["href"]
    # Words as they stand come before the same words anywhere.
    found = web.get("/palette.json?q=rename module").json()
    texts = [one["text"] for one in found if one["kind"] in ("Prompt", "Answer")]
    assert "rename module number" in texts[0]
    prompts = [one["kind"] for one in web.get("/palette.json?q=module").json()]
    assert prompts == sorted(prompts, reverse=True)  # prompts before answers
    assert GITHUB_TOKEN not in web.get("/palette.json?q=the key is").text
