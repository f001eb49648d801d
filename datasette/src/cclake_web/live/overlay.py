"""Keep the lines above the export up to date while pages are requested.

A thread queries MongoDB, and a page waits for it only briefly.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from cclake_archive.live import overlay
from cclake_archive.live.base import base_of
from cclake_archive.live.lines import Lines
from cclake_archive.live.overlay import PATIENCE, Opener
from cclake_archive.live.tables import Tables

from cclake_web.export import reading
from cclake_web.team import limits
from cclake_web.team.reader import Rights


class Overlay(overlay.Overlay):
    """The lines above the export, for all pages of one server.

    Args:
        lines: Where they are.
        expected: Whether to report a missing MongoDB; a copied export has none.
    """

    def __init__(self, lines: Lines, expected: bool = True) -> None:
        super().__init__(lines, "web", expected)
        self._look: asyncio.Future[None] | None = None
        self._export: Opener | None = None

    async def look(self, export: Opener) -> None:
        """Read what is new in MongoDB; wait a moment for it, if it has been quick."""
        self._export = export
        if self._look is None and self.is_due:
            asked = asyncio.to_thread(self.refresh, export)
            self._look = asyncio.ensure_future(asked)
            self._look.add_done_callback(self._looked)
        if self._look and not self.is_slow:
            await asyncio.wait({self._look}, timeout=PATIENCE)

    @contextmanager
    def over(self, export: sqlite3.Connection) -> Iterator[Tables | None]:
        """Provide the tables of the lines that a reading of the export lacks.

        Of a team's reader, they are limited as the export is.
        """
        rights = reading().rights
        if rights is None:
            with super().over(export) as tables:
                yield tables
            return
        with self._lock:
            if base_of(export) != self._base and self._export:
                # The tables of all readers: this connection sees a part of the export.
                with closing(self._export.connect()) as whole:
                    self._settle(whole)
            if self._tables is None:
                yield None
                return
            sessions = _readable(self._tables, export, rights)
            with limits.narrowed(self._tables.connection, sessions):
                yield self._tables

    def _looked(self, done: asyncio.Future[None]) -> None:
        self._look = None
        done.exception()  # otherwise asyncio would print it


def _readable(
    tables: Tables, export: sqlite3.Connection, rights: Rights
) -> frozenset[str]:
    """Return the sessions with unpublished lines that may be read.

    The export decides about those that it has. A session that repeats messages of one
    that may not be read waits until it is published.
    """

    def is_published(session_id: str) -> bool:
        sql = "select 1 from dim_sessions where session_id = ?"
        return export.execute(sql, (session_id,)).fetchone() is not None

    places = {one[0]: one[1:] for one in limits.live_places(tables.connection)}
    found = {
        session_id
        for session_id in tables.sessions
        if (
            rights.allow(*places[session_id])
            if tables.is_new(session_id)
            else is_published(session_id)
        )
    }
    return frozenset(
        one
        for one in found
        if all(kin in found or is_published(kin) for kin in tables.kin(one))
    )
