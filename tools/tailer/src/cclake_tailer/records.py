"""The records on the pipe, and the checkpoint that is also what is known of a file."""

import base64
import json
from collections.abc import Iterator
from typing import Literal

import msgspec

_SLICE = 3 << 19  # divisible by 3: base64 of slices joins without padding
State = Literal["live", "gone"]


class Checkpoint(msgspec.Struct, tag_field="kind", tag="checkpoint", gc=False):
    """How far a file has been read and how it is recognised.

    Beyond the keys that docs/contracts.md binds: `mtime_ns` lets a restart skip
    files that did not change, `unended` is the length of a last line that was
    delivered without its newline, `gone_at` is when the file was missed (epoch
    seconds), `former` that it is known from MongoDB alone: nothing of it has been
    read since. With `ctime_ns` a change is noticed whose old time was put back; `crc`
    and `adler` are checksums of all bytes before `off`, and `unchecked` says that those
    are to be compared with the disk once the file rests. `encoding` is that of a log
    whose lines nobody can read as JSON, UTF-16 say.
    """

    host: str
    root: str
    path: str
    file: str
    gen: int = 0
    off: int = 0
    size: int = 0
    state: State = "live"
    dev: int = 0
    ino: int = 0
    handle: str | None = None
    head_len: int = 0
    head: str = ""
    tail_len: int = 0
    tail: str = ""
    mtime_ns: int = 0
    ctime_ns: int = 0
    crc: int | msgspec.UnsetType = msgspec.UNSET
    adler: int | msgspec.UnsetType = msgspec.UNSET
    unchecked: bool | msgspec.UnsetType = msgspec.UNSET
    unended: int = 0
    encoding: str | msgspec.UnsetType = msgspec.UNSET
    gone_at: float | None = None
    former: bool | msgspec.UnsetType = msgspec.UNSET

    def restart(self) -> None:
        """Begin a new generation: the content before `off` is no longer there."""
        self.gen += 1
        self.former = self.crc = self.adler = self.encoding = msgspec.UNSET
        self.off = self.unended = self.head_len = self.tail_len = 0
        self.head = self.tail = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Checkpoint)
_kind = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as a record with its newline."""
    return _encoder.encode(checkpoint) + b"\n"


def decode(record: bytes) -> Checkpoint | None:
    """The checkpoint in a record, or None for a record of another kind.

    Raises:
        ValueError: The record is neither.
    """
    try:
        return _decoder.decode(record)
    except msgspec.ValidationError:
        kind = _kind.decode(record).get("kind")
        if kind is None or bytes(kind) == b'"checkpoint"':
            raise
        return None


class Heading:
    """The first part of every record of one generation of a file."""

    def __init__(self, kind: str, at: Checkpoint) -> None:
        names = {"kind": kind, "host": at.host, "path": at.path, "file": at.file}
        text = json.dumps(names | {"gen": at.gen}, separators=(",", ":"))
        self._start = text[:-1].replace("%", "%%").encode() + b',"off":%d,"len":%d,'
        self.entry = self._start + b'"entry":'

    def raw(
        self, off: int, length: int, data: bytes, error: str | None
    ) -> Iterator[bytes]:
        """A whole record that carries bytes in base64, in pieces."""
        yield self._start % (off, length) + b'"raw":"'
        for start in range(0, len(data), _SLICE):
            yield base64.b64encode(data[start : start + _SLICE])
        why = b"" if error is None else b',"error":' + json.dumps(error).encode()
        yield b'"' + why + b"}\n"
