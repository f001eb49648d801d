"""`/file?path=…` and `/files`: what was done to files, and which changed most."""

import sqlite3
from typing import Any

from cclake_common.masking import mask
from datasette.utils.asgi import Response

from cclake_web.data import file_operations as files
from cclake_web.formatting import one_line, title
from cclake_web.kept import labels
from cclake_web.masking import mask_names
from cclake_web.pages.sessions import MOST, choices
from cclake_web.pages.web import Visit, message, view
from cclake_web.render.tool_view import view as call_view

LONGEST = 4096  # characters of a path in an address
_MISSING = "No published session has read or changed a file of this path."


def _start(visit: Visit) -> int:
    number = visit.args.get("start", "")
    return int(number) if number.isdecimal() and len(number) < 7 else 0


@view
async def file_page(visit: Visit) -> Response:
    """Return every change of one file, newest first."""
    path = visit.args.get("path", "")[:LONGEST]
    reveal = await visit.reveals()
    start = _start(visit)

    def answer(connection: sqlite3.Connection) -> Response:
        found = files.about(connection, path)
        if found is None:
            return message(visit.request, 404, "No such file", _MISSING)
        edits, more = files.history(connection, path, start, reveal)
        return visit.page(
            "file.html",
            address=path,
            named=path if reveal else mask(path),
            about=found,
            edits=[_shown(one, reveal) for one in edits],
            start=start,
            following=start + files.EDITS if more else None,
            reveal=reveal,
        )

    return await visit.export.read(answer)


def _shown(edit: files.Edit, reveal: bool) -> dict[str, Any]:
    row = edit.row | {"title": title(edit.row)}
    if not reveal:
        row = mask_names(row, "session_id", "project_key", "call_entry_key", "agent_id")
    prompt = edit.prompt if reveal else mask(edit.prompt)
    return row | {
        "view": call_view(edit.call),
        "prompt": one_line(prompt, 300),
        "prompt_key": edit.prompt_key,
    }


@view
async def files_page(visit: Visit) -> Response:
    """Return the files that a selection changed most."""
    filters = visit.filters()
    order = visit.args.get("order", "")
    order = order if order in files.ORDERS else "lines"
    part = visit.args.get("name", "").strip()[:400]
    start = _start(visit)

    def answer(connection: sqlite3.Connection) -> Response:
        rows, more = visit.export.keep(
            "files", MOST, (filters, filters.zone, order, part, start),
            lambda: files.most_changed(connection, filters, order, part, start),
        )  # fmt: skip
        return visit.page(
            "files.html",
            filters=filters,
            choices=choices(connection, visit),
            orders={name: label for name, (label, _) in files.ORDERS.items()},
            order=order,
            part=part,
            rows=[row | {"shown": mask(row["file_path"])} for row in rows],
            widest=max(map(_lines, rows), default=0),
            start=start,
            following=start + files.PAGE if more else None,
            switches=_switches(order, part),
            labels=labels(visit.kept()),
        )

    return await visit.export.read(answer)


def _switches(order: str, part: str) -> dict[str, str]:
    """Return the parameters of the address other than the filters."""
    return {"order": "" if order == "lines" else order, "name": part}


def _lines(row: dict[str, Any]) -> int:
    return (row["added"] or 0) + (row["removed"] or 0)
