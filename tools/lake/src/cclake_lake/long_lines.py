"""Shorten lines that are too long for gold.

Engines hold several copies of a line while they parse it, so a line of 300 MB takes
gigabytes. The lake keeps the bytes of such a line in `raw`. Its `entry` is what
`shorten` returns: the same record with its longest texts cut.
"""

import re
from contextlib import suppress

import msgspec

# Longer lines are shortened. The API takes requests of 32 MB at most, and nearly all
# lines above this size are the output of one tool.
LONG_BYTES = 16_000_000
TEXT_BYTES = 1_000_000
# A cut image is lost, so only what is too large to be a likely image is cut.
IMAGE_BYTES = 12_000_000
IMAGES_BYTES = 32_000_000
# Maximum size of a record after its texts are cut.
REST_BYTES = 8_000_000
# Maximum size of what `shorten` returns.
SHORT_BYTES = IMAGES_BYTES + REST_BYTES
_ELEMENTS = 1_000_000
_TRIES = 100  # commas from the end, until one stands between two elements
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB]")
_IMAGE_KEYS = (b'"data":', b'"data": ')


def shorten(line: bytes) -> bytes:
    """Return a record of at most 40 MB that stands for a longer one.

    Every text of more than a megabyte is cut, and says by how much; images stay. If the
    record is still too long, its longest lists and objects lose elements.

    Args:
        line: A JSON object in UTF-8, without its newline.

    Raises:
        msgspec.DecodeError: What is left is not JSON.
    """
    pieces, images = _cut_texts(line)
    # If nothing was cut, the line is not copied.
    whole = line if len(pieces) == 1 else b"".join(pieces)
    del pieces
    return _fit(memoryview(whole), REST_BYTES + images)


def _cut_texts(line: bytes) -> tuple[list[memoryview | bytes], int]:
    view = memoryview(line)
    pieces: list[memoryview | bytes] = []
    taken = images = 0
    for found in _STRING.finditer(line):
        begin, end = found.start(), found.end() - 1
        size = end - begin
        if size > TEXT_BYTES:
            if _is_image(line, begin, size) and images + size <= IMAGES_BYTES:
                images += size
            else:
                stop = _cut_at(line, begin, begin + TEXT_BYTES)
                left = f" [{(end - stop) / 1e6:,.1f} MB more in the archive]"
                pieces += [view[taken:stop], left.encode()]
                taken = end
    return [*pieces, view[taken:]], images


def _is_image(line: bytes, begin: int, size: int) -> bool:
    return size <= IMAGE_BYTES and line[begin - 8 : begin].endswith(_IMAGE_KEYS)


def _cut_at(line: bytes, begin: int, stop: int) -> int:
    """Return the last place up to `stop` where a text can be cut."""
    while line[stop] & 0xC0 == 0x80:
        stop -= 1
    escape = line.find(b"\\", max(begin + 1, stop - 6), stop)
    if escape < 0:
        return stop
    if _HIGH_SURROGATE.match(line, escape - 6):  # the first half of a character
        escape -= 6
    run = escape
    while line[run - 1] == 0x5C:
        run -= 1
    return escape - (escape - run) % 2


def _fit(value: memoryview, room: int, depth: int = 0) -> bytes:
    """Return a JSON value of at most `room` bytes, with elements left out."""
    if len(value) <= room:
        return bytes(value)
    kind = bytes(value[:1])
    # Millions of elements would take gigabytes as Python objects. The record itself and
    # its message have only a few.
    few = depth < 2 or _commas(value) <= _ELEMENTS
    if kind == b"[" and not few:
        return _beginning(value[: min(room, TEXT_BYTES)])
    if kind == b"[" and depth < 8:
        return _fit_list(value, room, depth)
    if kind == b"{" and depth < 8 and few:
        return _fit_object(value, room, depth)
    return b"null"


def _beginning(value: memoryview) -> bytes:
    """Return the complete elements at the beginning of a list."""
    text = bytes(value)
    for _ in range(_TRIES):
        text, comma, _after = text.rpartition(b",")
        if not comma:
            break
        with suppress(msgspec.DecodeError):  # the comma was inside an element
            msgspec.json.decode(text + b"]")
            return text + b"]"
    return b"[]"


def _commas(value: memoryview) -> int:
    step = 1 << 20
    return sum(
        bytes(value[begin : begin + step]).count(b",")
        for begin in range(0, len(value), step)
    )


def _fit_object(value: memoryview, room: int, depth: int) -> bytes:
    found = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    sizes = {name: len(memoryview(part)) for name, part in found.items()}
    kept: dict[str, msgspec.Raw] = {}
    # The shortest first, so that a long value does not displace others.
    by_size = sorted(found, key=sizes.__getitem__)
    for waiting, name in zip(range(len(found), 0, -1), by_size, strict=True):
        part = _fit(memoryview(found[name]), room // waiting, depth + 1)
        kept[name] = msgspec.Raw(part)
        room -= len(part)
    return msgspec.json.encode({name: kept[name] for name in found})


def _fit_list(value: memoryview, room: int, depth: int) -> bytes:
    kept: list[msgspec.Raw] = []
    for element in msgspec.json.decode(value, type=list[msgspec.Raw]):
        part = _fit(memoryview(element), room, depth + 1)
        if part == b"null" and len(memoryview(element)) > room:
            break
        kept.append(msgspec.Raw(part))
        room -= len(part)
    return msgspec.json.encode(kept)
