"""Determine whether gold was built with the current dbt project."""

import os
from hashlib import blake2b
from pathlib import Path

MEMORY = "CCLAKE_DUCKDB_MEMORY"
_MAKES_GOLD = (
    "dbt_project.yml",
    "macros/**/*.sql",
    "models/**/*.sql",
    "seeds/**/*.csv",
)


def fingerprint(project: Path) -> str:
    """Return a digest of everything besides the logs that gold depends on.

    Incremental models keep rows of earlier models and prices, so gold must be rebuilt
    when this changes.
    """
    found = sorted({path for part in _MAKES_GOLD for path in project.glob(part)})
    prices = os.environ.get("CCLAKE_PRICES")
    own = [Path(prices).expanduser()] if prices else []
    digest = blake2b(digest_size=16)
    for path in [*found, *(path for path in own if path.is_file())]:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def statements_key(project: str, folder: Path, *settings: str) -> str:
    """Return the digest of everything that the saved statements depend on.

    Args:
        project: The fingerprint of the project.
        folder: The project, for its profile.
        settings: The name of the database and the target.
    """
    digest = blake2b(project.encode(), digest_size=16)
    digest.update((folder / "profiles.yml").read_bytes())
    named = [os.environ.get(name, "") for name in ("CCLAKE_PRICES", MEMORY)]
    digest.update("\0".join([*settings, *named]).encode())
    return digest.hexdigest()
