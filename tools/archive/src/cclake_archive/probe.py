"""Read the watermarks of a MongoDB that needs no login, without its driver.

Importing the driver takes longer than a whole search of the export. Most of the time,
one message of the wire protocol (`OP_MSG`) shows that there is nothing to read.
"""

import re
import socket
import struct
from urllib.parse import unquote

import bson

WAIT_S = 1.0  # maximum seconds to connect, and to wait for each part of the answer
_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")  # length, request, response to, kind of message
_LONGEST = 48_000_000  # maximum bytes of a message
# One server without login, options or encryption.
_PLAIN = re.compile(r"mongodb://(?:(%2[Ff][^/?@,:]+)|([\w.-]+)(?::(\d{1,5}))?)/?")

# Besides the errors of sockets: names that cannot be looked up, ports that cannot be,
# and answers of something else.
_ODD = (
    OSError, ValueError, OverflowError, bson.errors.BSONError, KeyError, TypeError,
    AttributeError,
)  # fmt: skip


class Silent(OSError):
    """MongoDB does not answer, or not as expected."""


def acknowledged(uri: str, name: str) -> dict[str, int] | None:
    """Return the watermark of each buffer; None if only the driver can ask for them.

    Args:
        uri: Address of MongoDB.
        name: Name of the database.

    Raises:
        Silent: MongoDB does not answer.
    """
    place = _PLAIN.fullmatch(uri)
    if place is None:
        return None
    path, host, port = place.groups()
    question = bson.encode({
        "find": "watermarks", "projection": {"acked_seq": 1},
        "batchSize": 100_000, "$db": name,
    })  # fmt: skip
    try:
        with _connected(path, host, int(port or 27017)) as server:
            size = _HEADER.size + 5 + len(question)
            header = _HEADER.pack(size, 1, 0, _OP_MSG)
            server.sendall(header + bytes(5) + question)  # no flags, one section
            size, _, _, kind = _HEADER.unpack(_received(server, _HEADER.size))
            if kind != _OP_MSG or not _HEADER.size + 5 < size < _LONGEST:
                raise Silent("another protocol")
            answer = bson.decode(_received(server, size - _HEADER.size)[5:])
        if answer.get("ok") != 1 or answer["cursor"]["id"]:
            return None  # for example a login, or a secondary: the driver knows more
        return {
            str(mark["_id"]): int(mark.get("acked_seq") or 0)
            for mark in answer["cursor"]["firstBatch"]
        }
    except _ODD as error:
        raise Silent(str(error)) from error


def _connected(path: str | None, host: str, port: int) -> socket.socket:
    if path is None:
        return socket.create_connection((host, port), WAIT_S)
    server = socket.socket(socket.AF_UNIX)
    server.settimeout(WAIT_S)
    try:
        server.connect(unquote(path))
    except OSError:
        server.close()
        raise
    return server


def _received(server: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = server.recv(size - len(found))
        if not part:
            raise Silent("the connection was closed")
        found += part
    return found
