"""Turn the bytes of a line into JSON text that every engine can read."""

import codecs
import re

import msgspec
import orjson
from cclake_archive.client import Document
from cclake_lake.long_lines import LONG_BYTES, shorten

# A pair of surrogates, a lone surrogate, or any other escape, in this order.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def parse_object(raw: bytes) -> tuple[bytes | None, Document | None]:
    """Return the JSON text that engines can read, and the object that it holds.

    The text is `raw` itself if that is one JSON object in UTF-8. Half of a surrogate
    pair, which JavaScript writes and no database accepts, becomes U+FFFD in the text.
    The text of a line that is too long for the engines is the short record that
    `cclake_lake.long_lines` returns. Anything else is not an entry.
    """
    if len(raw) > LONG_BYTES:
        return _short(raw)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _with_whole_surrogates(raw)
    return (raw, found) if type(found) is dict else (None, None)


def _short(raw: bytes) -> tuple[bytes | None, Document | None]:
    try:
        _check_utf8(raw)
        return parse_object(shorten(raw))
    except (UnicodeDecodeError, msgspec.DecodeError):
        return None, None


def _check_utf8(raw: bytes) -> None:
    """Raise UnicodeDecodeError if bytes are not UTF-8; decode a piece at a time."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(raw), 1 << 20):
        decoder.decode(raw[begin : begin + (1 << 20)], begin + (1 << 20) >= len(raw))


def _with_whole_surrogates(raw: bytes) -> tuple[bytes | None, Document | None]:
    text = _ESCAPE.sub(lambda m: b"\\ufffd" if m.group(1) else m.group(0), raw)
    if text == raw:
        return None, None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, None
    return (text, found) if type(found) is dict else (None, None)
