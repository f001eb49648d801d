"""Query the export together with the lines that are archived and not yet published."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from cclake_common import accounts
from cclake_common.export import NAME, open_export
from cclake_common.failure import Failure
from cclake_common.search import ACCOUNT, Within, hits, question, scope
from cclake_common.settings import home, mongo_uri

from cclake_recall import conversation, sessions
from cclake_recall.find import Row, hit

if TYPE_CHECKING:
    from cclake_archive.live.lines import Lines
    from cclake_archive.live.overlay import Overlay

AWAY = "MongoDB does not answer: lines that are not published yet are missing"
CUT = "only the newest of the lines that are not published yet are shown"
LINES, SIZE = 2_000, 16_000_000  # maximum lines above the export, and their bytes


class Place(NamedTuple):
    """A message of a session: in which of the databases, and at which position."""

    number: int = 0
    position: int = 0


class Past:
    """One state of the export, with the lines above it.

    Args:
        export: The export.
        newer: Tables of the lines above it, with the same schema, if there are any.
        missing: What is missing, as `AWAY` or `CUT`; "" if all is here.
    """

    def __init__(
        self,
        export: sqlite3.Connection,
        newer: sqlite3.Connection | None = None,
        missing: str = "",
    ) -> None:
        self.export, self.newer, self.missing = export, newer, missing
        self._all = [export, *([newer] if newer else [])]

    def projects(self, part: str) -> tuple[str, ...]:
        """Return the keys of the projects whose name or path has a part.

        Raises:
            Failure: There is none.
        """
        return sessions.projects(self._all, part)

    def session(self, given: str) -> Row:
        """Return one session by its id, or by the beginning of its id.

        Raises:
            Failure: No session, or more than one, has such an id.
        """
        return sessions.session(self._all, given)

    def sessions(
        self,
        within: Within,
        *,
        words: str = "",
        folder: str = "",
        sort: str = "recent",
        limit: int = 20,
    ) -> list[Row]:
        """Return the first sessions of a selection in an order.

        Args:
            within: The selection.
            words: Each must be in the title, the first prompt or the project's name.
            folder: Return only those that ran in this folder.
            sort: A key of `sessions.SORTS`.
            limit: Maximum number of sessions.
        """
        moved = self._moved()
        found = [
            one
            for connection in self._all
            for one in sessions.placed(
                connection, within, words=words, folder=folder, sort=sort,
                limit=limit + len(moved),
            )
            if connection is self.newer or one.row["session"] not in moved
        ]  # fmt: skip
        found.sort(key=lambda one: (one.place, one.row["session"]), reverse=True)
        return [one.row for one in found[:limit]]

    def _moved(self) -> set[str]:
        """Return the sessions that have lines above the export."""
        if self.newer is None:
            return set()
        rows = self.newer.execute("select session_id from dim_sessions")
        return {row[0] for row in rows}

    def find(
        self,
        words: str,
        kinds: Sequence[str],
        within: Within,
        *,
        limit: int,
        best: bool = False,
        offset: int = 0,
        zone: tzinfo | None = None,
    ) -> tuple[list[Row], bool]:
        """Return hits with all words or, if there are none, the best with some of them.

        Those above the export come first.

        Returns:
            The hits, and whether they have only some of the words. In the excerpt of a
            hit, `OPEN` and `CLOSE` mark the words that were found.
        """
        asked = question(words, zone)
        if asked.is_empty:
            return [], False
        kinds, within = asked.kinds(kinds), within._replace(operators=asked.operators)
        if any(one.name == ACCOUNT for one in asked.operators):
            within = within._replace(rules=accounts.load())

        def search(match: str, best: bool, skip: int) -> list[Row]:
            found: list[Row] = []
            if self.newer:
                newer = hits(
                    self.newer, match, kinds, scope(self.newer, within),
                    limit=skip + limit, best=best, words=asked.words,
                )  # fmt: skip
                found, skip = newer[skip:], max(skip - len(newer), 0)
            if len(found) < limit:
                found += hits(
                    self.export, match, kinds, scope(self.export, within),
                    limit=limit - len(found), best=best, offset=skip,
                    words=asked.words,
                )  # fmt: skip
            return found

        found = search(asked.match, best, offset)
        loose = not found and not offset and asked.match != asked.loose
        if loose:
            found = search(asked.loose, True, 0)
        return [hit(row) for row in found], loose and bool(found)

    def place(
        self,
        session: str,
        agent: str | None = None,
        *,
        turn: int = 0,
        message: str = "",
    ) -> Place | None:
        """Return where a message, or else a turn, begins; None if there is none.

        Args:
            session: The session.
            agent: The thread of this subagent instead.
            turn: The turn; a negative one is the last.
            message: The key of the message.
        """
        if turn < 0 and not message:
            last = [conversation.last_turn(one, session, agent) for one in self._all]
            turn = max(last)
        for number, connection in enumerate(self._all):
            position = conversation.position(
                connection, session, agent, turn=turn, message=message
            )
            if position is not None:
                return Place(number, position)
        return None

    def keys(self, session: str, agent: str | None = None) -> list[tuple[str, str]]:
        """Return key and kind of each message of a thread, in their order."""
        return [
            pair
            for connection in self._all
            for pair in conversation.keys(connection, session, agent)
        ]

    def messages(
        self,
        session: str,
        *,
        agent: str | None = None,
        turn: int | None = None,
        start: Place = Place(),  # noqa: B008 - immutable
        everything: bool = False,
        wanted: Iterable[str] | None = None,
        results: bool = False,
    ) -> Iterator[Row]:
        """Yield the messages of a session in their order.

        Args:
            session: Its id.
            agent: Yield the messages of this subagent instead.
            turn: Yield only this turn.
            start: The first message.
            everything: Whether to include all subagents.
            wanted: Yield only the messages with these keys.
            results: Whether to include what Claude Code recorded beside results.
        """
        shift = 0
        keys = None if wanted is None else frozenset(wanted)
        agents = {
            call: started
            for one in self._all
            for call, started in conversation.agents(one, session).items()
        }
        for number, connection in enumerate(self._all):
            if number >= start.number:
                yield from conversation.messages(
                    connection, session, agents, agent=agent, turn=turn,
                    since=start.position if number == start.number else 0,
                    shift=shift, everything=everything, wanted=keys, results=results,
                )  # fmt: skip
            shift += conversation.last_position(connection, session)


class Source:
    """Opens the export, and reads the lines above it from MongoDB.

    Args:
        exports: The folder of the exports.
        is_live: Whether to read lines above the export.
    """

    def __init__(self, exports: Path, is_live: bool = True) -> None:
        self.exports, self._is_live = exports, is_live
        self._uri, self._name = "", os.environ.get("MONGO_DB") or "claude_logs"
        self._lines: Lines | None = None
        self._overlay: Overlay | None = None
        self._lock = Lock()  # `mcp` answers several questions at once

    def close(self) -> None:
        """Close the connection to MongoDB."""
        if self._lines:
            self._lines.close()

    def connect(self) -> sqlite3.Connection:
        """Open the export read-only."""
        from cclake_common.sqlite import connect_readonly

        return connect_readonly((self.exports / NAME).resolve())

    @contextmanager
    def open(self) -> Iterator[Past]:
        """Open one state of the export, and what MongoDB has above it.

        Raises:
            Failure: There is no export, or it cannot be read.
        """
        missing = ""
        if self._is_live:
            # Before the export is opened: one that is published meanwhile has more
            # lines than were looked up, never fewer.
            with self._lock:
                missing = self._look()
        with open_export(self.exports) as export, ExitStack() as stack:
            export.row_factory = sqlite3.Row
            tables = None
            if self._overlay:
                tables = stack.enter_context(self._overlay.over(export))
            newer = tables.connection if tables else None
            yield Past(export, newer, missing)

    def _look(self) -> str:
        """Read what is new in MongoDB; return what is missing, or "".

        Its driver is imported when there is something above the export.
        """
        if self._overlay is None:
            from cclake_archive import probe
            from cclake_archive.live.base import base_of

            try:
                acked = probe.acknowledged(self._address(), self._name)
            except (probe.Silent, Failure):
                return AWAY if _is_expected() else ""
            if acked is not None:
                with open_export(self.exports) as export:
                    if not base_of(export).is_behind(acked):
                        return ""
            from cclake_archive.live.lines import Lines
            from cclake_archive.live.overlay import Limits, Overlay

            self._lines = Lines(self._address(), self._name, "recall")
            self._overlay = Overlay(
                self._lines, "recall", _is_expected(), Limits(LINES, SIZE)
            )
        if self._overlay.is_due:
            self._overlay.refresh(self)
        status = self._overlay.status
        return AWAY if status.missed else CUT if status.cut else ""

    def _address(self) -> str:
        self._uri = self._uri or mongo_uri()
        return self._uri


def _is_expected() -> bool:
    """Return whether to report a missing MongoDB; a copied export has none."""
    return bool(os.environ.get("MONGO_URI")) or (home() / "mongo").is_dir()
