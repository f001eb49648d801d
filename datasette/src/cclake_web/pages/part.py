"""`/session/<id>/part/<entry>/<number>`: folded content that its page left out."""

import sqlite3
from collections.abc import Callable
from urllib.parse import quote, urlencode

from datasette.utils.asgi import Response

from cclake_web.data import thread
from cclake_web.data.blocks import Call, calls_of
from cclake_web.data.thread import Sums
from cclake_web.data.workflows import runs
from cclake_web.kept import of_session
from cclake_web.pages.web import Visit, message, view
from cclake_web.render.cards import Card, keep
from cclake_web.render.items import Item, items_of
from cclake_web.subagents import Ask, Nested


def part_address(ask: Ask) -> Callable[[Item], str]:
    """Return what gives the address of the content of an item of a thread."""
    base = f"/session/{quote(ask.session_id, safe='')}/part/"
    query = urlencode({"reveal": "1"}) if ask.reveal else ""

    def address(item: Item) -> str:
        place = f"{base}{quote(item.entry.key, safe='')}/{item.number}"
        return f"{place}?{query}" if query else place

    return address


@view
async def part_page(visit: Visit) -> Response:
    """Return the content of one item, as a page or for the script alone."""
    session_id, key = visit.part("session_id"), visit.part("entry_key")
    number = int(visit.part("number"))
    reveal = await visit.reveals()

    def answer(connection: sqlite3.Connection) -> Response:
        items = _items(connection, session_id, key, reveal)
        if number >= len(items):
            return message(visit.request, 404, "No such message", _MISSING)
        keep([Card(0, work=items)], of_session(visit.store, session_id, reveal))
        return visit.page(
            "inside_part.html" if visit.args.get("inside") == "1" else "part.html",
            ask=Ask(session_id, reveal=reveal),
            i=items[number],
        )

    return await visit.export.read(answer)


def _items(
    connection: sqlite3.Connection, session_id: str, key: str, reveal: bool
) -> list[Item]:
    entry = thread.entry(connection, session_id, key, reveal)
    if entry is None:
        return []
    agents = thread.agents(connection, session_id)

    def nest(call: Call) -> Nested | None:
        """Return the subagent of a call without its thread."""
        if call.block.tool_name == "Workflow":
            found = runs(connection, session_id, reveal)
            call.run = found.get(call.block.tool_use_id)
        size = agents.get(call.subagent_id)
        return Nested(call.subagent_id, size, Sums(), None) if size else None

    items = items_of(
        entry, calls_of(connection, [entry], reveal), nest, everything=True
    )
    for number, item in enumerate(items):
        item.number = number
    return items


_MISSING = "The export does not have this part of a conversation."
