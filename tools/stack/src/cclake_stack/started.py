"""With which settings the running stack was started.

Processes keep the environment that supervisord had at its start: what is set
later takes effect only after `down` and `up`. A value that may hold a password is kept
only as a slow, salted hash.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path

from cclake_common import settings

from cclake_stack.known import SETTINGS, Setting

# What no process of the stack reads.
_APART = {"DBT_DOCS_PORT", "METABASE_PORT", "PREFECT_PORT", "CCLAKE_TIMEZONE"}


def remember() -> None:
    """Write down the present settings; call it when supervisord is started."""
    path = _path()
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        salt = secrets.token_bytes(16)
        json.dump({"salt": salt.hex(), "settings": _marks(salt)}, file)


def changed() -> list[str]:
    """Settings that are others now than at the start, where that is known."""
    try:
        found = json.loads(_path().read_bytes())
    except (OSError, ValueError):
        return []
    if "salt" not in found:
        return ["version of cclake"]
    then = found["settings"]
    now = _marks(bytes.fromhex(found["salt"]))
    return [name for name, mark in now.items() if then.get(name) != mark]


def _marks(salt: bytes) -> dict[str, str]:
    return {
        one.name: _mark(one, os.environ.get(one.name) or one.default, salt)
        for one in SETTINGS
        if one.name not in _APART and one.name != "CCLAKE_HOME"
    }


def _mark(setting: Setting, value: str, salt: bytes) -> str:
    """Return the value, or a hash where it is secret or may hold a password."""
    may_be_secret = setting.is_secret or "@" in value or "://" in value
    if not value or not may_be_secret:
        return value
    return hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1).hex()


def _path() -> Path:
    return settings.home() / "started.json"
