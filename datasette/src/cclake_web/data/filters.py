"""Read the filters of a page from its address, and write them as SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, tzinfo
from typing import Any
from urllib.parse import urlencode

from cclake_archive.json_text import dumps
from cclake_common.accounts import NO_RULES, Accounts
from cclake_common.search import Within
from cclake_common.times import day_start

# Orders of sessions `s` and their metrics `m`, with their labels.
SORTS = {
    "recent": ("coalesce(s.ended_at, s.started_at, '')", "Newest"),
    "cost": ("coalesce(m.cost_usd, 0)", "Cost"),
    "tokens": ("coalesce(m.total_tokens, 0)", "Tokens"),
    "turns": ("coalesce(m.turns, 0)", "Turns"),
    "time": ("coalesce(s.active_s, s.wall_s, 0)", "Time"),
    "errors": ("coalesce(m.tool_errors, 0) + coalesce(m.api_errors, 0)", "Errors"),
}
CHOICES = ("project", "model", "branch", "host", "account")
# Links of charts: a tool, a kind of failure, an hour of the week (0 to 167).
DEEPER = ("tool", "kind", "slot")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Filters:
    """A selection of sessions; the query string is its only state."""

    project: str = ""
    model: str = ""
    branch: str = ""
    host: str = ""
    account: str = ""
    since: str = ""
    until: str = ""
    q: str = ""
    errors: bool = False
    tool: str = ""
    kind: str = ""
    slot: str = ""
    starred: bool = False
    label: str = ""
    kept: tuple[str, ...] = ()  # the sessions with such a star or label
    sort: str = "recent"
    rules: Accounts = NO_RULES  # that say what an account is
    zone: tzinfo = field(default=UTC, compare=False)

    @classmethod
    def from_args(
        cls, args: Mapping[str, str], zone: tzinfo, rules: Accounts = NO_RULES
    ) -> "Filters":
        """Read the query string; ignore invalid values."""
        names = (*CHOICES, "q", "tool", "kind", "label")
        known: dict[str, Any] = {name: args.get(name, "").strip() for name in names}
        sort, slot = args.get("sort", ""), args.get("slot", "")
        return cls(
            **known,
            since=_iso(args.get("since", "")),
            until=_iso(args.get("until", "")),
            errors=args.get("errors", "") == "1",
            starred=args.get("starred", "") == "1",
            slot=slot if slot in _SLOTS else "",
            sort=sort if sort in SORTS else "recent",
            rules=rules,
            zone=zone,
        )

    def query(self, **changes: Any) -> str:
        """Return the query string of this selection with changes; omit defaults."""
        now = replace(self, **{k: v for k, v in changes.items() if hasattr(self, k)})
        names = (*CHOICES, "since", "until", "q", *DEEPER, "label")
        pairs = {name: getattr(now, name) for name in names}
        pairs["errors"] = "1" if now.errors else ""
        pairs["starred"] = "1" if now.starred else ""
        pairs["sort"] = now.sort if now.sort != "recent" else ""
        pairs.update({k: v for k, v in changes.items() if not hasattr(self, k)})
        return urlencode({name: value for name, value in pairs.items() if value})

    @property
    def active(self) -> bool:
        """Whether there is any filter."""
        return replace(self, sort="recent", rules=NO_RULES) != Filters()

    @property
    def deeper(self) -> list[tuple[str, str]]:
        """The filters that only charts set: their names and meanings."""
        hour = int(self.slot or 0)
        said = (
            ("tool", self.tool and f"called {self.tool}"),
            ("kind", self.kind and f"failed: {self.kind.replace('_', ' ')}"),
            ("slot", self.slot and f"{WEEKDAYS[hour // 24]} {hour % 24}:00"),
        )
        return [(name, words) for name, words in said if words]

    @property
    def keeps(self) -> bool:
        """Whether only sessions with some star or label are chosen."""
        return self.starred or bool(self.label)

    def of_account(self, table: str) -> str:
        """Return the condition that a row is of the account; "" if none is chosen.

        Args:
            table: The name of a table with `host` and `project_key`; "": not needed.
        """
        if not self.account:
            return ""
        return self.rules.condition(self.rules.named(self.account), table)

    def bounds(self) -> tuple[str, str]:
        """Return the start and the end, as the export writes times."""
        return day_start(self.since, self.zone), day_start(self.until, self.zone, 1)

    def within(self) -> Within:
        """Return the kinds of blocks that a search covers."""
        low, high = self.bounds()
        return Within(
            projects=(self.project,) if self.project else (),
            host=self.host,
            branch=self.branch,
            model=f",{self.model}," if self.model else "",
            low=low,
            high=high,
            sessions=self.kept if self.keeps else None,
            account=self.account,
            rules=self.rules,
        )

    def where(self) -> tuple[list[str], dict[str, Any]]:
        """Return conditions on sessions `s` and their metrics `m`, with values."""
        low, high = self.bounds()
        conditions = (
            (self.project, "s.project_key = :project"),
            (self.branch, "s.git_branch = :branch"),
            (self.host, "s.host = :host"),
            (self.account, self.of_account("s")),
            (self.model, _HAS_MODEL),
            (low, "coalesce(s.ended_at, s.started_at) >= :low"),
            (high, "s.started_at < :high"),
            (self.errors, f"{SORTS['errors'][0]} > 0"),
            (self.q, _ABOUT),
            (self.keeps, "s.session_id in (select value from json_each(:kept))"),
        )  # fmt: skip
        values = {
            "project": self.project, "branch": self.branch, "host": self.host,
            "tool": self.tool, "kind": self.kind, "slot": int(self.slot or 0),
            "model": f",{self.model},", "low": low, "high": high, "q": self.q,
            "like": f"%{like(self.q)}%", "kept": dumps(self.kept),
        }  # fmt: skip
        return [sql for wanted, sql in conditions if wanted], values


_ABOUT = r"""(s.session_id = :q
    or s.title like :like escape '\' or s.first_prompt like :like escape '\')"""
_HAS_MODEL = "instr(',' || replace(s.models, ', ', ',') || ',', :model) > 0"
_SLOTS = {str(slot) for slot in range(7 * 24)}


def like(text: str) -> str:
    r"""Return a text as a part of a LIKE pattern, with `\` as its escape."""
    for odd in ("\\", "%", "_"):
        text = text.replace(odd, "\\" + odd)
    return text


def _iso(text: str) -> str:
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        return ""
