"""Gather the content of one page of a thread."""

import sqlite3
import sys
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cclake_common.masking import mask
from markupsafe import Markup

from cclake_web.charts.strip import Strip, contexts, failures, strip
from cclake_web.data import sessions, thread
from cclake_web.data.blocks import calls_of
from cclake_web.data.file_operations import File, of_session, shown
from cclake_web.data.session_tree import family
from cclake_web.data.sessions import Row
from cclake_web.data.thread import Mark, Page, Sums
from cclake_web.formatting import one_line
from cclake_web.masking import mask_names
from cclake_web.render.cards import Card, cards_of
from cclake_web.render.web_tools import pull_request
from cclake_web.subagents import Ask, Loose, Nester

FOLLOWED = 400  # maximum number of entries on an open page of a running thread
MOST_PULLS = 8  # maximum number of pull requests in the header
WHOLE_DEEPEST = 40  # maximum depth of subagents in a download


@dataclass
class Prompt:
    """A line of the outline."""

    turn: int
    key: str
    text: str
    page: int


@dataclass
class Live:
    """The unpublished lines of a page.

    Attributes:
        cards: The cards.
        loose: Subagents with such lines.
        part: Number of the first page of such lines that is shown.
        entries: Number of entries of the session in them.
    """

    cards: list[Card]
    loose: list[Loose]
    part: int
    entries: int = 0


@dataclass
class Thread:
    """One page of a thread with everything around it."""

    ask: Ask
    session: Row
    pages: list[Page]
    page: Page | None
    cards: list[Card]
    prompts: list[Prompt]
    marks: list[Mark]
    family: list[Row]
    loose: list[Loose]
    total: int
    strip: Strip | None = None
    sums: Sums | None = None
    agent: tuple[str, str] = ("", "")  # type and description of the shown subagent
    live: Live | None = None
    is_last: bool = True  # whether it is the last page
    files: list[File] = field(default_factory=list)
    pulls: list[Markup] = field(default_factory=list)  # links to pull requests


Keep = Callable[[Hashable, Callable[[], "Around"]], "Around"]


@dataclass
class Around:
    """The content that all pages of a thread share."""

    session: Row | None
    marks: list[Mark]
    pages: list[Page]
    sizes: dict[str, int]
    failed: set[str]
    texts: dict[str, str]
    family: list[Row]
    files: list[File]
    pulls: list[str]


def load(
    connection: sqlite3.Connection, ask: Ask, keep: Keep, whole: bool = False
) -> Thread | None:
    """Read one page of a thread, or return None if there is no such session.

    Args:
        connection: Of the export, or of the lines above it.
        ask: The thread and its page.
        keep: Caches what is around the page, for the next pages.
        whole: Whether the page extends to the end of the thread; its start is left out
            if the page would be too long.
    """
    key = (ask.session_id, ask.agent)
    around = keep(key, lambda: _around(connection, *key))
    if around.session is None:
        return None
    marks, pages = around.marks, around.pages
    page = _choose(pages, marks, ask)
    if page and whole:
        first = max(page.first, marks[-FOLLOWED:][0].position)
        end = (page.turns[0], marks[-1].turn)
        page = Page(page.number, first, marks[-1].position, end)
    drawn = None
    if not ask.agent:
        drawn = strip(marks, around.sizes, around.failed, pages, page)
    nester = Nester(connection, ask)
    cards = _cards(connection, ask, page, nester) if page else []
    return Thread(
        ask=ask, session=_shown(around.session, ask), pages=pages, page=page,
        cards=cards, prompts=_prompts(around, ask), marks=marks,
        family=[_shown(one, ask) for one in around.family],
        loose=nester.loose() if not ask.agent else [], total=len(marks), strip=drawn,
        sums=nester.total(ask.agent) if ask.agent else None,
        agent=nester.asked(ask.agent),
        is_last=page is None or page.number == len(pages),
        files=shown(around.files, around.session["project_path"] or "", ask.reveal),
        pulls=_pulls(around, ask),
    )  # fmt: skip


def _around(
    connection: sqlite3.Connection, session_id: str, agent: str | None
) -> Around:
    session = sessions.one(connection, session_id)
    marks = thread.outline(connection, session_id, agent) if session else []
    whole = agent is None
    return Around(
        session=session, marks=marks, pages=thread.pages(marks),
        sizes=contexts(connection, session_id) if whole else {},
        failed=failures(connection, session_id) if whole else set(),
        texts=thread.prompts(connection, session_id) if whole else {},
        family=family(connection, session_id),
        files=of_session(connection, session_id) if whole else [],
        pulls=thread.pull_requests(connection, session_id)
        if any(mark.kind == "label" for mark in marks) else [],
    )  # fmt: skip


def load_whole(
    connection: sqlite3.Connection, session_id: str, reveal: bool
) -> Thread | None:
    """Return the whole thread as one page, every subagent in its place."""
    ask = Ask(session_id, reveal=reveal)
    session = sessions.one(connection, session_id)
    if session is None:
        return None
    marks = thread.outline(connection, session_id)
    nester = Nester(connection, ask, budget=sys.maxsize, deepest=WHOLE_DEEPEST)
    page = Page(1, 0, sys.maxsize, (0, sys.maxsize)) if marks else None
    cards = _cards(connection, ask, page, nester) if page else []
    shown = _shown(session, ask)
    return Thread(ask, shown, [], page, cards, [], marks, [], [], len(marks))


def _shown(session: Mapping[str, Any], ask: Ask) -> Row:
    """Return a session with the secrets in its names masked."""
    shown = dict(session)
    return shown if ask.reveal else mask_names(shown, "session_id", "project_key")


def _pulls(around: Around, ask: Ask) -> list[Markup]:
    texts = around.pulls if ask.reveal else map(mask, around.pulls)
    return list(filter(None, map(pull_request, texts)))[:MOST_PULLS]


def agent_at(connection: sqlite3.Connection, session_id: str, key: str) -> str | None:
    """Return the agent whose thread has an entry, or None for the main thread."""
    row = connection.execute(
        """select agent_id from thread_entries where session_id = ? and entry_key = ?
        order by agent_id is not null limit 1""",
        (session_id, key),
    ).fetchone()
    return row["agent_id"] if row else None


def _choose(pages: list[Page], marks: list[Mark], ask: Ask) -> Page | None:
    if not pages:
        return None
    if ask.at:
        for mark in marks:
            if mark.key == ask.at:
                return next(page for page in pages if mark.position <= page.last)
    return pages[min(max(ask.page, 1), len(pages)) - 1]


def _cards(
    connection: sqlite3.Connection, ask: Ask, page: Page, nester: "Nester"
) -> list[Card]:
    entries = thread.entries(
        connection, ask.session_id, page, ask.agent, ask.reveal
    )  # fmt: skip
    calls = calls_of(connection, entries, ask.reveal)
    sums = thread.turn_sums(connection, ask.session_id, *page.turns)
    cards = cards_of(
        entries, calls, nest=nester, sums={} if ask.agent else sums,
        everything=ask.everything,
    )  # fmt: skip
    _open(cards, ask.at)
    return cards


def _open(cards: list[Card], key: str) -> None:
    """Unfold the card whose work has the requested entry."""
    for card in cards:
        if key and any(item.entry.key == key for item in card.work):
            card.open = True


def _prompts(around: Around, ask: Ask) -> list[Prompt]:
    found = []
    remaining = iter(around.pages)
    page = next(remaining, None)
    for mark in around.marks if not ask.agent else ():
        while page and mark.position > page.last:
            page = next(remaining, None)
        if mark.kind == "prompt" and page:
            raw = around.texts.get(mark.key, "")
            text = one_line(raw if ask.reveal else mask(raw), 110)
            found.append(Prompt(mark.turn, mark.key, text or "Image", page.number))
    return found
