"""Save and restore the options and indexes of collections, like mongodump."""

import gzip
from collections.abc import Iterator
from pathlib import Path

from bson import json_util
from cclake_archive.client import Document
from cclake_common.failure import Failure
from pymongo.database import Database
from pymongo.errors import OperationFailure

NAMESPACE_EXISTS = 48
# Another index has this name, or these fields, already; it stays.
INDEX_IS_THERE = (85, 86)


def collections(db: Database[Document]) -> dict[str, Document]:
    """Return the server's description of each collection, without views."""
    return {
        found["name"]: dict(found)
        for found in db.list_collections()
        if found.get("type", "collection") == "collection"
        and not found["name"].startswith("system.")
    }


def text(db: Database[Document], found: Document) -> bytes:
    """Return the metadata of a collection, as extended JSON."""
    name = found["name"]
    described = {
        "options": found.get("options", {}),
        "indexes": list(db[name].list_indexes()),
        "collectionName": name,
        "type": "collection",
    }
    options = json_util.CANONICAL_JSON_OPTIONS
    return json_util.dumps(described, json_options=options).encode()


class Metadata:
    """Saved metadata of a collection.

    Raises:
        Failure: It can't be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            made = json_util.loads(gzip.decompress(path.read_bytes()))
            self._name = str(made["collectionName"])
            self._options = dict(made["options"])
            self._indexes = list(_without_version(made["indexes"]))
        except (ValueError, KeyError, TypeError, EOFError, OSError) as error:
            raise Failure(f"{path} is damaged") from error

    def create(self, db: Database[Document]) -> None:
        """Create the collection, unless it exists."""
        try:
            db.command("create", self._name, **self._options)
        except OperationFailure as error:
            if error.code == NAMESPACE_EXISTS:
                return
            # A server with another storage engine refuses the options.
            db.command("create", self._name)

    def create_indexes(self, db: Database[Document]) -> None:
        """Create the missing indexes."""
        for index in self._indexes:
            try:
                db.command("createIndexes", self._name, indexes=[index])
            except OperationFailure as error:
                if error.code not in INDEX_IS_THERE:
                    raise


def _without_version(indexes: list[Document]) -> Iterator[Document]:
    """Yield the indexes to create, without the version, which the server chooses."""
    for index in indexes:
        if index["name"] != "_id_":
            yield {name: index[name] for name in index if name not in ("v", "ns")}
