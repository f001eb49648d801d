"""With which settings the running stack was started.

Processes keep the environment that supervisord had at its start: what is set
later is in effect after `down` and `up` only. Digests, since values may be secret.
"""

import json
import os
from hashlib import blake2b
from pathlib import Path

from cclake_common import settings

from cclake_stack.known import SETTINGS

# What no process of the stack reads.
_APART = {"DBT_DOCS_PORT", "METABASE_PORT", "PREFECT_PORT", "CCLAKE_TIMEZONE"}


def remember() -> None:
    """Write down the present settings; call it when supervisord is started."""
    path = _path()
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        json.dump(_digests(), file)


def changed() -> list[str]:
    """Settings that are others now than at the start, where that is known."""
    try:
        then = json.loads(_path().read_bytes())
    except (OSError, ValueError):
        return []
    return [name for name, digest in _digests().items() if then.get(name) != digest]


def _digests() -> dict[str, str]:
    found = {one.name: os.environ.get(one.name) or one.default for one in SETTINGS}
    return {
        name: blake2b(value.encode(), digest_size=8).hexdigest()
        for name, value in found.items()
        if name not in _APART and name != "CCLAKE_HOME"
    }


def _path() -> Path:
    return settings.home() / "started.json"
