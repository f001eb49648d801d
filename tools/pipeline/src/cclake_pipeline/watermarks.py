"""Query the sum of the watermarks of all buffers in MongoDB."""

from types import TracebackType
from typing import Self

from cclake_archive.client import Document, connect, reason
from cclake_archive.watermarks import total
from cclake_common.settings import mask
from pymongo import MongoClient
from pymongo.errors import PyMongoError

PATIENCE_MS = 3_000


class Unreachable(Exception):
    """MongoDB does not answer."""


class Watermarks:
    """A connection to the collection `watermarks`."""

    def __init__(self, uri: str, database: str) -> None:
        self._uri = uri
        self._database = database
        self._client: MongoClient[Document] | None = None

    def total(self) -> int:
        """Return the sum of `acked_seq` over all buffers; it grows with each batch.

        Raises:
            Unreachable: MongoDB does not answer.
            Failure: The address cannot be used.
        """
        try:
            return total(self._open()[self._database])
        except PyMongoError as error:
            raise Unreachable(f"{mask(self._uri)}: {reason(error)}") from error

    def _open(self) -> MongoClient[Document]:
        if self._client is None:
            self._client = connect(
                self._uri, "pipeline", serverSelectionTimeoutMS=PATIENCE_MS
            )
        return self._client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()
