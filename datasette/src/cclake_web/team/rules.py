"""Read the users of a team and their rights: `team.toml` in the data directory."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cclake_common import accounts, toml_file
from cclake_common.accounts import NO_RULES, Accounts, folder_prefix
from cclake_common.failure import Failure
from cclake_common.toml_file import Mistake

from cclake_web.team.reader import WHOLE, Reader, Rights

FILE = "team.toml"
_HINT = "docs/scale.md shows an example."
_LISTS = ("hosts", "projects", "accounts")
_PASSWORD = "pbkdf2_sha256$"


@dataclass(frozen=True)
class User:
    """A user of the file.

    Attributes:
        reader: The name and the rights.
        password: The hash of the password; "" if only the proxy names this user.
    """

    reader: Reader
    password: str = ""

    @property
    def key(self) -> str:
        """The part of a sign-in cookie that another password makes invalid."""
        given = f"{self.reader.name}\0{self.password}".encode()
        return blake2b(given, digest_size=16).hexdigest()


@dataclass(frozen=True)
class Team:
    """The content of the file.

    Attributes:
        users: The users by name.
        header: The header in which the reverse proxy names the user, in lower case;
            "" without one.
    """

    users: dict[str, User]
    header: str = ""

    @property
    def has_passwords(self) -> bool:
        """Whether anybody can sign in with a password."""
        return any(user.password for user in self.users.values())


def team_of(path: Path) -> Team:
    """Return the team of a file, which is read again when it has changed.

    Raises:
        Failure: It is missing or wrong, or the accounts beside it are.
    """
    return _read(path, _state(path), _state(path.with_name(accounts.FILE)))


def is_current(path: Path, reader: Reader) -> bool:
    """Return whether the file still gives a reader these rights."""
    try:
        user = team_of(path).users.get(reader.name)
    except Failure:
        return False
    return user is not None and user.reader == reader


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=1)
def _read(path: Path, *_state: tuple[int, ...]) -> Team:
    # An exception is not kept: the file is read again at the next request.
    rules = accounts.load(path.with_name(accounts.FILE))
    return toml_file.read(path, lambda found: _team(found, rules), _HINT)


def _team(found: dict[str, Any], rules: Accounts) -> Team:
    toml_file.refuse_others(found, ("user", "user_header"))
    header = found.get("user_header", "")
    if header and not (toml_file.is_line(header) and _is_name(header)):
        raise Mistake("user_header is not the name of a header", "user_header")
    users: dict[str, User] = {}
    for number, table in enumerate(toml_file.tables(found, "user"), 1):
        user = _user(table, number, rules)
        if user.reader.name in users:
            raise Mistake(
                f"user {number}: another user has this name", "name", "user", number
            )
        users[user.reader.name] = user
    return Team(users, header.lower())


def _is_name(header: str) -> bool:
    return header.isascii() and header.replace("-", "").isalnum()


def _user(table: dict[str, Any], number: int, rules: Accounts) -> User:
    def wrong(what: str, key: str = "") -> Mistake:
        return Mistake(f"user {number}: {what}", key, "user", number)

    known = ("name", "password", "reads", *_LISTS)
    toml_file.refuse_others(table, known, "user", number)
    name = table.get("name", "")
    if not toml_file.is_line(name) or name != name.strip():
        raise wrong("name is not a text of one line", "name")
    password = table.get("password", "")
    is_hash = isinstance(password, str) and password.startswith(_PASSWORD)
    if "password" in table and not (is_hash and password.count("$") == 3):
        raise wrong("password is not a hash of `datasette hash-password`", "password")
    for key in _LISTS:
        given = table.get(key, [])
        if not isinstance(given, list) or not all(map(toml_file.is_line, given)):
            raise wrong(f'{key} is not a list of texts, such as ["laptop"]', key)
    given = [key for key in _LISTS if table.get(key)]
    if table.get("reads", "all") != "all":
        raise wrong('reads can only be "all"', "reads")
    if ("reads" in table) == bool(given):
        raise wrong('give either reads = "all", or some of hosts, projects, accounts')
    for path in table.get("projects", []):
        if not (path[0] in "/\\" or path[1:2] == ":"):
            raise wrong(f"project {path!a} is not an absolute path", "projects")
    rights = WHOLE if "reads" in table else _rights(table, rules)
    return User(Reader(str(name), rights), password)


def _rights(table: dict[str, Any], rules: Accounts) -> Rights:
    named = [rules.named(name) for name in table.get("accounts", [])]
    found = frozenset(one for some in named for one in some)
    # An account of no rule has no sessions, and "none" has those without an account.
    return Rights(
        hosts=frozenset(table.get("hosts", ())),
        folders=tuple(map(folder_prefix, table.get("projects", ()))),
        accounts=found,
        rules=rules if found else NO_RULES,
    )
