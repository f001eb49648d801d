"""Find the account of a session: `accounts.toml` in the data directory.

Claude Code does not write an account into its logs, so hosts and folders decide. Each
query applies the rules, so an edit also changes old sessions.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from cclake_common import toml_file
from cclake_common.folders import normal_path
from cclake_common.settings import home
from cclake_common.toml_file import Mistake

FILE = "accounts.toml"
NONE = "none"
"""The word for sessions without an account."""
_HINT = "docs/accounting.md shows an example."
# The folder of each project, with a slash at the end; "" is a session without one.
_KEYS = r"""select p.project_key from (
    select project_key, rtrim(replace(coalesce(project_path, ''), '\', '/'), '/')
        || '/' as folder from dim_projects union all select '', '/') as p
where coalesce((select json_extract(r.value, '$[0]') from json_each({rules}) as r
    where substr(p.folder, 1, length(json_extract(r.value, '$[1]')))
        = json_extract(r.value, '$[1]') order by r.key limit 1), '') in {names}"""


class Rule(NamedTuple):
    """A rule; "" is any host or folder. A folder ends with a slash."""

    account: str
    host: str
    folder: str


class Accounts(NamedTuple):
    """The rules, the most specific first."""

    rules: tuple[Rule, ...] = ()

    @property
    def names(self) -> list[str]:
        """The accounts, in alphabetical order."""
        return sorted({rule.account for rule in self.rules}, key=str.casefold)

    def of(self, host: str | None, folder: str | None) -> str:
        """Return the account of a host and a working folder; "" if there is none."""
        place = folder_prefix(folder or "")
        for rule in self._of_host(host or ""):
            if place.startswith(rule.folder):
                return rule.account
        return ""

    def named(self, name: str, is_part: bool = False) -> list[str]:
        """Return the accounts of a name, case ignored; "" for sessions without any.

        Args:
            name: A name, or `none`.
            is_part: Also return those with the name as a part of theirs.
        """
        wanted = name.casefold()
        if wanted == NONE:
            return [""]
        return [
            one
            for one in self.names
            if wanted == one.casefold() or (is_part and wanted in one.casefold())
        ]

    def condition(self, accounts: list[str], table: str = "t") -> str:
        """Return a SQL condition that a row is of one of some accounts.

        The query needs `dim_projects`.

        Args:
            accounts: Their names; "" for rows without an account.
            table: The name of a table with `host` and `project_key`; "": not needed.
        """
        if not accounts:
            return "(false)"  # as a constant it ends a search at once
        prefix = f"{table}." if table else ""
        hosts = dict.fromkeys(rule.host for rule in self.rules if rule.host)
        cases = [
            f"when {_literal(host)} then {self._case(accounts, host, prefix)}"
            for host in hosts
        ]
        other = self._case(accounts, "", prefix)
        if not cases:
            return f"({other})"
        return f"(case {prefix}host {' '.join(cases)} else {other} end)"

    def _case(self, accounts: list[str], host: str, prefix: str) -> str:
        rules = self._of_host(host)
        if not rules or not rules[0].folder:  # the same for all folders
            account = rules[0].account if rules else ""
            return "true" if account in accounts else "false"
        keys = _KEYS.format(
            rules=_literal(json.dumps([[r.account, r.folder] for r in rules])),
            names=f"({', '.join(map(_literal, accounts))})",
        )
        return f"coalesce({prefix}project_key, '') in ({keys})"

    def _of_host(self, host: str) -> list[Rule]:
        return [rule for rule in self.rules if rule.host in ("", host)]


NO_RULES = Accounts()


def load(path: Path | None = None) -> Accounts:
    """Read the rules; without a file there are none.

    Args:
        path: The file; None is that of the data directory.

    Raises:
        Failure: The file cannot be read, or it is wrong.
    """
    path = path or home() / FILE
    return toml_file.read(path, _accounts, _HINT) if path.exists() else NO_RULES


def _accounts(found: dict[str, Any]) -> Accounts:
    toml_file.refuse_others(found, ("account",))
    rules = [
        _rule(table, number)
        for number, table in enumerate(toml_file.tables(found, "account"), 1)
    ]
    seen: dict[tuple[str, str], int] = {}
    for number, rule in enumerate(rules, 1):
        first = seen.setdefault((rule.host, rule.folder), number)
        if first != number:
            raise Mistake(
                f"account {number}: account {first} has the same host and folder",
                "", "account", number,
            )  # fmt: skip
    return Accounts(tuple(sorted(rules, key=lambda r: (-len(r.folder), not r.host))))


def _rule(table: dict[str, Any], number: int) -> Rule:
    which = f"account {number}"
    toml_file.refuse_others(table, ("name", "host", "folder"), "account", number)
    if "name" not in table:
        raise Mistake(f"{which}: name is missing", "", "account", number)
    for key in ("name", "host", "folder"):
        if not toml_file.is_line(table.get(key, "-")):
            raise Mistake(
                f"{which}: {key} is not a text of one line", key, "account", number
            )
    name = table["name"].strip()
    if name.casefold() == NONE:
        raise Mistake(
            f"{which}: {NONE} stands for no account", "name", "account", number
        )
    folder = table.get("folder", "")
    if folder and not (folder[0] in "/\\" or folder[1:2] == ":"):
        raise Mistake(
            f"{which}: folder is not an absolute path", "folder", "account", number
        )
    return Rule(name, table.get("host", ""), folder_prefix(folder) if folder else "")


def folder_prefix(path: str) -> str:
    """Return a folder with slashes and one at its end, for a comparison of prefixes."""
    return normal_path(path).replace("\\", "/").rstrip("/") + "/"


def _literal(text: str) -> str:
    """Return a text without null characters as SQL."""
    return "'" + text.replace("'", "''") + "'"
