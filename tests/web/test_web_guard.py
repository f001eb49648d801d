"""Refuse what is too large, too long, from other sites, or without the token."""

import re
import socket
import sqlite3
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from cclake_web import deadline
from cclake_web.data.blocks import block_of
from harness import wait_for
from sample import LONG, MAIN, ODD_MODEL, sample
from webface import Web, serving

pytest_plugins = ("webfixtures",)

COSTLY = (
    "/conversations?sql=select+1", "/conversations/dim_sessions.json", "/search?q=parser", "/?q=x",
    f"/session/{MAIN}/export.json", f"/session/{MAIN}?reveal=1", "/export/sessions.csv", "/raw/abab",
    f"/live/{MAIN}", "/palette.json", "/dashboard?period=all&project=alpha", f"/session/{MAIN}/find.json?q=x",
    "/image/x", "/-/login", "/export/kept.json", f"/keep?session={MAIN}", "/files", "/file?path=/home/me/alpha/src/parser.py",
)  # fmt: skip
CHEAP = (
    "/",
    f"/session/{MAIN}",
    f"/session/{MAIN}?page=1",
    "/dashboard?period=30",
    "/runs",
)
LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server with memory of its own, whose process is the one that was started."""
    folder = tmp_path_factory.mktemp("alone")
    sample().write(folder / "exports" / "conversations.db")
    with serving(folder / "exports", folder / "web.log", PYTHONPATH="") as served:
        yield served


def ask(web: Web, sql: str, ending: str = ".json") -> httpx.Response:
    return web.get(f"/conversations{ending}", params={"sql": sql})


@pytest.mark.parametrize(
    "sql",
    [
        "select zeroblob(1800000000)", "select hex(zeroblob(100000000))",
        "select group_concat(hex(zeroblob(3000000))) from thread_blocks",
        "with recursive c(n) as (select 1 union all select n + 1 from c limit 900)"
        " select zeroblob(4000000) from c",
    ],
)  # fmt: skip
def test_a_question_gets_no_more_memory_than_a_page_needs(alone: Web, sql: str) -> None:
    answer = ask(alone, sql)
    assert answer.status_code == 400
    assert re.search("too big|too much|too long", answer.text)
    assert len(answer.content) < 10_000
    assert peak_mb(alone) < 700


def peak_mb(web: Web) -> int:
    assert web.process
    status = Path(f"/proc/{web.process.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+)", status)
    assert peak
    return int(peak[1]) // 1024


def test_what_is_done_for_a_page_besides_sql_has_an_end_too() -> None:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute(
        "select 'x' as text, 'text' as block_kind, null as tool_use_id, null as tool_name,"
        " null as tool_input, null as result_json, 0 as is_error, null as image_key"
    ).fetchone()
    with deadline.within(60):
        assert block_of(row, False).text == "x"
    with (
        deadline.within(-1),
        pytest.raises(sqlite3.OperationalError, match="interrupted"),
    ):
        block_of(row, False)
    assert block_of(row, False).text == "x"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "null"},
        {"origin": "https://evil.example"}, {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site", **LINK, "sec-fetch-dest": "iframe"},
    ],
)  # fmt: skip
def test_nothing_is_done_for_a_page_of_another_site(
    web: Web, headers: dict[str, str]
) -> None:
    for path in (*COSTLY, *CHEAP):
        answer = web.get(path, headers=headers)
        assert answer.status_code == 403, path
        assert "other sites" in answer.text


def test_a_link_of_another_site_leads_to_what_costs_nothing(web: Web) -> None:
    link = {"sec-fetch-site": "cross-site", **LINK}
    for path in CHEAP:
        answer = web.get(path, headers=link, follow_redirects=True)
        assert answer.status_code == 200, path
    assert {web.get(path, headers=link).status_code for path in COSTLY} == {403}
    own = {"sec-fetch-site": "same-origin", "origin": web.base}
    assert web.get(COSTLY[0], headers=own).status_code == 200
    assert web.get(COSTLY[0], headers={"sec-fetch-site": "none"}).status_code == 200


def test_the_csv_of_datasettes_own_pages_holds_no_formula(web: Web) -> None:
    sql = (
        "select '=1+1' as \"@head\", ' +2' as b, '\x1b[31m-x' as c, char(9) || '=3' as d,"
        " -5 as e, '＝4' as f, 'a=b' as g"
    )
    lines = ask(web, sql, ".csv").text.splitlines()
    assert lines == ["'@head,b,c,d,e,f,g", "'=1+1,' +2,'-x,'\t=3,-5,'＝4,a=b"]
    models = web.get("/conversations/models.csv").text
    assert "\x1b" not in models
    assert "\u202e" not in models
    assert ODD_MODEL not in models


def test_a_question_that_takes_too_long_is_refused_in_each_form(web: Web) -> None:
    endless = "with recursive c(n) as (select 1 union all select n + 1 from c) select max(n) from c"
    for ending in (".json", ".csv", ""):
        assert ask(web, endless, ending).status_code == 400


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Web]:
    sample().write(tmp_path / "exports" / "conversations.db")
    settings = {"CCLAKE_WEB_TOKEN": "yes", "CCLAKE_HOME": str(tmp_path / "home")}
    with serving(tmp_path / "exports", tmp_path / "log", **settings) as web:
        yield web


def test_with_a_token_the_pages_open_by_their_secret_address(
    locked: Web, tmp_path: Path
) -> None:
    file = tmp_path / "home" / "web-token"
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().strip()
    for path in (*CHEAP, *COSTLY, "/?token=wrong", "/?token="):
        answer = locked.get(path)
        assert answer.status_code == 403, path
        assert token not in answer.text
    entered = locked.get(f"/session/{MAIN}", params={"token": token, "page": "1"})
    assert entered.status_code == 303
    assert entered.headers["location"] == f"/session/{MAIN}?page=1"
    cookie = entered.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=Lax", "Max-Age="):
        assert part in cookie
    assert token not in cookie
    assert locked.get(f"/session/{MAIN}?page=1").status_code == 200
    assert locked.get("/conversations?sql=select+1").status_code == 200
    away = locked.get("//evil.example/", params={"token": token})
    assert not away.headers.get("location", "/").startswith("//")
    with httpx.Client(base_url=locked.base) as other:
        bearer = {"authorization": f"Bearer {token}"}
        assert other.get("/", headers=bearer).status_code == 200
        assert other.get("/", headers={"cookie": "cclake=wrong"}).status_code == 403
        assert other.get("/").status_code == 403


def test_a_client_that_hangs_up_leaves_no_traceback(tmp_path: Path) -> None:
    sample().write(tmp_path / "exports" / "conversations.db")
    log = tmp_path / "log"
    with serving(tmp_path / "exports", log) as web:
        for path in (
            f"/session/{LONG}", f"/session/{LONG}/export.json", "/export/messages.jsonl",
            "/conversations/thread_blocks.csv?_stream=1", f"/live/{MAIN}", "/dashboard?period=30",
        ):  # fmt: skip
            for reads in (0, 1, 2000):
                hang_up(web, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n", reads)
        hang_up(web, "GET / HT", 0)
        form = (
            "POST /-/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\nx"
        )
        hang_up(web, form, 0)
        large = web.client.post("/-/login", content=b"x" * 2_000_000)
        assert large.status_code == 413
        # Each was taken before this one, and what it left would be in the log.
        assert web.get("/").status_code == 200
        wait_for(lambda: "GET / " in log.read_text(), "the log has the last request")
    assert "Traceback" not in log.read_text()


def hang_up(web: Web, request: str, reads: int) -> None:
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(request.encode())
        if reads:
            client.recv(reads)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_many_begin_with_the_same_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cclake_common.settings import web_token

    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "new"))
    assert web_token() == ""
    monkeypatch.setenv("CCLAKE_WEB_TOKEN", "yes")
    found: list[str] = []
    some = [
        threading.Thread(target=lambda: found.append(web_token())) for _ in range(8)
    ]
    for one in some:
        one.start()
    for one in some:
        one.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) > 30
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["web-token"]


def test_a_page_that_takes_too_long_advises_what_helps(tmp_path: Path) -> None:
    path = sample().write(tmp_path / "exports" / "conversations.db")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """drop table dim_projects; create view dim_projects as
            with recursive c(n) as (select 1 union all select n + 1 from c)
            select n as project_key, n as project_name, n as project_path,
            n as first_seen_at, n as last_seen_at from c"""
        )
    with (
        serving(tmp_path / "exports", tmp_path / "log") as web,
        ThreadPoolExecutor() as pool,
    ):
        listed, thread = pool.map(web.get, ("/", f"/session/{MAIN}"))
    assert listed.status_code == thread.status_code == 503
    assert "Add a filter, or try again." in listed.text
    assert "Try again." in thread.text
    assert "filter" not in thread.text.partition("<main")[2]
