"""The records on the pipe, and the checkpoint, which holds what is known of a file."""

import base64
import json
from collections.abc import Iterator
from typing import Literal

import msgspec

_SLICE = 3 << 19  # divisible by 3: base64 of slices joins without padding
State = Literal["live", "gone"]


class Checkpoint(msgspec.Struct, tag_field="kind", tag="checkpoint", gc=False):
    """The position in a file, and its fingerprint.

    These keys are not part of the contract in docs/contracts.md:

    Attributes:
        mtime_ns: Lets a restart skip files that did not change.
        ctime_ns: Reveals a change after which the old mtime was restored.
        crc: CRC-32 of all bytes before `off`.
        adler: Adler-32 of all bytes before `off`.
        unchecked: Whether to compare those bytes with the disk once the file rests.
        unended: Length of a last line that was sent without its newline.
        encoding: Encoding of a log that is not UTF-8, such as UTF-16.
        gone_at: When the file was first missing, in epoch seconds.
        former: Whether only MongoDB knows the file: nothing has been read of it since.
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
    """Return a checkpoint as a record with its newline."""
    return _encoder.encode(checkpoint) + b"\n"


def decode(record: bytes) -> Checkpoint | None:
    """Return the checkpoint in a record; None for a record of another kind.

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
        """Yield the pieces of a record that carries bytes in base64."""
        yield self._start % (off, length) + b'"raw":"'
        for start in range(0, len(data), _SLICE):
            yield base64.b64encode(data[start : start + _SLICE])
        why = b"" if error is None else b',"error":' + json.dumps(error).encode()
        yield b'"' + why + b"}\n"
