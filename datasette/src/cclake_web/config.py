"""Read the settings of the pages from the environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from cclake_common import accounts, budgets
from cclake_common.kept import default_path
from cclake_common.settings import (
    LOOPBACK,
    NO,
    home,
    hosts,
    in_home,
    mongo_uri,
    secret,
    web_token,
)

from cclake_web.team import rules


@dataclass(frozen=True)
class Config:
    """The settings of the pages.

    Attributes:
        export: The SQLite export that `publish` writes.
        kept: The file of stars, labels and notes.
        budgets: The file of budgets.
        accounts: The file of accounts.
        record: The pipeline's log of runs, if it belongs to this export.
        hosts: Names that a `Host` header may have, without port.
        password: Whether a password guards the pages.
        reveal: Whether secrets can be shown on request.
        token: The secret that opens the pages, or "" if none is needed.
        is_team: Whether the pages are for the users of a file.
        team: The file of these users.
        proxy_secret: The secret with which a reverse proxy may name a user.
        audit: The file that records what the users of a team reveal and export.
        mongo_uri: The MongoDB that has the lines.
        mongo_db: The database that holds `conversations`.
        has_mongodb: Whether that MongoDB should answer; not with a copied export.
    """

    export: Path
    kept: Path = field(default_factory=default_path)
    budgets: Path = field(default_factory=lambda: home() / budgets.FILE)
    accounts: Path = field(default_factory=lambda: home() / accounts.FILE)
    record: Path | None = None
    hosts: frozenset[str] = field(default_factory=lambda: frozenset(LOOPBACK))
    password: bool = False
    reveal: bool = True
    token: str = ""
    is_team: bool = False
    team: Path = field(default_factory=lambda: home() / rules.FILE)
    proxy_secret: str = ""
    audit: Path = field(default_factory=lambda: home() / "audit.jsonl")
    mongo_uri: str = ""
    mongo_db: str = "claude_logs"
    has_mongodb: bool = True


def from_environ() -> Config:
    """Read `EXPORT_DIR`, `CCLAKE_ALLOWED_HOSTS`, `MONGO_URI` and the others."""
    exports = in_home("EXPORT_DIR", "exports")
    ours = (
        exports.name == "exports"
    )  # an export of a data directory, with the log of runs beside it
    is_team = os.environ.get("CCLAKE_WEB_TEAM", "no").lower() not in ("", *NO)
    return Config(
        export=exports / "conversations.db",
        record=exports.parent / "pipeline.db" if ours else None,
        hosts=hosts(),
        password=bool(os.environ.get("CCLAKE_WEB_PASSWORD_HASH")),
        reveal=os.environ.get("CCLAKE_WEB_REVEAL", "yes").lower() not in NO,
        token=web_token(),
        is_team=is_team,
        proxy_secret=secret("proxy-secret") if is_team else "",
        mongo_uri=mongo_uri(),
        mongo_db=os.environ.get("MONGO_DB") or "claude_logs",
        has_mongodb=bool(os.environ.get("MONGO_URI")) or (home() / "mongo").is_dir(),
    )
