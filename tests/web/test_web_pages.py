"""The pages as a client without a browser sees them."""

import csv
import io
import json
import re
from urllib.parse import quote

import pytest
from export import PIXEL
from sample import FORK, GITHUB_TOKEN, HOSTILE, LONG, MAIN, RUNNING, VECTORS
from webface import Web

pytest_plugins = ("webfixtures",)

PAGES = (
    "/", "/search?q=parser", "/dashboard?period=all", f"/session/{MAIN}", f"/session/{FORK}",
    f"/session/{HOSTILE}", f"/session/{LONG}?page=3", f"/session/{RUNNING}", "/search",
    f"/session/{MAIN}?agent=a1b2c3d4", f"/session/{MAIN}?all=1", "/?sort=cost", "/runs", "/files",
    "/file?path=/home/me/alpha/src/parser.py",
)  # fmt: skip


def titles(text: str) -> list[str]:
    return re.findall(r'class="title" href="[^"]*">([^<]*)', text)


def test_sessions_are_listed_newest_first_and_grouped_by_day(web: Web) -> None:
    text = web.get("/").text
    assert titles(text)[:2] == [
        "Upgrade the build",
        "Add dark mode to the settings page",
    ]
    assert "Today" in text
    assert "19 sessions" in text


def test_running_sessions_are_marked(web: Web) -> None:
    rows = web.get("/").text.split("<li")
    row = next(row for row in rows if RUNNING in row)
    assert "running" in row


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("project=delta", {"Upgrade the build"}),
        ("model=claude-sonnet-4-5-20250929", {"Investigate the slow query"}),
        ("host=server", {"Upgrade the build"}),
        ("branch=feature%2Frows", {"Investigate the slow query"}),
        ("q=row+parser", {"Fix the row parser", "Fix the row parser, another way"}),
        ("errors=1", {"Fix the row parser"}),
    ],
)
def test_filters_narrow_the_list(web: Web, query: str, expected: set[str]) -> None:
    whole = titles(web.get("/").text)
    found = titles(web.get(f"/?{query}").text)
    assert expected <= set(found)
    assert len(found) < len(whole)


def test_dates_filter_in_the_zone_of_the_viewer(web: Web) -> None:
    empty = web.get("/?since=1999-01-01&until=1999-12-31").text
    assert "No session matches" in empty
    assert titles(web.get("/?since=1999-01-01").text) == titles(web.get("/").text)


def test_unknown_values_in_the_address_are_no_error(web: Web) -> None:
    for query in (
        "since=tomorrow&until=9999-12-31", "sort=%00&after=x~y", "sort=cost&after=a~b",
        "project=%27%3B--", "q=%25_%5C", "by=month", "since=0001-01-01", "errors=9",
    ):  # fmt: skip
        assert web.get(f"/?{query}").status_code == 200, query
    for query in (
        "page=0",
        "page=99999999",
        "page=-1",
        "page=x",
        "at=none",
        "agent=no",
    ):
        assert web.get(f"/session/{MAIN}?{query}").status_code == 200, query


def test_sessions_can_be_sorted_by_cost(web: Web) -> None:
    assert titles(web.get("/?sort=cost").text)[0] == "A long afternoon of refactoring"


def test_a_thread_pairs_each_call_with_its_result(web: Web) -> None:
    text = web.get(f"/session/{MAIN}").text
    assert text.count('class="call') >= 9
    bash = text[text.index("Run the tests") :]
    assert bash.index("FAILED") < bash.index("There it is")
    assert "\x1b" not in text
    assert "Result without a call" not in text


def test_a_turn_says_what_its_work_came_to(web: Web) -> None:
    text = web.get(f"/session/{MAIN}").text
    line = re.search(r'class="line">(.*?)</summary>', text, re.DOTALL)
    assert line
    assert re.sub(r"<[^>]+>|\s+", " ", line[1]).split() == (
        [
            "6",
            "calls",
            "$0.27",
            "1m",
            "4s",
            "1",
            "error",
            "2,720",
            "out",
            "·",
            "234.1k",
            "in",
        ]
    )


def test_subagents_stand_within_their_calls_to_any_depth(web: Web) -> None:
    text = web.get(f"/session/{MAIN}").text
    outer = text.index('data-agent="a1b2c3d4"')
    inner = text.index('data-agent="b2c3d4e5"')
    assert outer < inner < text.index("Nothing more is below")
    assert text.index("Two callers") < text.index("I found it.")
    prompts = re.findall(r'class="who">(\w+)', text)
    assert prompts.count("You") == 3


def test_a_subagents_page_has_its_own_totals(web: Web) -> None:
    text = web.get(f"/session/{MAIN}?agent=a1b2c3d4").text
    totals = re.sub(r"<[^>]+>|\s+", " ", text[text.index('class="totals"') :][:1500])
    assert "Calls 1" in " ".join(totals.split())
    assert "Responses 3" in " ".join(totals.split())
    assert "$0.02" in totals


def test_an_error_of_the_api_is_not_a_failed_call(web: Web) -> None:
    (row,) = [
        one for one in web.get("/").text.split("<li") if f"/session/{MAIN}" in one
    ]  # fmt: skip
    assert ">1 failed<" in row
    assert ">1 API error<" in row
    header = web.get(f"/session/{MAIN}").text.partition('class="totals"')[2]
    assert "<dt>API errors</dt><dd>1</dd>" in header


def test_models_have_their_short_names_in_a_download(web: Web) -> None:
    text = web.get(f"/session/{MAIN}/export.md").text
    (models,) = [line for line in text.splitlines() if line.startswith("- Models: ")]
    assert "glm-4.6" in models
    assert "claude-" not in models


def test_edits_are_shown_to_the_word(web: Web) -> None:
    text = web.get(f"/session/{MAIN}").text
    assert "<ins> + 1</ins>" in text.replace("<ins> </ins><ins>", "<ins>")
    assert re.search(r'class="del" data-n="\d+"><i>-</i>.*<del>', text)


def test_a_fork_names_its_relatives_and_copies_are_marked(web: Web) -> None:
    text = web.get(f"/session/{FORK}").text
    assert f'href="/session/{MAIN}"' in text
    assert "copied from the parent session" in text


def test_a_long_thread_is_cut_at_prompts(web: Web) -> None:
    seen: list[str] = []
    for number in range(1, 6):
        text = web.get(f"/session/{LONG}?page={number}").text
        assert f"Page {number} of 5" in text
        assert "goes on" not in text
        bubbles = text[text.index("reading-column") : text.index("<aside")]
        seen += re.findall(r"<p>Step (\d+): rename", bubbles)
    assert seen == [str(number) for number in range(150)]


def test_a_hit_leads_to_its_message_on_its_page(web: Web) -> None:
    text = web.get("/search?q=%22module+number+140%22").text
    href = re.search(r'href="(/session/[^"]+at=[^"]+)"', text)
    assert href
    path, _, fragment = href[1].replace("&amp;", "&").partition("#")
    thread = web.get(path).text
    assert f'id="{fragment}"' in thread
    assert "Page 5 of 5" in thread


def test_a_message_of_a_subagent_is_shown_on_the_subagents_page(web: Web) -> None:
    text = web.get("/search?q=callers+load+check").text
    href = re.search(r'class="hit" href="(/session/[^"#]+)', text)
    assert href
    thread = web.get(href[1].replace("&amp;", "&"), follow_redirects=True)
    assert "a1b2c3d4" in thread.text.split("<h1>")[1].split("</header>")[0]


def test_search_finds_prompts_and_answers_first_and_tools_on_request(web: Web) -> None:
    assert "Nothing found" in web.get("/search?q=description").text
    assert (
        "<mark>description</mark>" in web.get("/search?q=description&tool_use=1").text
    )
    assert "<mark>missing</mark>" in web.get("/search?q=missing&thinking=1").text


def test_a_plain_question_finds_messages_with_some_of_its_words(web: Web) -> None:
    text = web.get("/search?q=why+does+the+parser+lose+the+banana%3F").text
    assert "have some of them" in text
    assert "<mark>parser</mark>" in text


@pytest.mark.parametrize(
    "question",
    ['"', "*", "AND OR NOT", "a*", "(", "NEAR(", "col:x", "\u0000", "'; --", "日本*",
     "{x}", "^x", "-x", '"half', "parser* OR", "🙂", "x" * 3000, "%", "😀*", "a" * 64 + "*"],
)  # fmt: skip
def test_no_question_is_an_error(web: Web, question: str) -> None:
    for switches in ("", "&order=best&tool_result=1&thinking=1&tool_use=1&text=1"):
        answer = web.get(f"/search?q={quote(question)}{switches}")
        assert answer.status_code == 200
    assert web.get(f"/palette.json?q={quote(question)}").status_code == 200


def test_the_palette_knows_sessions_projects_and_prompts(web: Web) -> None:
    found = web.get("/palette.json?q=row").json()
    assert {"Session", "Prompt"} <= {one["kind"] for one in found}
    assert "Project" in {one["kind"] for one in web.get("/palette.json?q=alp").json()}
    assert len(web.get("/palette.json").json()) == 8


def test_the_dashboard_counts_what_the_facts_hold(web: Web) -> None:
    text = web.get("/dashboard?period=all").text
    sql = "select round(sum(cost_usd), 2), count(*) from fct_api_responses"
    cost, responses = web.get(f"/conversations.json?sql={quote(sql)}").json()["rows"][0]
    assert f"${cost:,.2f}" in text
    assert f"{responses} responses" in text
    assert (
        web.get("/dashboard?since=1999-01-01&until=1999-01-02").text.count(
            '<svg class="chart'
        )
        == 0
    )


def test_every_chart_has_a_table_and_its_sql_runs(web: Web) -> None:
    text = web.get("/dashboard?period=all").text
    links = re.findall(r'href="(/conversations\?sql=[^"]+)"', text)
    assert len(set(links)) == 13
    for link in links:
        answer = web.get(link.replace("/conversations?", "/conversations.json?"))
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"]
    assert text.count("<summary>Table</summary>") == 7


def test_images_are_served_in_a_sandbox(web: Web) -> None:
    text = web.get(f"/session/{MAIN}").text
    key = re.search(r'src="(/image/[^"]+)"', text)
    assert key
    answer = web.get(key[1])
    assert answer.content == PIXEL
    assert answer.headers["content-type"] == "image/png"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_thread_is_exported_in_every_format(web: Web) -> None:
    base = f"/session/{MAIN}/export"
    whole = web.get(f"{base}.json").json()
    lines = [json.loads(line) for line in web.get(f"{base}.jsonl").text.splitlines()]
    assert whole == lines
    assert [one["position"] for one in lines] == list(range(1, len(lines) + 1))
    rows = list(csv.DictReader(io.StringIO(web.get(f"{base}.csv").text)))
    assert len(rows) == len(lines)
    markdown = web.get(f"{base}.md")
    assert markdown.text.startswith("# Fix the row parser\n")
    assert "attachment" in markdown.headers["content-disposition"]
    page = web.get(f"{base}.html").text
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#i-|data:|https?://|mailto:)', page)


def test_a_selection_is_exported_without_a_limit(web: Web) -> None:
    rows = list(csv.DictReader(io.StringIO(web.get("/export/sessions.csv").text)))
    assert len(rows) == 19
    lines = web.get("/export/messages.jsonl?project=gamma").text.splitlines()
    sql = "select count(*) from thread_entries join dim_sessions using (session_id) where project_key = 'gamma'"
    number = web.get(f"/conversations.json?sql={quote(sql)}").json()["rows"][0][0]
    assert len(lines) == number > 900
    assert web.get("/export/messages.json?host=none").json() == []


def test_a_spreadsheet_takes_no_text_for_a_formula(web: Web) -> None:
    rows = csv.DictReader(io.StringIO(web.get(f"/session/{HOSTILE}/export.csv").text))
    assert all(row["text"][:1] not in ("=", "+", "-", "@") for row in rows)


def test_secrets_are_masked_everywhere_unless_asked_for(web: Web) -> None:
    paths = [
        f"/session/{MAIN}", "/search?q=key", "/palette.json?q=thanks",
        *(f"/session/{MAIN}/export.{kind}" for kind in ("html", "md", "json", "jsonl", "csv")),
        "/export/messages.csv?project=alpha", "/",
    ]  # fmt: skip
    for path in paths:
        assert GITHUB_TOKEN not in web.get(path).text, path
    assert GITHUB_TOKEN in web.get(f"/session/{MAIN}?reveal=1").text
    assert GITHUB_TOKEN in web.get(f"/session/{MAIN}/export.md?reveal=1").text


@pytest.mark.parametrize("path", PAGES)
def test_every_page_carries_the_strict_policy(web: Web, path: str) -> None:
    answer = web.get(path)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce
    assert f'<script nonce="{nonce[1]}"' in answer.text
    scripts = answer.text.count("<script")
    assert scripts == answer.text.count(f'<script nonce="{nonce[1]}" src="/-/cclake/')
    assert " style=" not in answer.text
    assert web.get(path).headers["content-security-policy"] != policy


def test_hostile_text_is_shown_as_text(web: Web) -> None:
    text = web.get(f"/session/{HOSTILE}").text
    assert "&lt;script&gt;window.pwned=1&lt;/script&gt;" in text
    for pattern in (r"<img src=x", r"<iframe", r"<svg onload", r'href="javascript:',
                    r'href="//', r"<form action=https", r"<meta http-equiv", r"<base"):  # fmt: skip
        assert not re.search(pattern, text), pattern
    assert "‹U+202E›" in text
    assert "\u202e" not in text
    assert len(VECTORS) >= 16


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]"]
)
def test_a_foreign_host_is_refused(web: Web, host: str) -> None:
    answer = web.get("/", headers={"host": host})
    assert answer.status_code == 403
    assert "CCLAKE_ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize(
    "host", ["localhost:99", "[::1]:3000", "127.0.0.1", "LOCALHOST"]
)
def test_the_loopback_names_are_welcome_on_any_port(web: Web, host: str) -> None:
    assert web.get("/", headers={"host": host}).status_code == 200


def test_the_whole_file_can_not_be_downloaded(web: Web) -> None:
    assert web.get("/conversations.db").status_code in (403, 404)


def test_the_sql_pages_work_and_hide_nothing_else(web: Web) -> None:
    text = web.get("/conversations").text
    assert "fct_api_responses" in text
    assert web.get("/-/databases.json").json()[0]["name"] == "conversations"
    assert len(web.get("/-/databases.json").json()) == 1
    assert web.get("/conversations/dim_sessions").status_code == 200
    policy = web.get("/conversations").headers["content-security-policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert web.get("/_memory").status_code == 404


def test_what_is_not_there_is_said_in_our_own_words(web: Web) -> None:
    answer = web.get("/session/nothing")
    assert answer.status_code == 404
    assert "No such session" in answer.text
    assert web.get("/image/nothing").status_code == 404
    assert web.get("/-/cclake/0/secrets.py").status_code == 404
    assert web.get("/export/messages.exe").status_code == 404


def test_a_line_is_not_shown_while_mongodb_is_away_and_the_page_says_so(
    web: Web,
) -> None:
    answer = web.get("/raw/" + "ab" * 24)
    assert answer.status_code == 503
    assert "MongoDB does not answer" in answer.text
    assert web.get(f"/session/{MAIN}").status_code == 200


def counted(text: str) -> int:
    found = re.search(r'class="sum">(\d+) session', text)
    assert found
    return int(found[1])


@pytest.mark.parametrize(
    "query", ["", "branch=feature%2Frows", "host=laptop", "project=gamma&model=claude-opus-4-6"]
)  # fmt: skip
def test_every_chart_leads_to_the_sessions_behind_it(web: Web, query: str) -> None:
    text = web.get(f"/dashboard?period=all&{query}").text
    panels = text.split('<section class="panel')[1:]
    assert len(panels) == 13
    for panel in panels:
        name = re.search(r"<h2>([^<]*)", panel)
        links = re.findall(r'href="(/\?[^"]+)"', panel)
        assert links or "No call failed" in panel or "/session/" in panel, name
        for link in links[-3:]:
            one = web.get(link.replace("&amp;", "&")).text
            assert counted(one) >= 1, name
            for pair in filter(None, query.split("&")):
                what, _, value = pair.partition("=")
                chosen = value.replace("%2F", "/")
                assert f'<option value="{chosen}" selected>' in one, what


def test_a_cell_a_tool_and_a_failure_narrow_the_list_and_can_be_dropped(
    web: Web,
) -> None:
    text = web.get("/dashboard?period=all").text
    slots = re.findall(r'href="/\?slot=(\d+)"', text)
    assert len(slots) > 10
    for query in (f"slot={slots[0]}", "tool=Read", "kind=command_failed"):
        listed = web.get(f"/?{query}").text
        assert 1 <= counted(listed) < 19, query
        chip = re.search(
            r'class="chip"><input type="hidden" name="(\w+)" value="([^"]+)"', listed
        )
        assert chip
        assert f"{chip[1]}={chip[2]}" == query
        assert f'class="chip"><input type="hidden" name="{chip[1]}"' in listed
        rows = list(
            csv.DictReader(io.StringIO(web.get(f"/export/sessions.csv?{query}").text))
        )
        assert len(rows) == counted(listed)
    for query in ("slot=168", "slot=-1", "slot=x"):
        assert counted(web.get(f"/?{query}").text) == 19
    assert "No session matches" in web.get("/?tool=%27%3B--").text
