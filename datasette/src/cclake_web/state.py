"""Hold the state of the plugin for each Datasette instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from cclake_archive.live.lines import Lines
from cclake_common.kept import Store, user_path

from cclake_web.config import Config, from_environ
from cclake_web.export import Export
from cclake_web.live.overlay import Overlay
from cclake_web.team.attempts import Attempts
from cclake_web.team.reader import Reader

if TYPE_CHECKING:  # Datasette loads its plugins while it is being imported
    from datasette.app import Datasette


@dataclass
class State:
    """The settings, the export, the overlay, and what each user keeps and tries."""

    config: Config
    export: Export
    lines: Lines
    overlay: Overlay
    kept: Store
    own: dict[str, Store] = field(default_factory=dict)
    attempts: Attempts = field(default_factory=Attempts)

    def kept_of(self, reader: Reader | None) -> Store:
        """Return what a reader keeps: of a team, each has a file of their own."""
        if reader is None:
            return self.kept
        if reader.name not in self.own:
            path = user_path(reader.name, self.config.kept)
            self.own[reader.name] = Store(path)
        return self.own[reader.name]


_STATES: WeakKeyDictionary[Datasette, State] = WeakKeyDictionary()


def state_of(datasette: Datasette) -> State:
    """Return the state of a Datasette instance; create it from the environment."""
    state = _STATES.get(datasette)
    if state is None:
        config = from_environ()
        lines = Lines(config.mongo_uri, config.mongo_db, "web")
        state = _STATES[datasette] = State(
            config,
            Export(datasette, config.export),
            lines,
            Overlay(lines, config.has_mongodb),
            Store(config.kept),
        )
    return state
