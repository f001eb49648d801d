"""Users of a team see their own sessions, on every route, and nothing of others."""

import asyncio
import json
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cclake_web.state import state_of
from cclake_web.team import limits
from cclake_web.team.attempts import FREE, Attempts
from cclake_web.team.routes import DOORS, Door, door
from cclake_web.team.rules import team_of
from datasette_auth_passwords.utils import hash_password
from export import PIXEL, Export
from harness import Mongod, connect, wait_for
from sample import FORK, GITHUB_TOKEN, MAIN, sample
from shipper import Shipper
from webface import Web, serving

FOREIGN = "99999999-aaaa-4111-8111-999999999999"
CLAIMED = "aaaaaaaa-aaaa-4111-8111-aaaaaaaaaaaa"
COPY = "bbbbbbbb-aaaa-4111-8111-bbbbbbbbbbbb"
LIVE, LIVE_OWN = (f"{one * 8}-aaaa-4111-8111-{one * 12}" for one in "cd")
UNKNOWN = "00000000-aaaa-4111-8111-000000000000"
# In every text, name and path of the sessions that ben may not read.
WORD = "zanzibar"
IMAGE = PIXEL + b"\0"
FILE = f"/home/eve/{WORD}/plan.py"
RULES = f"""
user_header = "X-Forwarded-User"

[[user]]
name = "anna"
reads = "all"

[[user]]
name = "ben"
password = "{hash_password("open sesame", iterations=1000)}"
projects = ["/home/me/alpha"]

[[user]]
name = "cleo"
hosts = ["eve"]

[[user]]
name = "dora"
accounts = ["client"]
"""
ACCOUNTS = '[[account]]\nname = "Client"\nfolder = "/home/me/gamma"\n'


def exported(path: Path) -> Path:
    export = sample()
    _foreign(export, FOREIGN)
    # Its session is of alpha by its first line, but another project and host answered.
    s = export.session(CLAIMED, title=f"Claimed {WORD}", host="aaa")
    s.host, s.project = "eve", WORD
    s.prompt(f"Claim {WORD}.")
    s.answer(f"Claimed {WORD}.")
    s.project = "alpha"
    s.end()
    s = export.session(
        COPY, title="A copy of mine", parent_session_id=FOREIGN, relation="fork"
    )
    own = [one for one in export.rows["thread_entries"] if one["session_id"] == FOREIGN]
    for row in own[:2]:
        copied = {name: row[name] for name in ("entry_key", "owner_session_id")}
        s.entry(row["message_kind"], [], is_copy=1, **copied)
    s.prompt("Now something else.")
    s.answer("Something else is done.")
    s.end()
    return export.write(path)


def _foreign(export: Export, session_id: str) -> None:
    s = export.session(
        session_id, title=f"The {WORD} plan", project=WORD, host="eve", branch=WORD,
        model=f"claude-{WORD}",
    )  # fmt: skip
    s.prompt(f"Where is {WORD}, module parser? The key is {GITHUB_TOKEN}.", image=IMAGE)
    (one,) = s.answer(
        f"The {WORD} module is here.", thinking=WORD,
        tools=(("Edit", {"file_path": FILE, "old_string": "a", "new_string": WORD}),),
    )  # fmt: skip
    s.result(one, WORD, {"filePath": FILE, "structuredPatch": []})
    (task,) = s.answer(tools=((f"mcp__{WORD}__ask", {"prompt": WORD}),))
    s.subagent(task, "feedbeef")
    s.answer(f"A subagent of {WORD}.")
    s.back()
    s.end()


class Pages:
    """The application in this process, with a loop of its own."""

    def __init__(self, exports: Path, **settings: str) -> None:
        from datasette.app import Datasette

        self.loop = asyncio.new_event_loop()
        given = {"EXPORT_DIR": str(exports), "MONGO_URI": "mongodb://127.0.0.1:9"}
        before = dict(os.environ)
        os.environ.update(given | settings)
        try:
            self.datasette = Datasette([], settings={"num_sql_threads": 2})
            state_of(self.datasette)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def close(self) -> None:
        if waiting := asyncio.all_tasks(self.loop):
            self.loop.run_until_complete(asyncio.wait(waiting))
        self.loop.close()
        state_of(self.datasette).lines.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        asked = self.datasette.client.request(method, path, **options)
        found: httpx.Response = self.loop.run_until_complete(asked)
        return found

    def get(self, path: str, user: str = "", **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers=self.as_user(user) | headers)

    def as_user(self, user: str) -> dict[str, str]:
        if not user:
            return {}
        secret = state_of(self.datasette).config.proxy_secret
        return {"x-cclake-secret": secret, "x-forwarded-user": user}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("team")
    exported(found / "exports" / "conversations.db")
    (found / "home").mkdir()
    (found / "home" / "team.toml").write_text(RULES)
    (found / "home" / "accounts.toml").write_text(ACCOUNTS)
    return found


@pytest.fixture(scope="module")
def pages(folder: Path) -> Iterator[Pages]:
    home = str(folder / "home")
    found = Pages(folder / "exports", CCLAKE_HOME=home, CCLAKE_WEB_TEAM="yes")
    yield found
    found.close()


@pytest.fixture(scope="module")
def own(folder: Path) -> Iterator[Pages]:
    """The pages without a team over an export that has only what ben may read."""
    path = folder / "own" / "conversations.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(folder / "exports" / "conversations.db")) as db:
        db.execute("vacuum into ?", (str(path),))
    with closing(sqlite3.connect(path)) as db:
        tables = [
            name
            for (name,) in db.execute(
                """select t.name from sqlite_master t join pragma_table_info(t.name) c
                where t.type = 'table' and c.name = 'session_id'"""
            )
        ]
        mine = f"""select session_id from dim_sessions where project_key = 'alpha'
            and session_id <> '{CLAIMED}'"""
        kept = [row[0] for row in db.execute(mine)]
        marks = ", ".join("?" * len(kept))
        for name in tables:
            db.execute(f"delete from {name} where session_id not in ({marks})", kept)
        db.executescript(
            f"""delete from thread_entries where owner_session_id = '{FOREIGN}';
            update dim_sessions set parent_session_id = null, relation = null
            where parent_session_id = '{FOREIGN}';
            delete from dim_projects where project_key <> 'alpha';
            insert into search_fts(search_fts) values ('rebuild');
            pragma journal_mode = wal;"""
        )
    found = Pages(path.parent, CCLAKE_HOME=str(folder / "nobody"))
    yield found
    found.close()


def entry_of(folder: Path, session: str) -> str:
    with closing(sqlite3.connect(folder / "exports" / "conversations.db")) as db:
        sql = "select max(entry_key) from fct_messages where session_id = ?"
        return str(db.execute(sql, (session,)).fetchone()[0])


def image_of(folder: Path, session: str) -> str:
    with closing(sqlite3.connect(folder / "exports" / "conversations.db")) as db:
        sql = "select max(image_key) from thread_blocks where session_id = ?"
        return str(db.execute(sql, (session,)).fetchone()[0])


# Of each route for limited readers: addresses with `{id}` of a session, `{entry}` of a
# message and `{image}` of an image in it.
LIMITED = {
    r"^/$": (
        "/", f"/?q={WORD}", "/?q={id}", f"/?project={WORD}", "/?host=eve", "/?sort=cost",
        f"/?tool=mcp__{WORD}__ask", f"/?branch={WORD}", "/?slot=30", "/?by=hour", "/?errors=1",
        f"/?model=claude-{WORD}", "/?account=Client", f"/?after=9999~{FOREIGN}",
    ),
    r"^/search$": (
        f"/search?q={WORD}", f"/search?q={WORD}&order=best", f"/search?q=re:{WORD}",
        "/search?q=module&tool_use=1&thinking=1&tool_result=1", f"/search?q=module+project:{WORD}",
        "/search?q=re:modu.e", f"/search?q=tool:mcp__{WORD}__ask", "/search?q=plan.py", "/search?q=error:any",
        f"/search?q=module+-{WORD}", "/search?q=module&order=best",
    ),
    r"^/dashboard$": (
        "/dashboard?period=all", "/dashboard?period=30", f"/dashboard?period=all&project={WORD}",
        "/dashboard?period=all&host=eve",
    ),
    r"^/compare$": (f"/compare?period=all&a_project=alpha&b_project={WORD}", "/compare?period=all"),
    r"^/files$": ("/files", "/files?name=plan", "/files?order=sessions"),
    r"^/file$": ("/file?path={file}",),
    r"^/keep$": ("/keep?session={id}", "/keep?session={id}&entry={entry}"),
    r"^/palette\.json$": (f"/palette.json?q={WORD}", "/palette.json?q=plan", "/palette.json?q={id}", "/palette.json", "/palette.json?q=modu"),
    # These are below, with the lines of a MongoDB.
    r"^/raw/(?P<doc_id>[0-9a-f]+)$": (),
    r"^/line-image/(?P<doc_id>[0-9a-f]+)/(?P<number>[0-9]{1,4})$": (),
    r"^/live/(?P<session_id>[^/]+)$": (),
    r"^/session/(?P<session_id>[^/]+)$": (
        "/session/{id}", "/session/{id}?reveal=1", "/session/{id}?agent=feedbeef", "/session/{id}?at={entry}",
        "/session/{id}?inside=1", "/session/{id}?all=1&page=2", "/session/%39{rest}",
    ),
    r"^/session/(?P<session_id>[^/]+)/cost$": ("/session/{id}/cost",),
    r"^/session/(?P<session_id>[^/]+)/export\.(?P<format>json|jsonl|csv|md|html)$": tuple(
        f"/session/{{id}}/export.{kind}" for kind in ("json", "jsonl", "csv", "md", "html")
    ),
    r"^/session/(?P<session_id>[^/]+)/part/(?P<entry_key>[^/]+)/(?P<number>[0-9]{1,4})$": (
        "/session/{id}/part/{entry}/0", "/session/{id}/part/{entry}/0?inside=1&reveal=1",
        f"/session/{MAIN}/part/{{entry}}/0", f"/session/{COPY}/part/{{entry}}/0",
    ),
    r"^/session/(?P<session_id>[^/]+)/find\.json$": (f"/session/{{id}}/find.json?q={WORD}", f"/session/{COPY}/find.json?q={WORD}"),
    r"^/export/(?P<what>sessions|messages)\.(?P<format>json|jsonl|csv|md)$": (
        *(f"/export/{what}.{kind}" for what in ("sessions", "messages") for kind in ("json", "jsonl", "csv", "md")),
        f"/export/messages.csv?project={WORD}",
    ),
    r"^/export/kept\.json$": ("/export/kept.json",),
    r"^/image/(?P<key>[^/]+)$": ("/image/{image}",),
}  # fmt: skip
WHOLE = (
    "/runs", "/conversations", "/conversations.json?sql=select+1", "/conversations/dim_sessions",
    "/conversations/dim_sessions.csv?_stream=1", "/conversations/projects", "/conversations/projects.json",
    "/conversations/dim_sessions/1.json", f"/conversations/search_documents?_search={WORD}", "/.json",
    "/conversations.db", "/-/metadata", "/-/settings.json", "/-/databases.json", "/-/actor.json", "/-/threads",
    "/-/permissions", "/-/patterns", "/-/versions", "/-/plugins", "/-/allow-debug", "/-/messages", "/-/config",
    "/-/auth-token", "/-/password-tool", "/conversations/-/query", "/nothing/of/this/kind", "/%63onversations",
    "//conversations", "/session/a/b/c", "/session/", "/:memory:/x",
)  # fmt: skip


def test_each_route_has_a_decision(pages: Pages) -> None:
    patterns = [one.pattern for one, _ in pages.datasette._routes()]
    decided = [pattern for each in DOORS.values() for pattern in each]
    assert sorted(set(patterns)) == sorted(decided)
    limited = {one for one in patterns if door(one) is Door.LIMITED}
    assert limited == LIMITED.keys()
    assert door("a new one") is Door.WHOLE


def filled(folder: Path, path: str, session: str) -> str:
    known = session == FOREIGN
    return path.format(
        id=session, rest=session[1:],
        entry=entry_of(folder, FOREIGN) if known else "e99999999",
        image=image_of(folder, FOREIGN) if known else "0" * 32,
        file=quote(FILE if known else "/home/eve/nothing/plan.py"),
    )  # fmt: skip


def same(answer: httpx.Response, *names: str) -> tuple[int, str]:
    """Return an answer without what differs between two equal requests."""
    text = re.sub(
        r'nonce="[^"]*"|<p class="hint newer".*?</p>\n?'
        r"| MongoDB does not answer, so sessions[^<]*",
        "",
        answer.text,
    )
    for name in names:
        text = text.replace(name, "")
    return answer.status_code, text


@pytest.mark.parametrize("pattern", LIMITED)
def test_a_foreign_session_is_as_unknown_as_one_that_does_not_exist(
    pages: Pages, folder: Path, pattern: str
) -> None:
    for template in LIMITED[pattern]:
        foreign, unknown = (filled(folder, template, one) for one in (FOREIGN, UNKNOWN))
        answer = pages.get(foreign, "ben")
        assert answer.status_code in (200, 404, 503), (foreign, answer.text)
        if foreign == unknown:
            shown = same(answer)[1]
            # What was asked for is on the page, as for a word that nobody wrote.
            asked = pages.get(foreign.replace(WORD, "xylophon"), "ben").text
            assert shown.lower().count(WORD) <= asked.lower().count("xylophon"), foreign
            assert FOREIGN not in shown.replace(f"9999~{FOREIGN}", ""), foreign
            continue
        other = pages.get(unknown, "ben")
        ids = [filled(folder, one, s) for s in (FOREIGN, UNKNOWN)
               for one in ("{id}", "{rest}", "{entry}", "{image}", "{file}")]  # fmt: skip
        ids += [FILE, "/home/eve/nothing/plan.py"]
        assert same(answer, *ids) == same(other, *ids), foreign
        assert WORD not in answer.text.replace(f"q={WORD}", ""), foreign
        assert dict(answer.headers).keys() == dict(other.headers).keys()


@pytest.mark.parametrize(
    "method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
)
def test_no_method_opens_a_door(pages: Pages, folder: Path, method: str) -> None:
    headers = pages.as_user("ben")
    for path in (*WHOLE, f"/session/{FOREIGN}", f"/session/{FOREIGN}/export.json"):
        for given in ({}, headers):
            answer = pages.ask(method, path, headers=given)
            assert answer.status_code in (302, 403, 404, 405), (path, answer.text[:200])
            assert WORD not in answer.text
    form = {"session": FOREIGN, "starred": "1", "note": "mine"}
    answer = pages.ask("POST", "/keep", headers=headers, data=form)
    assert answer.status_code == 404


def test_what_cannot_be_limited_is_for_readers_of_everything(pages: Pages) -> None:
    for path in WHOLE:
        answer = pages.get(path, "ben")
        assert answer.status_code == 403, path
        assert "everything" in answer.text
    for path in ("/runs", "/conversations.json?sql=select+1", "/-/versions.json"):
        assert pages.get(path, "anna").status_code == 200, path
    page = pages.get("/dashboard?period=all", "ben").text
    assert "SQL</a>" not in page
    assert "/conversations" not in page
    assert 'href="/runs"' not in page
    assert "SQL</a>" in pages.get("/dashboard?period=all", "anna").text


OWN = (
    "/", "/?sort=cost", "/?sort=turns", "/?by=hour", "/?errors=1", "/?tool=Bash", "/?q=row", "/?slot=30",
    "/dashboard?period=all", "/dashboard?period=90", "/dashboard?period=all&host=laptop",
    "/compare?period=all&a_project=alpha", "/files", "/files?order=newest", "/search?q=row", "/search?q=parser.py",
    "/search?q=re:mod.le", "/search?q=part&tool_use=1&tool_result=1&thinking=1", "/search?q=tool:Bash",
    "/palette.json", "/palette.json?q=modu", "/palette.json?q=a", f"/session/{MAIN}", f"/session/{MAIN}/cost",
    f"/session/{FORK}", f"/session/{COPY}", f"/session/{COPY}?all=1",
    "/file?path=/home/me/alpha/src/parser.py", f"/session/{MAIN}/find.json?q=row", f"/session/{MAIN}/export.md",
    f"/session/{COPY}/export.json", "/export/sessions.csv", "/export/messages.jsonl", f"/session/{MAIN}/export.html",
    f"/session/{MAIN}?reveal=1", "/dashboard?period=all&model=claude-opus-4-6",
)  # fmt: skip
# What the pages of a limited reader lack.
_EXTRA = re.compile(
    r'<a href="/(?:conversations|runs)[^"]*"[^>]*>.*?</a>|<footer class="foot">.*?</footer>'
    r"|<footer>.*?</footer>|\s+",
    re.DOTALL,
)


@pytest.mark.parametrize("path", OWN)
def test_everything_is_as_if_there_were_only_the_readers_own(
    pages: Pages, own: Pages, path: str
) -> None:
    mine, alone = pages.get(path, "ben"), own.get(path)
    assert mine.status_code == alone.status_code == 200
    assert _EXTRA.sub("", same(mine)[1]) == _EXTRA.sub("", same(alone)[1])
    assert len(pages.get(path, "anna").text) >= len(mine.text) - 10


def test_sqlite_itself_refuses_a_table_without_a_limit(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "exports" / "conversations.db")) as db:
        with limits.narrowed(db, [MAIN]):
            assert db.execute("select session_id from dim_sessions").fetchall() == [
                (MAIN,)
            ]
            for sql in (
                "select * from main.dim_sessions", "select count(*) from main.thread_blocks",
                "select * from dim_models", "attach ':memory:' as other",
                "select * from main.search_documents",
            ):  # fmt: skip
                with pytest.raises(
                    sqlite3.DatabaseError, match=r"prohibited|authorized"
                ):
                    db.execute(sql)
        assert db.execute("select count(*) from dim_sessions").fetchone()[0] > 10


def test_a_limit_ends_even_while_a_statement_reads(folder: Path) -> None:
    sql = "select session_id from thread_entries"
    with closing(sqlite3.connect(folder / "exports" / "conversations.db")) as db:
        with pytest.raises(TimeoutError), limits.narrowed(db, [MAIN]):
            reading = db.execute(sql)
            assert next(reading) == (MAIN,)
            raise TimeoutError
        with limits.narrowed(db, [FORK]):
            assert {row[0] for row in db.execute(sql)} == {FORK}
        assert len({row[0] for row in db.execute(sql)}) > 10
        reading.close()


def listed(pages: Pages, user: str) -> set[str]:
    text = pages.get("/export/sessions.jsonl", user).text
    return {json.loads(line)["session_id"] for line in text.splitlines()}


def test_rules_name_hosts_projects_and_accounts(pages: Pages) -> None:
    assert MAIN in listed(pages, "ben")
    assert not {FOREIGN, CLAIMED} & listed(pages, "ben")
    assert listed(pages, "cleo") == {FOREIGN}
    dora = pages.get("/export/sessions.jsonl", "dora").text.splitlines()
    assert {json.loads(line)["project_key"] for line in dora} == {"gamma"}
    assert {FOREIGN, CLAIMED, MAIN} <= listed(pages, "anna")
    copy = pages.get(f"/session/{COPY}?all=1", "ben").text
    assert "Something else is done." in copy
    assert FOREIGN not in copy
    assert FOREIGN in pages.get(f"/session/{COPY}?all=1", "anna").text


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"x-forwarded-user": "anna"}, {"x-cclake-secret": ""},
        {"x-cclake-secret": "guess", "x-forwarded-user": "anna"},
        {"authorization": "Basic YW5uYTphbm5h"}, {"x-forwarded-for": "127.0.0.1"},
        {"cookie": "ds_actor=anna"}, {"x-remote-user": "anna"},
    ],
)  # fmt: skip
def test_nobody_is_known_without_the_secret(
    pages: Pages, headers: dict[str, str]
) -> None:
    for path in ("/", "/palette.json", "/conversations.json?sql=select+1", "/runs"):
        answer = pages.get(path, **headers)
        assert answer.status_code in (302, 403), path
        assert "Fix the row" not in answer.text


def test_the_header_names_exactly_one_user(pages: Pages) -> None:
    secret = pages.as_user("ben")["x-cclake-secret"]
    odd = (
        "Ben",
        "ben ",
        "ben%00",
        "%62en",
        "ben,anna",
        "a\x00nna",
        "",
        "root",
        "*",
        "anna\t",
    )
    for name in odd:
        raw = {b"x-cclake-secret": secret.encode(), b"x-forwarded-user": name.encode()}
        answer = pages.ask("GET", "/", headers=list(raw.items()))
        assert answer.status_code in (302, 403), name
    for given in (
        [("x-cclake-secret", secret)] * 2 + [("x-forwarded-user", "anna")],
        [("x-cclake-secret", secret), ("x-forwarded-user", "ben"), ("x-forwarded-user", "anna")],
        [("x-cclake-secret", secret)],
    ):  # fmt: skip
        assert pages.ask("GET", "/", headers=given).status_code in (302, 403)
    mode = Path(state_of(pages.datasette).config.team).with_name("proxy-secret").stat()
    assert stat.S_IMODE(mode.st_mode) == 0o600


def test_answers_are_kept_by_no_cache(pages: Pages, folder: Path) -> None:
    image = f"/image/{image_of(folder, MAIN)}"
    for path in ("/", image, f"/session/{MAIN}", f"/session/{MAIN}/export.json"):
        answer = pages.get(path, "ben")
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "private, no-store"
        assert "etag" not in answer.headers
        assert "last-modified" not in answer.headers
        again = pages.get(path, "cleo", **{"if-none-match": "*"})
        assert again.status_code == (404 if path != "/" else 200)


def sign_in(pages: Pages, password: str, name: str = "ben") -> httpx.Response:
    form = {"username": name, "password": password}
    return pages.ask("POST", "/-/login", data=form)


def cookie(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_user_signs_in_until_the_password_changes(pages: Pages, folder: Path) -> None:
    assert pages.get("/").headers["location"] == "/-/login"
    assert 'name="password"' in pages.get("/-/login").text
    for name, password in (("ben", "wrong"), ("anna", ""), ("eve", "open sesame")):
        refused = sign_in(pages, password, name)
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers
    entered = sign_in(pages, "open sesame")
    assert entered.status_code == 303
    for part in ("HttpOnly", "Max-Age=2592000", "SameSite=lax"):
        assert part.lower() in entered.headers["set-cookie"].lower()
    own = {"cookie": cookie(entered)}
    assert pages.get(f"/session/{MAIN}", **own).status_code == 200
    assert pages.get(f"/session/{FOREIGN}", **own).status_code == 404
    assert pages.get("/conversations", **own).status_code == 403
    guess = {"x-cclake-secret": "guess", "x-forwarded-user": "anna"}
    assert pages.get("/", **own, **guess).status_code == 302
    forged = pages.datasette.sign({"a": {"id": "ben"}, "e": "zzzzzz"}, "actor")
    assert pages.get("/", cookie=f"ds_actor={forged}").status_code == 302
    rules = folder / "home" / "team.toml"
    changed = RULES.replace("pbkdf2_sha256$1000$", "pbkdf2_sha256$1001$")
    try:
        rules.write_text(changed)
        assert pages.get(f"/session/{MAIN}", **own).status_code == 302
    finally:
        rules.write_text(RULES)
    assert pages.get(f"/session/{MAIN}", **own).status_code == 200


def test_wrong_passwords_have_to_wait_longer_and_longer(pages: Pages) -> None:
    state = state_of(pages.datasette)
    now = [0.0]
    before, state.attempts = state.attempts, Attempts(lambda: now[0])
    try:
        assert [sign_in(pages, "wrong").status_code for _ in range(FREE)] == [403] * 5
        refused = sign_in(pages, "open sesame")  # the right one is not tried, either
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "15"
        assert "Try again in 15 seconds." in refused.text
        assert "set-cookie" not in refused.headers
        assert sign_in(pages, "wrong", "anna").status_code == 403  # another name
        now[0] += 15
        assert sign_in(pages, "wrong").status_code == 403
        now[0] += 29
        assert sign_in(pages, "open sesame").status_code == 429
        now[0] += 1
        assert sign_in(pages, "open sesame").status_code == 303
        assert sign_in(pages, "wrong").status_code == 403
    finally:
        state.attempts = before


def test_the_sign_in_page_shows_nothing_that_needs_a_sign_in(pages: Pages) -> None:
    text = sign_in(pages, "wrong", '<b>"x').text
    assert 'value="&lt;b&gt;&#34;x"' in text
    links = set(re.findall(r'(?:href|src|action)="([^"]*)"', text))
    ours = ("/-/cclake/", "#")
    assert {one for one in links if not one.startswith(ours)} == {"/-/login"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[[user]]\nname = "a"\nread = "all"', "line 3: unknown key 'read'"),
        ('[[user]]\nname = "a"', "user 1: give either reads"),
        ('[[user]]\nname = "a"\nreads = "all"\nhosts = ["x"]', "give either reads"),
        ('[[user]]\nname = "a"\nreads = "some"', 'line 3: user 1: reads can only be "all"'),
        ('[[user]]\nname = "a"\nprojects = ["x"]', "is not an absolute path"),
        ('[[user]]\nname = "a"\nhosts = "x"', "hosts is not a list"),
        ('[[user]]\nname = "a\\nb"\nreads = "all"', "name is not a text of one line"),
        ('[[user]]\nreads = "all"', "name is not a text of one line"),
        ('[[user]]\nname = "a"\npassword = "secret"\nreads = "all"', "hash-password"),
        ('[[user]]\nname = "a"\nreads = "all"\n' * 2, "another user has this name"),
        ('user_header = "X User"', "user_header is not the name of a header"),
        ("[[user]", "is not TOML"), ("\xff", "is not TOML"), (None, "does not exist"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_read_close_every_door(
    pages: Pages, folder: Path, text: str | None, reason: str
) -> None:
    from cclake_common.failure import Failure

    rules = folder / "home" / "team.toml"
    try:
        rules.unlink() if text is None else rules.write_text(text)
        with pytest.raises(Failure, match=re.escape(reason)):
            team_of(rules)
        for path in ("/", "/palette.json", "/conversations", f"/session/{MAIN}"):
            for user in ("", "anna", "ben"):
                answer = pages.get(path, user)
                assert answer.status_code == 503
                assert "can't be read" in answer.text
                assert str(folder) not in answer.text
    finally:
        rules.write_text(RULES)
    assert pages.get("/", "anna").status_code == 200


def test_accounts_that_cannot_be_read_close_every_door_too(
    pages: Pages, folder: Path
) -> None:
    accounts = folder / "home" / "accounts.toml"
    try:
        accounts.write_text("[[account]]\nnam = 1")
        assert pages.get("/", "dora").status_code == 503
    finally:
        accounts.write_text(ACCOUNTS)
    assert pages.get("/", "dora").status_code == 200


def test_rights_that_are_taken_away_are_gone_at_once(
    pages: Pages, folder: Path
) -> None:
    rules = folder / "home" / "team.toml"
    assert pages.get(f"/session/{FOREIGN}", "cleo").status_code == 200
    try:
        rules.write_text(RULES.replace('hosts = ["eve"]', 'hosts = ["laptop"]'))
        assert pages.get(f"/session/{FOREIGN}", "cleo").status_code == 404
        assert pages.get(f"/session/{MAIN}", "cleo").status_code == 200
    finally:
        rules.write_text(RULES)
    assert pages.get(f"/session/{FOREIGN}", "cleo").status_code == 200


def test_each_user_keeps_their_own_stars_labels_and_notes(
    pages: Pages, folder: Path
) -> None:
    for user, note in (("ben", "barley"), ("anna", "millet")):
        form = {"session": MAIN, "starred": "1", "labels": user, "note": note}
        headers = pages.as_user(user)
        answer = pages.ask("POST", "/keep", headers=headers, data=form)
        assert answer.status_code == 303
    for user, note, other in (
        ("ben", "barley", "millet"),
        ("anna", "millet", "barley"),
    ):
        for path in (
            f"/session/{MAIN}",
            "/",
            "/export/kept.json",
            f"/session/{MAIN}/export.md",
        ):
            text = pages.get(path, user).text
            assert note in text, path
            assert other not in text, path
    assert "Fix the row" not in pages.get("/?starred=1", "cleo").text
    files = sorted((folder / "home" / "kept").iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    assert not (folder / "home" / "kept.db").exists()
    for one in files:
        one.unlink()


def events(folder: Path) -> list[dict[str, Any]]:
    file = folder / "home" / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_reveals_and_exports_are_recorded_without_content(
    pages: Pages, folder: Path
) -> None:
    file = folder / "home" / "audit.jsonl"
    file.unlink(missing_ok=True)
    part = f"/session/{MAIN}/part/{entry_of(folder, MAIN)}/0"
    for user, path in (
        ("ben", f"/session/{MAIN}/export.json"), ("ben", f"/session/{MAIN}?reveal=1"),
        ("ben", f"/session/{FOREIGN}/export.html?reveal=1"), ("ben", f"{part}?reveal=1"),
        ("ben", f"/export/messages.csv?q={WORD}"), ("ben", "/export/kept.json"),
        ("anna", "/conversations/dim_sessions.csv?title=x"), ("anna", "/conversations?sql=select+2"),
        ("anna", "/conversations?_reveal=1"), ("ben", f"/raw/{'ab' * 24}?plain=1"),
        ("ben", f"/session/{MAIN}%0Aforged"), ("ben", "/session/x%0A%1B%7F%E2%80%AE/export.json"),
        ("ben", f"/session/{MAIN}?reveal=0&reveal=1"), ("ben", f"/session/{MAIN}"),
        ("ben", f"/search?q={WORD}"), ("ben", "/palette.json?q=x"),
    ):  # fmt: skip
        pages.get(path, user)
    found = events(folder)
    recorded = [
        (one["user"], one["event"], one["is_revealed"], one["status"]) for one in found
    ]
    assert recorded == [
        ("ben", "export", False, 200), ("ben", "reveal", True, 200), ("ben", "export", True, 404),
        ("ben", "reveal", True, 200), ("ben", "export", False, 200), ("ben", "export", False, 200),
        ("anna", "export", False, 200), ("anna", "export", False, 200), ("anna", "export", True, 200),
        ("ben", "export", False, 503), ("ben", "export", False, 404), ("ben", "reveal", True, 200),
    ]  # fmt: skip
    assert found[0]["session"] == MAIN
    assert found[3]["message"] == entry_of(folder, MAIN)
    assert found[9]["line"] == "ab" * 24
    assert all(one["address"] == "127.0.0.1" for one in found)
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert WORD not in text
    assert "select" not in text
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


def test_what_cannot_be_recorded_is_not_shown(pages: Pages, folder: Path) -> None:
    file = folder / "home" / "audit.jsonl"
    file.unlink(missing_ok=True)
    file.symlink_to("/dev/full")
    try:
        for path in (
            f"/session/{MAIN}?reveal=1", f"/session/{MAIN}/export.md", "/export/messages.jsonl",
        ):  # fmt: skip
            answer = pages.get(path, "ben")
            assert answer.status_code == 503, path
            assert answer.text == "This can't be recorded now, so it can't be shown.\n"
        assert pages.get(f"/session/{MAIN}", "ben").status_code == 200
    finally:
        file.unlink()


def test_a_publication_brings_its_sessions_to_those_who_may_read_them(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "team.toml").write_text(RULES)
    exported(tmp_path / "exports" / "conversations.db")
    web = Pages(tmp_path / "exports", CCLAKE_HOME=str(home), CCLAKE_WEB_TEAM="yes")
    before = listed(web, "ben")
    path = tmp_path / "exports" / "conversations.db"
    with closing(sqlite3.connect(path)) as db:
        changes = (
            f"update dim_sessions set project_key = 'alpha', host = 'x' where session_id = '{FOREIGN}'",
            f"update dim_sessions set project_key = '{WORD}' where session_id = '{MAIN}'",
            "update export_info set value = 'next' where name = 'export_id'",
        )
        for change in changes:
            db.execute(change)
        db.commit()
    # Its responses are still of another project.
    assert listed(web, "ben") == before - {MAIN}
    assert web.get(f"/session/{MAIN}", "ben").status_code == 404
    web.close()


@pytest.fixture
def shipper(mongod: Mongod, mongo_db: str) -> Iterator[Shipper]:
    with connect(mongod.uri) as client:
        client[mongo_db].conversations.create_index("sessionId")
        yield Shipper(client[mongo_db])


@pytest.fixture
def live(folder: Path, mongod: Mongod, mongo_db: str, tmp_path: Path) -> Iterator[Web]:
    with serving(
        folder / "exports", tmp_path / "log", MONGO_URI=mongod.uri, MONGO_DB=mongo_db,
        CCLAKE_HOME=str(folder / "home"), CCLAKE_WEB_TEAM="yes",
    ) as web:  # fmt: skip
        yield web
    assert '" 500 ' not in (tmp_path / "log").read_text()


def test_lines_that_are_not_published_are_limited_too(
    live: Web, shipper: Shipper, folder: Path
) -> None:
    secret = (folder / "home" / "proxy-secret").read_text().strip()

    def get(path: str, user: str = "ben") -> httpx.Response:
        headers = {"x-cclake-secret": secret, "x-forwarded-user": user}
        return live.get(path, headers=headers)

    alpha, other = {"cwd": "/home/me/alpha"}, {"cwd": f"/home/eve/{WORD}"}
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
    }
    said = {
        "role": "user",
        "content": [{"type": "text", "text": f"Live {WORD}"}, picture],
    }
    foreign = [
        shipper.ship(said, LIVE, **other), shipper.say(f"More {WORD}", FOREIGN, **other),
        # A session that repeats what ben may not read waits for its publication.
        shipper.say(f"Copied {WORD}", UNKNOWN, forkedFrom={"sessionId": FOREIGN, "messageUuid": "u"}, **alpha),
        shipper.line({"type": "user", "sessionId": COPY, "uuid": "x", "forkedFrom": {"sessionId": FOREIGN}}, "q/x.jsonl"),
        shipper.line({"type": "user", "sessionId": COPY, "uuid": "y"}, f"p/{FOREIGN}/agent-1.jsonl"),
        shipper.line({"type": "mode"}),
    ]  # fmt: skip
    own = [
        shipper.say("Live and mine", LIVE_OWN, **alpha),
        shipper.say("More of mine", MAIN, **alpha),
    ]
    wait_for(lambda: "More of mine" in get(f"/session/{MAIN}?page=99").text, "it")
    wait_for(lambda: "Live and mine" in get("/").text, "the own one")
    for path in (
        "/", f"/search?q={WORD}", f"/search?q=re:{WORD}", "/search?q=live", "/palette.json", "/palette.json?q=live",
        f"/session/{MAIN}?page=99", f"/session/{LIVE_OWN}", "/dashboard?period=all", "/export/messages.jsonl",
        f"/session/{LIVE_OWN}/find.json?q=live", "/?q=live",
    ):  # fmt: skip
        text = get(path).text
        # What was asked for is on the page, as a word that nobody wrote.
        asked = get(path.replace(WORD, "xylophon")).text
        assert text.count(WORD) <= asked.count("xylophon"), path
        for session in (LIVE, FOREIGN, UNKNOWN):
            assert session not in text, (path, session)
    for session in (LIVE, FOREIGN, UNKNOWN):
        form = {"session": session, "note": "x"}
        headers = {"x-cclake-secret": secret, "x-forwarded-user": "ben"}
        assert get(f"/session/{session}").status_code == 404
        assert live.client.post("/keep", data=form, headers=headers).status_code == 404
        assert get(f"/session/{session}/find.json?q=live").json()["places"] == []
    for doc_id in foreign:
        for path in (
            f"/raw/{doc_id}",
            f"/raw/{doc_id}?plain=1",
            f"/line-image/{doc_id}/0",
        ):
            assert get(path).status_code == 404, path
            assert WORD not in get(path).text
        assert get(f"/raw/{doc_id}", "anna").status_code == 200
    assert get(f"/line-image/{foreign[0]}/0", "anna").status_code == 200
    for doc_id in own:
        assert get(f"/raw/{doc_id}?plain=1").status_code == 200
    whole = get("/", "anna").text
    assert LIVE in whole
    assert f"More {WORD}" in get(f"/session/{FOREIGN}?page=99", "cleo").text
    assert f"Live {WORD}" not in get("/", "cleo").text  # another host shipped it
    _stream(live, shipper, secret, folder)


def _stream(live: Web, shipper: Shipper, secret: str, folder: Path) -> None:
    """Check that a stream has own lines only, and ends when the rights do."""
    rules = folder / "home" / "team.toml"
    headers = {"x-cclake-secret": secret, "x-forwarded-user": "ben"}
    with live.client.stream("GET", f"/live/{LIVE}?seen=0", headers=headers) as foreign:
        lines = foreign.iter_lines()
        assert next(lines) == "retry: 3000"
        with live.client.stream(
            "GET", f"/live/{LIVE_OWN}?seen=0", headers=headers
        ) as mine:
            found = mine.iter_lines()
            event = next(line for line in found if line.startswith("data"))
            assert "Live and mine" in event
            shipper.say(f"Still {WORD}", LIVE, cwd=f"/home/eve/{WORD}")
            shipper.say("Still mine", LIVE_OWN, cwd="/home/me/alpha")
            event = next(line for line in found if line.startswith("data"))
            assert "Still mine" in event
            assert WORD not in event
            try:
                rules.write_text(RULES.replace("/home/me/alpha", "/home/me/gamma"))
                assert not [line for line in found if line.startswith("data")]
                assert not [line for line in lines if line.startswith("data")]
            finally:
                rules.write_text(RULES)
