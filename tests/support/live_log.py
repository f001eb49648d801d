"""One log that anything may happen to, and what the buffer knows of it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from cclake_tailer.fingerprint import digest
from ledger import file_key
from live import Live


@dataclass
class Log:
    """A file as it should be.

    Attributes:
        keys: The keys that it may have, until it is seen; then the one it has.
        lines: Offsets and bytes of lines that wait for that.
        rest: What is still to come of a torn line.
        fresh: Its content is of a generation that may not have been read yet.
    """

    path: Path
    keys: set[str]
    lines: list[tuple[int, bytes]] = field(default_factory=list)
    rest: bytes = b""
    fresh: bool = False

    def rewritten(self) -> None:
        """Its next content is of another generation, and nothing of it is torn."""
        self.rest, self.fresh = b"", True

    def known(self, live: Live) -> tuple[str, dict[str, object]] | None:
        """Key and checkpoint of the very file that is at its path now."""
        name = str(self.path.relative_to(live.root))
        for key, path, state, text in live.query(
            "select file, path, state, checkpoint from files"
        ):
            checkpoint = json.loads(text)
            if (path, state) == (name, "live") and (
                checkpoint["ino"] == self.path.stat().st_ino
            ):
                return str(key), checkpoint
        return None

    def is_read(self, live: Live) -> bool:
        """Whether the buffer has all its complete lines."""
        known = self.known(live)
        if known is None:
            return False
        data = self.path.read_bytes()
        off, tail = data.rfind(b"\n") + 1, int(str(known[1]["tail_len"]))
        same = digest(data[max(0, off - tail) : off]) == known[1]["tail"]
        return known[1]["off"] == off and (same or not tail)

    def resolve(self, live: Live) -> None:
        """Its key is settled: the one that the buffer has for it."""
        known = self.known(live)
        assert known is not None
        assert known[0] in self.keys, "the key is that of the file's first sight"
        self.keys = {known[0]}


def key_of(name: str, nth: int) -> str:
    """The key of the nth file that was seen for the first time at a path."""
    return file_key("testhost", f"{name}\0{nth}" if nth else name)
