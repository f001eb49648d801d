"""Name the reader of a request, and what they may read."""

from contextvars import ContextVar
from dataclasses import dataclass

from cclake_common.accounts import NO_RULES, Accounts, folder_prefix


@dataclass(frozen=True)
class Rights:
    """The sessions that may be read: all of them, or those that any rule names.

    Attributes:
        is_whole: Whether everything may be read.
        hosts: Names of hosts.
        folders: Folders of projects, each with a slash at its end.
        accounts: Names of accounts, "" for sessions without one.
        rules: The rules that say what an account is.
    """

    is_whole: bool = False
    hosts: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()
    accounts: frozenset[str] = frozenset()
    rules: Accounts = NO_RULES

    def allow(self, host: str | None, path: str | None) -> bool:
        """Return whether sessions of a host in a project's folder may be read."""
        if self.is_whole or (host and host in self.hosts):
            return True
        if path and folder_prefix(path).startswith(self.folders):
            return True
        return bool(self.accounts) and self.rules.of(host, path) in self.accounts


@dataclass(frozen=True)
class Reader:
    """A user of the team, as the server recognised them."""

    name: str
    rights: Rights


WHOLE = Rights(is_whole=True)
NOBODY = Reader("", Rights())
# The reader of the current request. Without a team there is none, and no limit; nor is
# there for what the server does by itself.
READER: ContextVar[Reader | None] = ContextVar("cclake_reader", default=None)
