"""The records on the pipe, read without decoding the log lines that they carry."""

import base64
import binascii
from typing import Literal

import msgspec
from cclake_common.failure import Failure

ENTRY = b',"entry":'


class Record(msgspec.Struct, gc=False):
    """Any record of the pipe; which fields count depends on `kind`."""

    kind: str
    host: str = ""
    path: str = ""
    file: str = ""
    gen: int = 0
    off: int = 0
    len: int = 0
    root: str | None = None
    size: int | None = None
    state: str | None = None
    raw: str | None = None
    entry: msgspec.Raw = msgspec.Raw(b"")


Row = tuple[str, str, str, int, int, int, str, bytes]
"""host, path, file, gen, off, len, kind, body"""

_decode = msgspec.json.Decoder(Record).decode


def parse(line: bytes) -> tuple[Record, bytes]:
    """Read the envelope of one record; its entry is cut out, not looked at.

    `entry` is the last key, and quotes inside of JSON strings are escaped, so
    its first mention is the key itself.

    Returns:
        The envelope, and the verbatim bytes of the entry (empty without one).

    Raises:
        Failure: The line is no record. Nothing may be taken from a pipe that
            is damaged: its later checkpoints would vouch for lost lines.
    """
    try:
        at = line.find(ENTRY)
        if at < 0 or not line.endswith(b"}"):
            record = _decode(line)
            return record, bytes(record.entry)
        return _decode(line[:at] + b"}"), line[at + len(ENTRY) : -1]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(
            f"standard input holds a line that is no record: {error}",
            "Only the output of `tailer` can be appended.",
        ) from error


def row(record: Record, entry: bytes, kind: Literal["line", "chunk"]) -> Row:
    """The row of the queue for a line or a chunk; its body is the verbatim bytes.

    Raises:
        Failure: The record carries no bytes.
    """
    if record.raw is not None:
        try:
            body = base64.b64decode(record.raw, validate=True)
        except binascii.Error as error:
            raise Failure(f"a {kind} of {record.path} is not base64") from error
    elif entry:
        body = entry
    else:
        raise Failure(f"a {kind} of {record.path} has neither entry nor raw")
    return (
        record.host,
        record.path,
        record.file,
        record.gen,
        record.off,
        record.len,
        kind,
        body,
    )
