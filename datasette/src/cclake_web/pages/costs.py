"""`/session/<id>/cost`: what a conversation cost, and why."""

import sqlite3
from typing import Any
from urllib.parse import quote, urlencode

from cclake_common.masking import mask
from datasette.utils.asgi import Response

from cclake_web import formatting
from cclake_web.data import sessions, thread
from cclake_web.data.costs import Costs, Row, costs, sentence
from cclake_web.data.costs import dearest as dearest_turns
from cclake_web.data.costs import dearest_misses as dearest_turns_misses
from cclake_web.data.filters import Filters
from cclake_web.masking import mask_names
from cclake_web.pages.web import Visit, message, view

SENTENCES = 10


@view
async def cost_page(visit: Visit) -> Response:
    """Return the cost of a session by turn, model, subagent and tool."""
    session_id = visit.part("session_id")

    def answer(connection: sqlite3.Connection) -> Response:
        session = sessions.one(connection, session_id)
        if session is None:
            text = "The export has no session of this name yet."
            return message(visit.request, 404, "No such session", text)
        found = costs(connection, session_id)
        agents = named_agents(connection, session_id, found)
        return visit.page(
            "costs.html",
            s=mask_names(session, "session_id", "project_key"),
            title=mask(formatting.title(session)),
            costs=found,
            turns=[prompt(row) for row in found.turns],
            agents=agents,
            sentences=[
                (sentence(one), place(session_id, one.entry_key), one.cost)
                for one in found.misses[:SENTENCES]
            ],
        )

    return await visit.export.read(answer)


def place(session_id: str, key: str) -> str:
    """Return the address of an entry in its conversation."""
    base = f"/session/{quote(session_id, safe='')}"
    name = quote(key, safe="")
    return f"{base}?{urlencode({'at': key})}#e-{name}" if key else base


def prompt(row: Row) -> dict[str, Any]:
    """Return a turn as it is listed: its text in one line, without secrets."""
    return row | {
        "words": formatting.one_line(mask(row["text"]), 140)
        or f"Turn {row['turn_number']}",
        "href": place(row["session_id"], row["entry_key"]),
    }


def dearest(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Return the most expensive prompts of a selection as they are listed."""
    rows = dearest_turns(connection, filters)
    return [prompt(row) | {"title": mask(formatting.title(row))} for row in rows]


def dearest_misses(
    connection: sqlite3.Connection, filters: Filters, prompts: list[dict[str, Any]]
) -> list[tuple[str, str, str]]:
    """Return the cache misses of the sessions of some prompts as they are listed.

    Each has its sentence, its address and the title of its session.
    """
    titles = {one["session_id"]: one["title"] for one in prompts}
    return [
        (sentence(one), place(one.session_id, one.entry_key), titles[one.session_id])
        for one in dearest_turns_misses(connection, filters, prompts)
    ]


def named_agents(
    connection: sqlite3.Connection, session_id: str, found: Costs
) -> list[dict[str, Any]]:
    """Return the threads of a session with their names; the main one has none."""
    about = thread.about_agents(connection, session_id)
    names = [one["agent"] for one in found.agents if one["agent"]]
    asked = thread.tasks(connection, session_id, names)
    listed = []
    for one in found.agents:
        kind, what = about.get(one["agent"], ("", ""))
        words = what or asked.get(one["agent"], "") or f"Subagent {one['agent']}"
        shown = formatting.one_line(mask(words), 90) if one["agent"] else "Main thread"
        listed.append(
            one | {"kind": formatting.one_line(mask(kind), 30), "words": shown}
        )
    return listed
