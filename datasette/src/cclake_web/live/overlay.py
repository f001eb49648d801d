"""Keep the lines above the export up to date while pages are requested.

A thread queries MongoDB, and a page waits for it only briefly.
"""

from __future__ import annotations

import asyncio

from cclake_archive.live import overlay
from cclake_archive.live.lines import Lines
from cclake_archive.live.overlay import PATIENCE, Opener


class Overlay(overlay.Overlay):
    """The lines above the export, for all pages of one server.

    Args:
        lines: Where they are.
        expected: Whether to report a missing MongoDB; a copied export has none.
    """

    def __init__(self, lines: Lines, expected: bool = True) -> None:
        super().__init__(lines, "web", expected)
        self._look: asyncio.Future[None] | None = None

    async def look(self, export: Opener) -> None:
        """Read what is new in MongoDB; wait a moment for it, if it has been quick."""
        if self._look is None and self.is_due:
            asked = asyncio.to_thread(self.refresh, export)
            self._look = asyncio.ensure_future(asked)
            self._look.add_done_callback(self._looked)
        if self._look and not self.is_slow:
            await asyncio.wait({self._look}, timeout=PATIENCE)

    def _looked(self, done: asyncio.Future[None]) -> None:
        self._look = None
        done.exception()  # otherwise asyncio would print it
