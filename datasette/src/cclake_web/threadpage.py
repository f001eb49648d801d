"""Gathers all that one page of a thread shows."""

import sqlite3
import sys
from dataclasses import dataclass

from cclake_web.charts.strip import Strip, contexts, failures, strip
from cclake_web.data import sessions, thread
from cclake_web.data.blocks import calls_of
from cclake_web.data.sessions import Row
from cclake_web.data.thread import Mark, Page, Sums
from cclake_web.fmt import one_line
from cclake_web.masking import mask
from cclake_web.nesting import Ask, Nester
from cclake_web.render.cards import Card, cards_of


@dataclass
class Prompt:
    """A line of the outline."""

    turn: int
    key: str
    text: str
    page: int


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
    loose: list[tuple[str, int, str]]
    total: int
    strip: Strip | None = None
    sums: Sums | None = None


def load(connection: sqlite3.Connection, ask: Ask) -> Thread | None:
    """Read one page of a thread; None where there is no such session."""
    session = sessions.one(connection, ask.session_id)
    if session is None:
        return None
    marks = thread.outline(connection, ask.session_id, ask.agent)
    pages = thread.pages(marks)
    page = _choose(pages, marks, ask)
    drawn = None if ask.agent else _strip(connection, ask, marks, pages, page)
    nester = Nester(connection, ask)
    cards = _cards(connection, ask, page, nester) if page else []
    return Thread(
        ask=ask, session=session, pages=pages, page=page, cards=cards,
        prompts=_prompts(connection, ask, marks, pages), marks=marks,
        family=sessions.family(connection, ask.session_id),
        loose=nester.loose() if not ask.agent else [], total=len(marks), strip=drawn,
        sums=nester.total(ask.agent) if ask.agent else None,
    )  # fmt: skip


def load_whole(
    connection: sqlite3.Connection, session_id: str, reveal: bool
) -> Thread | None:
    """The whole thread as one page, every subagent in its place."""
    ask = Ask(session_id, reveal=reveal)
    session = sessions.one(connection, session_id)
    if session is None:
        return None
    marks = thread.outline(connection, session_id)
    nester = Nester(connection, ask, budget=sys.maxsize)
    page = Page(1, 0, sys.maxsize, (0, sys.maxsize)) if marks else None
    cards = _cards(connection, ask, page, nester) if page else []
    return Thread(ask, session, [], page, cards, [], marks, [], [], len(marks))


def _strip(
    connection: sqlite3.Connection,
    ask: Ask,
    marks: list[Mark],
    pages: list[Page],
    page: Page | None,
) -> Strip | None:
    sizes = contexts(connection, ask.session_id)
    return strip(marks, sizes, failures(connection, ask.session_id), pages, page)


def agent_at(connection: sqlite3.Connection, session_id: str, key: str) -> str | None:
    """The agent in whose thread an entry stands, None for the main thread."""
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
    """Unfold the card whose work holds the entry that was asked for."""
    for card in cards:
        if key and any(item.entry.key == key for item in card.work):
            card.open = True


def _prompts(
    connection: sqlite3.Connection, ask: Ask, marks: list[Mark], pages: list[Page]
) -> list[Prompt]:
    if ask.agent:
        return []
    texts = thread.prompts(connection, ask.session_id)
    found = []
    remaining = iter(pages)
    page = next(remaining, None)
    for mark in marks:
        while page and mark.position > page.last:
            page = next(remaining, None)
        if mark.kind == "prompt" and page:
            raw = texts.get(mark.key, "")[:2000]
            text = one_line(raw if ask.reveal else mask(raw), 110)
            found.append(Prompt(mark.turn, mark.key, text or "Image", page.number))
    return found
