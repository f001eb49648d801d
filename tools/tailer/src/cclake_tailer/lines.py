"""Turn physical lines of a log file into records without changing their bytes."""

import codecs
from collections.abc import Iterable
from itertools import accumulate

import msgspec

from cclake_tailer.records import Heading


class _AnyObject(msgspec.Struct):
    """A JSON object whose syntax is checked without building its members."""


TOO_DEEP = "nested too deeply"
_check = msgspec.json.Decoder(_AnyObject).decode
_SLICE = 1 << 20
_MAX_DEPTH = 700
"""Below every parser's own limit, of which those of Python differ by its version."""
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]
Pieces = Iterable[bytes]


def fault_of(line: bytes) -> str | None:
    """Return why a line is not one valid JSON object; None if it is one."""
    if not line:
        return "empty line"
    try:
        _check(line)
        _check_utf8(line)
        if _is_deep(line):
            return TOO_DEEP
    except msgspec.ValidationError:
        return "not a JSON object"
    except msgspec.DecodeError as error:
        return str(error)
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error.reason}"
    except RecursionError:
        return TOO_DEEP
    return None


def _is_deep(line: bytes) -> bool:
    """Return whether valid JSON is nested too deeply; fast where brackets are few."""
    if line.count(b"[") + line.count(b"{") <= _MAX_DEPTH:
        return False
    unescaped = line.replace(rb"\\", b"").replace(rb"\"", b"")
    outside = b"".join(unescaped.translate(None, _NOT_STRUCTURE).split(b'"')[::2])
    return max(accumulate(map(_STEPS.__getitem__, outside)), default=0) > _MAX_DEPTH


def encoding_of(beginning: bytes) -> str | None:
    """Return the encoding of a log by its first bytes; None if it may be UTF-8."""
    if beginning.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"\0\0\0{", b"{\0\0\0")):
        return "UTF-32"
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff", b"\0{", b"{\0")):
        return "UTF-16"
    return None


def line_record(heading: Heading, off: int, line: bytes, ended: int = 1) -> Pieces:
    """Return the record of one line, as pieces to join.

    Args:
        heading: The heading of the file's records.
        off: Offset of the line in its file, in bytes.
        line: The line without its newline.
        ended: 1 if a newline follows, 0 for a last line without one.
    """
    fault = fault_of(line)
    length = len(line) + ended
    # `entry` is verbatim, but would lose white space around the object.
    if fault is None and line[:1] == b"{" and line[-1:] == b"}":
        return (heading.entry % (off, length), line, b"}\n")
    return heading.raw(off, length, line, fault)


def _check_utf8(line: bytes) -> None:
    """Raise UnicodeDecodeError if a line is not UTF-8, without decoding it whole."""
    if line.isascii():
        return
    if len(line) <= _SLICE:
        line.decode()
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(line), _SLICE):
        decoder.decode(line[start : start + _SLICE])
    decoder.decode(b"", final=True)
