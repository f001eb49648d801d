"""Content that hides secrets from rules, times that no calendar has, hostile texts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cclake_common.masking import MASK, mask, mask_value
from cclake_web.render.markdown import markdown
from export import Export
from webface import Web, serving

START = datetime(2026, 8, 1, 10, tzinfo=UTC)
GITHUB = "ghp_" + "a1B2c3D4e5F6" * 3
KEY = "sk-ant-api03-" + "Zq9" * 12
PEM = "".join(f"MIIEvQ{n:04d}{'Ab0' * 18}\n" for n in range(25))
ODD_TIMES = [
    "0001-01-01T00:00:00.000Z",
    "1800-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59.000Z",
]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    work = tmp_path_factory.mktemp("odd")
    export = Export()
    first = export.session("aaaa", title=f"use {GITHUB} please", start=START)
    first.prompt("hi")
    first.answer("ok")
    first.end()
    fork = export.session(
        "bbbb", title=None, start=START, parent_session_id="aaaa", relation="fork"
    )
    fork.prompt(f"key {KEY}")
    whole = f"-----BEGIN RSA PRIVATE KEY-----\n{PEM}-----END RSA PRIVATE KEY-----\n"
    fork.prompt(f"here is\n{whole}deploythething now")
    fork.answer(tools=(("Write", {"content": f"first\n{KEY}\nlast"}),))
    fork.end()
    loose = export.session("cccc", title="loose", start=START)
    loose.prompt("go")
    loose.agent = "agent1"
    task = "y" * 90 + f" {GITHUB} tail"
    loose.entry("agent_prompt", [{"block_kind": "text", "text": task}])
    loose.agent = "agent2"
    loose.entry("agent_prompt", [{"block_kind": "text", "text": "go"}])
    export.add(
        "dim_agents", session_id="cccc", agent_id="agent2", agent_type="<b>kind</b>",
        description="y" * 90 + f" {GITHUB} tail",
    )  # fmt: skip
    loose.end()
    odd = export.session("dddd", title="odd times", start=START)
    for _ in ODD_TIMES:
        odd.prompt("when")
        odd.answer("then")
    odd.end()
    for table, column in (
        ("thread_entries", "said_at"),
        ("fct_messages", "said_at"),
        ("search_documents", "said_at"),
        ("fct_api_responses", "responded_at"),
    ):
        rows = [r for r in export.rows[table] if r["session_id"] == "dddd"]
        for number, row in enumerate(rows):
            row[column] = ODD_TIMES[number % len(ODD_TIMES)]
    for row in export.rows["dim_sessions"]:
        if row["session_id"] == "dddd":
            row["started_at"], row["ended_at"] = ODD_TIMES[0], ODD_TIMES[2]
    export.write(work / "exports" / "conversations.db")
    with serving(work / "exports", work / "web.log") as web:
        yield web


@pytest.mark.parametrize(
    "path",
    [
        "/", "/session/aaaa", "/session/bbbb", "/session/cccc",
        "/session/cccc?agent=agent2",
        "/session/aaaa/export.html", "/session/bbbb/export.html",
        "/search?q=first+last&tool_use=1", "/palette.json?q=key",
        "/conversations/thread_blocks.json?_shape=array",
        "/conversations/thread_blocks",
    ],
)  # fmt: skip
def test_no_page_shows_a_secret(web: Web, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 200
    for secret in (GITHUB[:20], KEY[:20], "MIIEvQ"):
        assert secret not in answer.text


@pytest.mark.parametrize("asked", ["deploythething", "END RSA PRIVATE KEY"])
def test_an_excerpt_of_a_hit_shows_no_rest_of_a_secret(web: Web, asked: str) -> None:
    answer = web.get("/search?q=" + asked.replace(" ", "+"))
    assert 'class="hit"' in answer.text
    assert "MIIEvQ" not in answer.text


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize(
    "path",
    ["/", "/?sort=cost", "/dashboard?period=30", "/search?q=when", "/session/dddd",
     "/session/dddd/export.html"],
)  # fmt: skip
def test_times_that_no_calendar_has_break_no_page(
    web: Web, path: str, zone: str
) -> None:
    answer = web.get(path, headers={"cookie": f"tz={zone}"})
    assert answer.status_code == 200


def test_a_secret_behind_an_escaped_newline_is_found() -> None:
    assert KEY not in mask(f'{{"content": "first\\n{KEY}"}}')
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-123"
    assert mask(f"token {jwt}\n") == f"token eyJh{MASK}\n"
    assert jwt not in mask(f'"a\\n{jwt}"')


def test_texts_made_to_take_long_do_not() -> None:
    hostile = "eyJ" * 100_000
    assert mask(hostile) == hostile
    assert "http" in markdown("http://a[b" * 6_000)
    assert "<pre " in markdown("```java\n" + "\n" * 19_000 + "```")


def test_values_nested_deep_are_hidden() -> None:
    deep: Any = KEY
    for _ in range(900):
        deep = [deep]
    assert KEY not in str(mask_value(deep))


@pytest.mark.parametrize("day", ["0001-01-01", "0500-01-01", "0999-12-31"])
def test_a_first_day_before_the_year_1000_leaves_nothing_out(
    web: Web, day: str
) -> None:
    assert web.get(f"/?since={day}").text.count('class="title"') >= 3
