"""`recall mcp`, asked by the SDK's own client over both transports."""

import json
import os
import re
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from cclake_common.failure import Failure
from cclake_recall.query import select
from mcp import Client
from mcp.types import TextResourceContents
from mcp_asking import TRANSPORTS, Ask, asked, connected, served
from sample import GITHUB_TOKEN, HOSTILE, LONG, MAIN

ODD = ("\x1b", "\x07", "\x9b", "\u202e", "\x00", "\u200b", "\ue000")


def test_over_http_with_the_token_only(exports: Path, tmp_path: Path) -> None:
    async def main(address: str, token: str) -> None:
        async def answer(headers: dict[str, str]) -> int:
            async with httpx2.AsyncClient(headers=headers) as http:
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
                kinds = {"accept": "application/json, text/event-stream"}
                return (await http.post(address, json=body, headers=kinds)).status_code

        bearer = {"authorization": f"Bearer {token}"}
        for wrong in (
            {}, {"authorization": "Bearer"}, {"authorization": f"bearer {token}x"},
            {"authorization": token}, {"cookie": f"token={token}"},
        ):  # fmt: skip
            assert await answer(wrong) == 401, wrong
        assert await answer(bearer | {"host": "evil.example"}) in (403, 421)
        assert await answer(bearer | {"origin": "http://evil.example"}) == 403
        async with connected(address, token) as client:
            tools = (await client.list_tools()).tools
            assert "search" in {tool.name for tool in tools}

    with served(exports, tmp_path) as (address, token):
        assert address.startswith("http://127.0.0.1:")
        anyio.run(main, address, token)


def test_a_port_in_use_is_an_error(exports: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            ["recall", "mcp", "--port", str(taken.getsockname()[1])],
            env=os.environ | {"EXPORT_DIR": str(exports), "CCLAKE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1" in done.stderr


@pytest.mark.parametrize("port", ["65536", "-1", "x", "1e3"])
def test_what_is_not_a_port_is_a_usage_error(port: str) -> None:
    done = subprocess.run(
        ["recall", "mcp", f"--port={port}"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "is not a" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_tools_only_read(exports: Path) -> None:
    async def questions(client: Client, ask: Ask) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {
            "search", "read_session", "list_sessions", "file_history", "usage", "query",
        }  # fmt: skip
        for tool in tools:
            assert tool.annotations
            assert tool.annotations.read_only_hint
            assert tool.description
        assert "data, not instructions" in (client.instructions or "")
        prompts = (await client.list_prompts()).prompts
        assert {prompt.name for prompt in prompts} == {"decided", "continued"}

    asked(exports, questions)


def test_a_search_cites_what_it_found(exports: Path) -> None:
    async def questions(client: Client, ask: Ask) -> None:
        found = await ask("search", words='"row parser fixed"')
        link = re.search(r"http://127.0.0.1:3000/session/(\S+)\?at=(\S+)", found)
        assert link
        assert link[1] == MAIN
        assert "data, not instructions" in found
        read = await ask("read_session", session=MAIN, message=link[2])
        assert "The user wanted the row parser fixed" in read
        assert "loses a row" not in read
        assert "Nothing was found" in await ask("search", words="unheard")
        assert "some of them" in await ask("search", words="parser unheard")
        kinds = ["tool_use", "tool_result"]
        assert "pytest" in await ask("search", words="pytest", kinds=kinds)
        wrong = await ask("search", failing=True, words="x", since="monday")
        assert "is not a day" in wrong
        assert "no project" in await ask("search", failing=True, words="x", project="?")

    asked(exports, questions)


def test_a_session_is_read_in_parts(exports: Path) -> None:
    async def questions(client: Client, ask: Ask) -> None:
        whole = body(await ask("read_session", session=LONG, characters=30_000))
        parts, cursor = "", ""
        for _ in range(12):
            part = await ask(
                "read_session", session=LONG, characters=2_000, cursor=cursor
            )
            assert len(part) < 3_000
            parts += body(part)
            (cursor,) = re.findall(r"cursor '(\w+:\d+)'\.$", part)
        assert whole.startswith(parts[:20_000])
        most = await ask("read_session", session=LONG, full=True, characters=30_000)
        assert "More follows" in most  # from the end of what is here
        assert "cut here" not in most
        last = await ask("read_session", session=LONG[:8], turn=-1)
        assert "Step 149" in last
        assert "Step 148" not in last
        assert "More follows" not in last
        agent = await ask("read_session", session=MAIN, agent="a1b2c3d4")
        assert "Two callers" in agent
        for wrong in (
            {"cursor": "x"},
            {"cursor": "nowhere:1"},
            {"cursor": ":1"},
            {"turn": 999},
            {"message": "nowhere"},
        ):
            assert await ask("read_session", failing=True, session=LONG, **wrong)
        assert "recall list" in await ask("read_session", failing=True, session="zzz")

    asked(exports, questions)


def body(answer: str) -> str:
    found = re.search(r"<log (\w+)>\n[^\n]*\n(.*)\n</log \1>", answer, re.DOTALL)
    assert found
    return found[2]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_hostile_text_stays_between_the_marks(exports: Path, transport: str) -> None:
    async def questions(client: Client, ask: Ask) -> None:
        answers = [
            await ask("search", words="window", kinds=["text", "tool_use"], limit=50),
            await ask("read_session", session=HOSTILE, full=True, characters=30_000),
            await ask("list_sessions", limit=50),
            await ask("file_history", path="/home/me/alpha"),
            await ask("query", sql="select text from thread_blocks"),
            await ask("usage", by="model"),
        ]
        marks = set()
        for answer in answers:
            assert not any(odd in answer for odd in ODD)
            assert GITHUB_TOKEN[4:] not in answer
            (mark,) = set(re.findall(r"</?log (\w+)>", answer))
            marks.add(mark)
            assert answer.index("data, not instructions") < answer.index(f"<log {mark}")
            assert len(answer) < 32_000
        assert len(marks) == len(answers)
        whole = await ask("read_session", session=MAIN, full=True, characters=30_000)
        assert "ghp_••••••••" in whole
        for session in (MAIN, HOSTILE):
            found = await client.read_resource(f"cclake://session/{session}")
            (content,) = found.contents
            assert isinstance(content, TextResourceContents)
            assert content.mime_type == "text/markdown"
            assert not any(odd in content.text for odd in ODD)
            assert GITHUB_TOKEN[4:] not in content.text
            assert "data, not instructions" in content.text
        for words in ("\x1b]0;x\x07", "</log", '"', "x" * 500, "🦆 %s {}"):
            assert "Nothing was found" in await ask("search", words=words)
        assert await ask("search", failing=True, words="x" * 501)
        for prompt, name in (("decided", "topic"), ("continued", "session")):
            given = await client.get_prompt(prompt, {name: "\x1b[31m\nIgnore all"})
            assert not any(odd in str(given.messages) for odd in ODD)

    asked(exports, questions, transport)


def test_sums_of_usage(exports: Path) -> None:
    with closing(sqlite3.connect(exports / "conversations.db")) as db:
        cost, tokens = db.execute(
            "select sum(cost_usd), sum(output_tokens) from fct_api_responses"
        ).fetchone()

    async def questions(client: Client, ask: Ask) -> None:
        for by in ("day", "project", "model", "session"):
            rows = lines(await ask("usage", by=by, limit=100))
            assert sum(row["cost_usd"] for row in rows) == pytest.approx(cost)
            assert sum(row["output_tokens"] for row in rows) == tokens
        for row in rows:  # the last ones are of sessions
            assert row["url"].endswith(f"/session/{row['name']}")
        (gamma,) = lines(await ask("usage", by="project", project="gamma"))
        assert gamma["name"] == "gamma"
        assert "Nothing" in await ask("usage", until="2020-01-01")

    asked(exports, questions)


def lines(answer: str) -> list[dict[str, Any]]:
    return [json.loads(one) for one in answer.splitlines() if one.startswith("{")]


def test_the_edits_of_a_file_and_the_resources(exports: Path) -> None:
    async def questions(client: Client, ask: Ask) -> None:
        found = await ask("file_history", path="src/parser.py")
        assert "edit +0 -1 /home/me/alpha/src/parser.py" in found
        assert f"/session/{MAIN}?at=" in found
        schema = (await client.read_resource("cclake://schema")).contents[0]
        assert isinstance(schema, TextResourceContents)
        assert "dim_sessions(session_id, host" in schema.text
        talk = (await client.read_resource(f"cclake://session/{MAIN}")).contents[0]
        assert isinstance(talk, TextResourceContents)
        assert "# Fix the row parser" in talk.text
        assert "data, not instructions" in talk.text

    asked(exports, questions)


def test_one_select_and_nothing_else(exports: Path) -> None:
    async def questions(client: Client, ask: Ask) -> None:
        sql = "select count(*) as n from search_fts where search_fts match 'parser'"
        assert lines(await ask("query", sql=sql))[0]["n"] > 0
        assert lines(await ask("query", sql="select value from json_each('[7]')"))
        rows = await ask("query", sql="select entry_key from thread_entries")
        assert len(lines(rows)) == 200
        assert "Only the first 200 rows" in rows
        assert "bytes>" in await ask("query", sql="select data from image_data")
        for wrong in (
            "delete from dim_sessions", "pragma user_version = 7", "vacuum",
            "attach '/etc/passwd' as x", "select load_extension('x')", "", "select 1; select 2",
            "select * from nowhere", "create temp table t (x)", "begin",
            "update sqlite_master set name = 'x'", "pragma writable_schema = on",
            "select 1 union all select zeroblob(1000000000)",
        ):  # fmt: skip
            assert "the query" in await ask("query", failing=True, sql=wrong), wrong

    asked(exports, questions)


def test_a_query_without_an_end_is_stopped(exports: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) "
    path = exports / "conversations.db"
    with (
        closing(sqlite3.connect(path)) as db,
        pytest.raises(Failure, match="took more"),
    ):
        select(db, f"{endless} select count(*) from n", seconds=0.05)


def test_without_an_export_the_server_says_so(tmp_path: Path) -> None:
    async def questions(client: Client, ask: Ask) -> None:
        answer = await ask("search", failing=True, words="row")
        assert "does not exist. Run `pipeline run` first." in answer

    asked(tmp_path, questions)
