"""Connect to MongoDB, and explain why that does not work."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.settings import mask
from pymongo import MongoClient, WriteConcern
from pymongo.database import Database
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

Document = dict[str, Any]
HINT = "Start it with `just up`, or set MONGO_URI."
WAIT_MS = 10_000
WAIT = {"serverSelectionTimeoutMS": WAIT_MS}
REASON_CHARS = 200
NOT_ALLOWED = (13, 18, 8000)
"""Numbers of errors: a missing right, a wrong login, either at Atlas."""


def connect(
    uri: str, tool: str, defaults: Mapping[str, Any] = WAIT, **options: Any
) -> MongoClient[Document]:
    """Return a client, which connects by itself.

    Args:
        uri: Address of MongoDB.
        tool: Name in the server's log.
        defaults: Options of the driver that hold unless the address names them.
        options: Options of the driver that hold whatever the address says.

    Raises:
        Failure: The address cannot be used.
    """
    named = uri.lower()
    unnamed = {key: defaults[key] for key in defaults if key.lower() not in named}
    try:
        return MongoClient(uri, appname=f"cclake-{tool}", **(unnamed | options))
    except (ConfigurationError, ValueError, OSError) as error:
        raise Failure(
            f"{mask(uri)} cannot be used as MONGO_URI: {mask(str(error))}",
            "Write it as mongodb://host:port/ or mongodb+srv://host/.",
        ) from error


@contextmanager
def open_database(
    uri: str, name: str, tool: str, wait_ms: int = WAIT_MS, hint: str = HINT
) -> Iterator[Database[Document]]:
    """Open a database; an error of the driver inside becomes a failure.

    Args:
        uri: Address of MongoDB.
        name: Name of the database.
        tool: Name in the server's log.
        wait_ms: Maximum time to wait for a server in milliseconds, unless the address
            names one.
        hint: What to do if it does not answer.

    Raises:
        Failure: The address cannot be used, or MongoDB does not answer.
    """
    client = connect(uri, tool, {"serverSelectionTimeoutMS": wait_ms})
    try:
        with client:
            yield client[name]
    except PyMongoError as error:
        raise unreachable(uri, error, hint) from error


def unreachable(
    uri: str, error: PyMongoError, hint: str = HINT, code: int = TRY_LATER
) -> Failure:
    """Return the failure to raise if MongoDB does not answer, or refuses.

    Args:
        uri: Its address.
        error: The error of the driver.
        hint: What to do.
        code: The exit code.
    """
    # The server has answered with the number of an error, for example of a wrong login.
    what = "refuses" if isinstance(error, OperationFailure) else "does not answer"
    if isinstance(error, OperationFailure) and error.code in NOT_ALLOWED:
        hint = "Check user and password in MONGO_URI, and what the user may do."
        code = 1  # the next time it is the same
    return Failure(f"MongoDB at {_server(uri)} {what}: {reason(error)}", hint, code)


def reason(error: Exception) -> str:
    """Return what the driver says, in one line without settings and passwords."""
    text = mask(str(error)).split(" (configured timeouts")[0].split(", Timeout:")[0]
    lines = text.splitlines() or [type(error).__name__]
    return lines[0][:REASON_CHARS]


def durable(client: MongoClient[Document], name: str) -> Database[Document]:
    """Return a database whose writes survive a crash of the server.

    A replica set, or a sharded cluster, acknowledges by its majority; a single server
    when its journal is on disk.

    Raises:
        PyMongoError: The server does not answer.
    """
    hello = client.admin.command("hello")
    many = "setName" in hello or hello.get("msg") == "isdbgrid"
    concern = WriteConcern("majority" if many else 1, j=True)
    return client.get_database(name, write_concern=concern)


def _server(uri: str) -> str:
    """Return an address without its options, which may hold secrets."""
    found = urlsplit(mask(uri))
    return f"{found.scheme}://{found.netloc}" if found.netloc else mask(uri)
