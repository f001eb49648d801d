"""Read the records on the pipe without decoding the log lines in them."""

import base64
import binascii
from typing import Literal

import msgspec
from cclake_common.failure import Failure

ENTRY = b',"entry":'


class Record(msgspec.Struct, gc=False):
    """A record of any kind; which fields are set depends on `kind`."""

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
    """Split a record into its envelope and its entry, which is not decoded.

    `entry` is the last key, and quotes inside of JSON strings are escaped. So the first
    occurrence of `,"entry":` is the key itself.

    Returns:
        The envelope, and the verbatim bytes of the entry (empty without one).

    Raises:
        Failure: The line is not a record. A damaged pipe must not be read further,
            because its later checkpoints would cover lost lines.
    """
    try:
        at = line.find(ENTRY)
        if at < 0 or not line.endswith(b"}"):
            record = _decode(line)
            return record, bytes(record.entry)
        return _decode(line[:at] + b"}"), line[at + len(ENTRY) : -1]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(
            f"standard input contains a line that is not a record: {error}",
            "Pipe the output of `tailer` into it.",
        ) from error


def row(record: Record, entry: bytes, kind: Literal["line", "chunk"]) -> Row:
    """Return the queue row of a line or a chunk, with its verbatim bytes as body.

    Raises:
        Failure: The record has no bytes.
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
