"""Record what was created in Metabase: ids by name, and digests of what was sent.

With this record, a second run sends only what has changed.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cclake_common.failure import Failure


@dataclass(frozen=True)
class Made:
    """An object in Metabase, and the digest of the body that was sent."""

    id: int
    digest: str


class Ledger:
    """Record `Made` by name; write it after each change, so that a kill is harmless."""

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url.rstrip("/")
        self._made: dict[str, Made] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            # Ids of another Metabase mean nothing in this one.
            if content["url"] == self._url:
                self._made = {
                    name: Made(each["id"], each["digest"])
                    for name, each in content["made"].items()
                }
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(
                f"cannot read {self._path}: {error}",
                "Delete it: objects in Metabase are then found by name.",
            ) from error

    def get(self, name: str) -> Made | None:
        """Return what was created under a name; None if nothing was."""
        return self._made.get(name)

    def names(self) -> list[str]:
        """Return all names."""
        return list(self._made)

    def keep(self, name: str, id_: int, body: dict[str, Any] | None = None) -> None:
        """Record an object."""
        self._made[name] = Made(id_, digest(body))
        self._write()

    def forget(self, name: str) -> None:
        """Remove an object from the record."""
        del self._made[name]
        self._write()

    def _write(self) -> None:
        made = {
            name: {"id": each.id, "digest": each.digest}
            for name, each in sorted(self._made.items())
        }
        text = json.dumps({"url": self._url, "made": made}, indent=2)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(self._path)


def digest(body: dict[str, Any] | None) -> str:
    """Return a digest that is equal for equal bodies."""
    text = json.dumps(body, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=16).hexdigest()
