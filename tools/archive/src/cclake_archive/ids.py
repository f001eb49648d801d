"""Make the `_id` of a line, take it apart, and name ranges of ids.

An `_id` has 24 bytes: the key of the file, the offset of the line, and a hash of its
bytes, 8 each. The same line always has the same id, and a file's ids are in its order.
"""

from hashlib import blake2b

from bson import ObjectId

PART = 8  # bytes of each part
_LOWEST, _HIGHEST = bytes(PART), b"\xff" * PART


def content_hash(line: bytes) -> bytes:
    """Return the hash of a line without its newline."""
    return blake2b(line, digest_size=PART).digest()


def document_id(file: str, off: int, line: bytes) -> bytes:
    """Return the `_id` of a line.

    Args:
        file: Key of its file, in hex.
        off: Offset of its first byte.
        line: Its bytes without the newline.
    """
    return bytes.fromhex(file) + _offset(off) + content_hash(line)


def offset_of(identity: bytes) -> int:
    """Return the offset of a line."""
    return int.from_bytes(identity[PART : 2 * PART], "big")


def hash_of(identity: bytes) -> bytes:
    """Return the hash of a line's bytes."""
    return identity[2 * PART :]


def gridfs_id(identity: bytes) -> ObjectId:
    """Return the id in GridFS of a document's bytes, which is the same for repeats."""
    return ObjectId(blake2b(identity, digest_size=12).digest())


def lowest_id(file: str, off: int = 0) -> bytes:
    """Return an id that is not above those of a file from an offset on."""
    return bytes.fromhex(file) + _offset(off) + _LOWEST


def key_range(file: str, start: int = 0) -> dict[str, bytes]:
    """Return the condition on `_id` for the lines of a file from an offset on.

    Both ends have the 24 bytes of an `_id`: MongoDB orders binaries by length first.
    """
    highest = bytes.fromhex(file) + _HIGHEST + _HIGHEST
    return {"$gte": lowest_id(file, start), "$lte": highest}


def _offset(off: int) -> bytes:
    return off.to_bytes(PART, "big")
