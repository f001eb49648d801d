"""Record the settings that the running stack was started with.

Processes keep the environment that supervisord had at its start, so a later change
takes effect only after `down` and `up`. A value that may contain a password is stored
only as a slow, salted hash.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path

from cclake_common import settings

from cclake_stack.config import SETTINGS, Setting

# Settings that no process of the stack reads.
_NOT_READ = {"DBT_DOCS_PORT", "METABASE_PORT", "PREFECT_PORT", "CCLAKE_TIMEZONE"}


def record() -> None:
    """Record the current settings; call this when supervisord is started."""
    path = _path()
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        salt = secrets.token_bytes(16)
        json.dump({"salt": salt.hex(), "settings": _fingerprints(salt)}, file)


def changed() -> list[str]:
    """Return the settings that differ from those at the start, as far as known."""
    try:
        found = json.loads(_path().read_bytes())
    except (OSError, ValueError):
        return []
    if "salt" not in found:
        return ["version of cclake"]
    then = found["settings"]
    now = _fingerprints(bytes.fromhex(found["salt"]))
    return [name for name, mark in now.items() if then.get(name) != mark]


def _fingerprints(salt: bytes) -> dict[str, str]:
    return {
        one.name: _fingerprint(one, os.environ.get(one.name) or one.default, salt)
        for one in SETTINGS
        if one.name not in _NOT_READ and one.name != "CCLAKE_HOME"
    }


def _fingerprint(setting: Setting, value: str, salt: bytes) -> str:
    """Return the value, or a hash if it is secret or may contain a password."""
    may_be_secret = setting.is_secret or "@" in value or "://" in value
    if not value or not may_be_secret:
        return value
    return hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1).hex()


def _path() -> Path:
    return settings.home() / "started.json"
