"""`/session/<id>/find.json`: where a phrase occurs in a session."""

import sqlite3
from typing import Any
from urllib.parse import quote, urlencode

from datasette.utils.asgi import Response

from cclake_web.data.find import MOST, Place, places
from cclake_web.pages.web import Visit, view

_WHO = {
    "prompt": "You", "answer": "Claude", "thinking": "Thinking",
    "tool_use": "Tool input", "tool_result": "Tool output", "agent_prompt": "Task",
    "queued_prompt": "You", "unsent_prompt": "You", "compact_summary": "Summary",
    "compaction": "Summary", "context": "Context",
}  # fmt: skip


@view
async def find_in_session(visit: Visit) -> Response:
    """Return all places of the phrase, each with its address."""
    session_id, words = visit.part("session_id"), visit.args.get("q", "")
    everything = visit.args.get("all") == "1"
    reveal = await visit.reveals()
    kept = {"all": "1"} if everything else {}
    kept |= {"reveal": "1"} if reveal else {}

    overlay = await visit.live()

    def look(connection: sqlite3.Connection) -> list[Place]:
        return places(
            connection, session_id, words, everything=everything, reveal=reveal
        )

    def find(connection: sqlite3.Connection) -> list[Place]:
        with overlay.over(connection) as tables:
            newer = look(tables.connection) if tables else []
        return look(connection) + newer

    found = await visit.export.read(find)
    answer = {
        "places": [_described(one, session_id, words, kept) for one in found[:MOST]],
        "more": len(found) > MOST,
    }
    return Response.json(answer, headers={"cache-control": "no-store"})


def _described(
    place: Place, session_id: str, words: str, kept: dict[str, str]
) -> dict[str, Any]:
    agent = {"agent": place.agent} if place.agent else {}
    query = urlencode({**kept, **agent, "at": place.key, "find": words})
    who = _WHO.get(place.kind, place.kind.replace("_", " ").capitalize() or "Line")
    return {
        "key": place.key,
        "who": f"{who}, subagent" if agent else who,
        "before": place.before, "words": place.words, "after": place.after,
        "href": f"/session/{quote(session_id, safe='')}?{query}"
        f"#e-{quote(place.key, safe='')}",
    }  # fmt: skip
