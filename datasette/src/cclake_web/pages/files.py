"""Serve our static files, and images from the logs."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from cclake_archive.live.images import image_of
from cclake_archive.live.lines import Unreachable
from datasette.utils.asgi import NotFound, Request, Response

from cclake_web.pages.raw import may_read_line
from cclake_web.pages.web import Visit, asset, view

if TYPE_CHECKING:  # Datasette loads plugins while it is imported
    from datasette.app import Datasette

ASSETS = {
    "web.css": "text/css; charset=utf-8",
    "stock.css": "text/css; charset=utf-8",
    "numbers.css": "text/css; charset=utf-8",
    "theme.css": "text/css; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "web.js": "text/javascript; charset=utf-8",
    "find.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"


async def asset_file(request: Request, datasette: Datasette) -> Response:
    """`/-/cclake/<hash>/<name>`: open to everyone; it has no text of the logs."""
    name = request.url_vars["name"]
    if name not in ASSETS:
        raise NotFound("No such file")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(asset(name)[0], content_type=ASSETS[name], headers=headers)


@view
async def image_file(visit: Visit) -> Response:
    """`/image/<key>`: an image from a log; only types that can't hold a script."""
    key = visit.part("key")

    def find(connection: sqlite3.Connection) -> tuple[str, bytes] | None:
        sql = "select media_type, data from images join image_data using (image_key)"
        sql += " where image_key = ?"
        row = connection.execute(sql, (key,)).fetchone()
        return (row["media_type"], row["data"]) if row else None

    return _image(await visit.export.read(find))


@view
async def line_image(visit: Visit) -> Response:
    """`/line-image/<doc_id>/<n>`: the n-th image of a line in MongoDB."""
    doc_id, number = visit.part("doc_id"), int(visit.part("number"))
    try:
        found = await asyncio.to_thread(visit.state.lines.line, doc_id)
    except Unreachable:
        raise NotFound("MongoDB does not answer") from None
    if found and not await may_read_line(visit, *found):
        found = None
    return _image(image_of(found[1], number) if found else None)


def _image(found: tuple[str, bytes] | None) -> Response:
    if not found or found[0] not in IMAGES or not isinstance(found[1], bytes):
        raise NotFound("No such image")
    headers = {
        "content-security-policy": _SANDBOX,
        "content-disposition": "inline",
        "cache-control": "private, max-age=86400, immutable",
    }
    return Response(found[1], content_type=found[0], headers=headers)
