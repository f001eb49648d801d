"""Serve images of unpublished lines from MongoDB."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from cclake_archive.json_text import loads

PREFIX = "line:"  # prefix of the key of an image that is only in its line
Part = dict[str, Any]


def key_of(doc_id: str, number: int) -> str:
    """Return the key of the n-th image of a line."""
    return f"{PREFIX}{doc_id}:{number}"


def images_in(message: Any) -> Iterator[tuple[Part, str]]:
    """Yield the image parts of a message in order, each with the id of its call."""
    for part in _parts(message, "content"):
        if part.get("type") == "image":
            yield part, ""
        elif part.get("type") == "tool_result":
            for inner in _parts(part, "content"):
                if inner.get("type") == "image":
                    yield inner, str(part.get("tool_use_id") or "")


def image_of(line: bytes, number: int) -> tuple[str, bytes] | None:
    """Return the media type and the bytes of the n-th image of a line, or None."""
    parsed = loads(line)
    message = parsed.get("message") if isinstance(parsed, dict) else None
    for at, (part, _) in enumerate(images_in(message)):
        if at == number:
            return _decoded(part.get("source"))
    return None


def lighten(entry: Part) -> None:
    """Remove the bytes of images from an entry; pages load them from its line."""
    for part, _ in images_in(entry.get("message")):
        if isinstance(part.get("source"), dict):
            part["source"].pop("data", None)
    if _is_image(entry):
        del entry["toolUseResult"]  # a copy of the same image


def _is_image(entry: Part) -> bool:
    result = entry.get("toolUseResult")
    return isinstance(result, dict) and result.get("type") == "image"


def _decoded(source: Any) -> tuple[str, bytes] | None:
    if not isinstance(source, dict) or source.get("type") != "base64":
        return None
    try:
        data = base64.b64decode(source.get("data") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return None
    return (str(source.get("media_type") or ""), data) if data else None


def _parts(fields: Any, name: str) -> list[Part]:
    listed = fields.get(name) if isinstance(fields, dict) else None
    found = listed if isinstance(listed, list) else []
    return [part for part in found if isinstance(part, dict)]
