"""How far MongoDB is: the sum of the buffers' watermarks, cheap to ask for."""

from types import TracebackType
from typing import Any

from cclake_common.settings import mask, no_address
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, PyMongoError

PATIENCE_MS = 3_000


class Unreachable(Exception):
    """MongoDB does not answer."""


class Watermarks:
    """A connection to the collection `watermarks`."""

    def __init__(self, uri: str, database: str) -> None:
        self._uri = uri
        self._database = database
        self._client: MongoClient[dict[str, Any]] | None = None

    def total(self) -> int:
        """The sum of `acked_seq` over all buffers; it grows with each batch.

        Raises:
            Unreachable: MongoDB does not answer.
            Failure: The address is none.
        """
        try:
            found = self._open()[self._database].watermarks.find({}, {"acked_seq": 1})
            return sum(int(mark.get("acked_seq", 0)) for mark in found)
        except PyMongoError as error:
            first = str(error).split(",")[0]
            raise Unreachable(f"{mask(self._uri)}: {mask(first)}") from error

    def _open(self) -> MongoClient[dict[str, Any]]:
        if self._client is None:
            try:
                self._client = MongoClient(
                    self._uri,
                    serverSelectionTimeoutMS=PATIENCE_MS,
                    appname="cclake-pipeline",
                )
            except (ConfigurationError, ValueError, OSError) as error:
                raise no_address(self._uri, error) from error
        return self._client

    def __enter__(self) -> "Watermarks":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()
