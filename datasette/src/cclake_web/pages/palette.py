"""`/palette.json`: sessions, projects, files, prompts and answers for Ctrl-K."""

import sqlite3
from typing import Any
from urllib.parse import quote, urlencode

from cclake_common.masking import mask
from cclake_common.search import (
    CLOSE,
    OPEN,
    STOP,
    Question,
    described,
    excerpt,
    expression,
    limit_marks,
    question,
    searched,
)
from datasette.utils.asgi import Response

from cclake_web.data import file_operations
from cclake_web.data.filters import SORTS, like
from cclake_web.formatting import one_line, title
from cclake_web.pages.web import Visit, view

EACH = 8
NEWEST = 500  # hits in which to look for messages, so that typing stays fast
Found = list[dict[str, Any]]


@view
async def palette(visit: Visit) -> Response:
    """Return matches of the words typed so far; without words, the newest sessions."""
    text = visit.args.get("q", "").strip()[:200]

    overlay = await visit.live()

    def answer(connection: sqlite3.Connection) -> Found:
        kinds = [_sessions, _projects, _files, _messages] if text else [_sessions]
        with overlay.over(connection) as tables:
            newer = [kind(tables.connection, text) if tables else [] for kind in kinds]
        found: Found = []
        for kind, above in zip(kinds, newer, strict=True):
            known = {one["href"] for one in above}
            rest = (one for one in kind(connection, text) if one["href"] not in known)
            found += [*above, *rest][:EACH]
        return found

    found = await visit.export.read(answer, limit_ms=1500)
    return Response.json(found, headers={"cache-control": "no-store"})


def _entry(kind: str, text: str | None, about: str | None, href: str) -> dict[str, Any]:
    label = one_line(mask(text or ""), 100) or "Untitled session"
    return {
        "kind": kind,
        "text": label,
        "about": one_line(mask(about or ""), 40),
        "href": href,
    }


def _sessions(connection: sqlite3.Connection, text: str) -> Found:
    rows = connection.execute(
        f"""select s.session_id, coalesce(s.title, s.first_prompt) as title,
        p.project_name, s.project_key from dim_sessions s
        left join dim_projects p on p.project_key = s.project_key
        where coalesce(s.title, '') || ' ' || coalesce(s.first_prompt, '')
            like ? escape '\\' or s.session_id like ? escape '\\'
        order by {SORTS["recent"][0]} desc limit ?""",
        (f"%{like(text)}%", f"{like(text)}%", EACH),
    )
    return [
        _entry(
            "Session", row["title"], row["project_name"] or row["project_key"],
            f"/session/{quote(row['session_id'], safe='')}",
        )
        for row in rows
    ]  # fmt: skip


def _projects(connection: sqlite3.Connection, text: str) -> Found:
    rows = connection.execute(
        """select project_key, project_name, project_path from dim_projects
        where coalesce(project_name, project_key) like ? escape '\\'
        order by last_seen_at desc limit 4""",
        (f"%{like(text)}%",),
    )
    return [
        _entry(
            "Project", row["project_name"] or row["project_key"], row["project_path"],
            "/?" + urlencode({"project": row["project_key"]}),
        )
        for row in rows
    ]  # fmt: skip


def _files(connection: sqlite3.Connection, text: str) -> Found:
    found = []
    for path in file_operations.named(connection, text):
        name = path.replace("\\", "/").rpartition("/")[2]
        folder = path[: len(path) - len(name)]
        found.append(_entry("File", name, folder, f"/file?{urlencode({'path': path})}"))
    return found


def _messages(connection: sqlite3.Connection, text: str) -> Found:
    """Return messages with the words: first those with the phrase, prompts first."""
    last = text.split()[-1]
    is_begun = last[-1:].isalnum() and len(last) > 2 and last.lower() not in STOP
    found: dict[str, dict[str, Any]] = {}
    phrase = '"' + text.replace('"', " ") + '"'
    for words in (phrase, f"{text}*" if is_begun else text):
        asked = question(words)
        if not asked.match or len(found) >= EACH:
            continue
        for hit in _said(connection, asked):
            found.setdefault(hit["entry_key"], hit)
    return [
        _entry(
            "Prompt" if hit["message_kind"] == "prompt" else "Answer",
            _around(hit), title(hit),
            f"/session/{quote(hit['session_id'], safe='')}?"
            + urlencode({"at": hit["entry_key"]})
            + f"#e-{quote(hit['entry_key'], safe='')}",
        )
        for hit in list(found.values())[:EACH]
    ]  # fmt: skip


def _said(connection: sqlite3.Connection, asked: Question) -> Found:
    """Return the newest prompts, then the newest answers, of a question."""
    rows = connection.execute(
        f"""select d.search_id, m.message_kind from (
            select f.rowid from {searched(connection)} where search_fts match ?
            order by f.rowid desc limit ?) f
        join thread_blocks d on d.search_id = f.rowid
        join fct_messages m
            on m.session_id = d.session_id and m.entry_key = d.entry_key
        where m.message_kind in ('prompt', 'answer') order by f.rowid desc""",
        (expression(asked.match, ["text"], limit_marks(connection)), NEWEST),
    ).fetchall()
    prompts = [row[0] for row in rows if row[1] == "prompt"][:EACH]
    answers = [row[0] for row in rows if row[1] == "answer"][: EACH - len(prompts)]
    return described(connection, asked.match, asked.words, prompts + answers)


def _around(hit: dict[str, Any]) -> str:
    """Return what is around the words of a hit, without secrets."""
    whole, snippet = hit["text"] or "", hit["snippet"]
    masked = mask(whole)
    shown = snippet if masked == whole else excerpt(snippet, masked)
    return str(shown).replace(OPEN, "").replace(CLOSE, "")
