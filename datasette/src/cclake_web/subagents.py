"""Show the threads of subagents within the calls that started them."""

import sqlite3
import sys
from dataclasses import dataclass
from functools import cached_property

from cclake_common.masking import mask

from cclake_web.data import thread
from cclake_web.data.blocks import Call, Entry, Run, calls_of
from cclake_web.data.thread import Page, Sums
from cclake_web.data.workflows import runs
from cclake_web.formatting import one_line, squeeze
from cclake_web.render.cards import Card, cards_of

NESTED = 400  # maximum number of subagent entries on a page
MOST_OF_RUN = 200  # maximum number of subagents of a run that are listed
DEEPEST = 8  # maximum depth; deeper ones are loaded on demand


@dataclass(frozen=True)
class Ask:
    """The thread and the options of a request."""

    session_id: str
    page: int = 0
    at: str = ""
    agent: str | None = None
    everything: bool = False
    reveal: bool = False


@dataclass
class Nested:
    """A subagent's thread within its call; without cards it is loaded on demand.

    Attributes:
        is_again: Whether an earlier call on the page shows the same agent.
    """

    agent: str
    size: int
    sums: Sums
    cards: list[Card] | None
    is_again: bool = False

    @property
    def threads(self) -> list["Nested"]:
        """The threads that are shown in the call: its own."""
        return [self]


@dataclass
class NestedRun:
    """A workflow run within its call, with the threads of its subagents.

    Attributes:
        agents: The type of each subagent, what it was asked, and its thread.
        sums: Sums of all its subagents.
        more: Number of subagents that are not listed.
    """

    agents: list[tuple[str, str, Nested]]
    sums: Sums
    more: int = 0

    @property
    def threads(self) -> list[Nested]:
        """The threads of its subagents."""
        return [nested for _, _, nested in self.agents]


@dataclass(frozen=True)
class Loose:
    """A subagent without a call in the session."""

    agent: str
    size: int
    kind: str
    task: str


class Nester:
    """Gives the threads of subagents, to any depth, within a budget."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ask: Ask,
        budget: int = NESTED,
        deepest: int = DEEPEST,
    ) -> None:
        self.connection, self.ask, self.deepest = connection, ask, deepest
        self.sizes = thread.agents(connection, ask.session_id)
        self.about = (
            thread.about_agents(connection, ask.session_id) if self.sizes else {}
        )
        self.own = thread.agent_sums(connection, ask.session_id) if self.sizes else {}
        self.children = _children(connection, ask.session_id) if self.sizes else {}
        self.budget = budget
        self.shown: set[str] = set()
        self.above: list[str] = [ask.agent] if ask.agent else []

    def __call__(self, call: Call) -> Nested | NestedRun | None:
        """Return what a call started: an agent, or a workflow run; or None."""
        if call.block.tool_name == "Workflow":
            call.run = self._runs.get(call.block.tool_use_id)
            return self._run(call.run) if call.run else None
        return self._agent(call.subagent_id)

    @cached_property
    def _runs(self) -> dict[str, Run]:
        return runs(self.connection, self.ask.session_id, self.ask.reveal)

    def _run(self, run: Run) -> NestedRun | None:
        left = max(len(run.agents) - MOST_OF_RUN, 0)
        found = NestedRun([], self.total(*run.agents), left)
        for agent in run.agents[:MOST_OF_RUN]:
            if nested := self._agent(agent):
                found.agents.append((*self.asked(agent), nested))
        return found if found.agents else None

    def _agent(self, agent: str) -> Nested | None:
        """Return the thread of an agent, or None."""
        if agent not in self.sizes or agent in self.above:
            return None
        size = self.sizes[agent]
        nested = Nested(agent, size, self.total(agent), None)
        if agent in self.shown:
            nested.is_again = True
        elif size <= self.budget and len(self.above) < self.deepest:
            self.budget -= size
            self.shown.add(agent)
            self.above.append(agent)
            nested.cards = self._cards(agent)
            self.above.pop()
        return nested

    def _cards(self, agent: str) -> list[Card]:
        whole = Page(1, 0, sys.maxsize, (0, 0))
        entries: list[Entry] = thread.entries(
            self.connection, self.ask.session_id, whole, agent, self.ask.reveal
        )
        for entry in entries:
            entry.turn = 0
        calls = calls_of(self.connection, entries, self.ask.reveal)
        return cards_of(entries, calls, nest=self, everything=self.ask.everything)

    def total(self, *agents: str) -> Sums:
        """Return the sums of agents and of all that they started, each once."""
        found, queue, seen = Sums(), list(agents), set[str]()
        while queue:
            one = queue.pop()
            if one not in seen:
                seen.add(one)
                queue += self.children.get(one, [])
                _merge(found, self.own.get(one, Sums()))
        return found

    def _seen(self, text: str | None) -> str:
        # Mask before cutting, since the rules do not match part of a secret.
        return (text or "") if self.ask.reveal else mask(text or "")

    def named(self, agent: str | None) -> tuple[str, str]:
        """Return the type and the description of an agent, or ""."""
        kind, what = self.about.get(agent or "", ("", ""))
        return squeeze(self._seen(kind), 40), one_line(self._seen(what), 120)

    def asked(self, agent: str | None) -> tuple[str, str]:
        """Return the type of an agent and what it was asked, or "".

        That is its description, else the beginning of its task.
        """
        kind, what = self.named(agent)
        if agent and not what:
            tasks = thread.tasks(self.connection, self.ask.session_id, [agent])
            what = one_line(self._seen(tasks.get(agent)), 120)
        return kind, what

    def loose(self) -> list[Loose]:
        """Return the agents without a call in the session."""
        started = {child for many in self.children.values() for child in many}
        left = [agent for agent in self.sizes if agent not in started]
        asked = thread.tasks(self.connection, self.ask.session_id, left)
        found = []
        for agent in left:
            kind, what = self.named(agent)
            task = what or one_line(self._seen(asked.get(agent)), 120)
            found.append(Loose(agent, self.sizes[agent], kind, task))
        return found


def _children(connection: sqlite3.Connection, session_id: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        """select coalesce(agent_id, ''), subagent_id from fct_tool_calls
        where session_id = ? and subagent_id is not null""",
        (session_id,),
    )
    run = connection.execute(
        """select coalesce(parent_agent_id, ''), agent_id from dim_agents
        where session_id = ? and tool_use_id is not null""",
        (session_id,),
    )
    for parent, child in rows.fetchall() + run.fetchall():
        found.setdefault(parent, []).append(child)
    return found


def _merge(into: Sums, other: Sums) -> None:
    for name in (
        "responses", "final", "unpriced", "uncounted", "cost", "input", "output",
        "written", "read", "calls", "errors",
    ):  # fmt: skip
        setattr(into, name, getattr(into, name) + getattr(other, name))
    into.models |= other.models
