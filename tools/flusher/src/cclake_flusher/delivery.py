"""Insert a batch of lines into MongoDB exactly once, whatever happens."""

from datetime import UTC, datetime
from typing import Any

from bson.binary import Binary
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from cclake_archive.watermarks import acknowledged
from cclake_common.failpoint import failpoint
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from cclake_flusher import gridfs, metadata
from cclake_flusher.documents import Batch, Document, Line, build, raw_only
from cclake_flusher.error_policy import (
    Action,
    describe,
    for_command,
    for_document,
    is_duplicate,
)
from cclake_flusher.mongo import Mongo
from cclake_flusher.queue import DeadLetter, Outcome
from cclake_flusher.state import State

SEEN = {"buffer": 1, "seq": 1, "source.last_gen": 1, "source.len": 1}


class Delivery:
    """Send documents; raise transient errors, so that the caller tries again."""

    def __init__(self, mongo: Mongo, state: State) -> None:
        self._mongo = mongo
        self._state = state

    def deliver(
        self, lines: list[Line], buffer: str, has_text: bool = True
    ) -> tuple[Outcome, list[Document]]:
        """Build the documents of lines and insert them.

        Args:
            lines: Rows of the queue.
            buffer: The id of the buffer.
            has_text: Whether entries get their `text` now.

        Returns:
            The outcome for the lines, and their documents.

        Raises:
            PyMongoError: MongoDB can't be reached, or has a problem of its own. The
                batch can be sent again, because `_id` refuses what is there already.
        """
        batch = Batch(buffer, datetime.now(UTC), has_text)
        documents = [build(line, batch) for line in lines]
        outcome = Outcome()
        self._send(documents, buffer, outcome)
        failpoint("after_insert")
        return outcome, documents

    def _send(self, documents: list[Document], buffer: str, outcome: Outcome) -> None:
        for document in documents:
            if document.in_gridfs:
                gridfs.upload(self._mongo, document)
        try:
            errors = self._insert(documents)
        except PyMongoError as error:
            if for_command(error) is Action.RETRY:
                raise
            self._bisect(documents, buffer, outcome, error)
            return
        self._count(documents, errors, buffer, outcome)

    def _insert(self, documents: list[Document]) -> list[dict[str, object]]:
        """Insert documents; return the errors of single documents.

        Raises:
            PyMongoError: The command as a whole has failed.
        """
        raw = [RawBSONDocument(document.data) for document in documents]
        try:
            self._mongo.conversations.insert_many(raw, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            if details.get("writeConcernErrors"):
                raise
            errors: list[dict[str, object]] = details.get("writeErrors", [])
            if any(_is_transient(each) for each in errors):
                raise
            return errors
        return []

    def _count(
        self,
        documents: list[Document],
        errors: list[dict[str, object]],
        buffer: str,
        outcome: Outcome,
    ) -> None:
        again = [documents[int(str(e["index"]))] for e in errors if is_duplicate(e)]
        if again:
            _update_stored(self._mongo, again, buffer)
        outcome.duplicates += len(again)
        outcome.delivered += len(documents) - len(errors)
        for error in errors:
            if not is_duplicate(error):
                document = documents[int(str(error["index"]))]
                code, reason = int(str(error["code"])), str(error.get("errmsg"))
                self._send_as_raw(document, buffer, outcome, code, reason)

    def _bisect(
        self,
        documents: list[Document],
        buffer: str,
        outcome: Outcome,
        error: PyMongoError,
    ) -> None:
        """Halve a refused command until the refused document is alone."""
        if len(documents) == 1:
            code = getattr(error, "code", None)
            self._send_as_raw(documents[0], buffer, outcome, code, describe(error))
            return
        self._state.bisections += 1
        middle = len(documents) // 2
        self._send(documents[:middle], buffer, outcome)
        self._send(documents[middle:], buffer, outcome)

    def _send_as_raw(
        self,
        document: Document,
        buffer: str,
        outcome: Outcome,
        code: int | None,
        reason: str,
    ) -> None:
        """Send a refused document as raw bytes; if refused again, it is a dead letter.

        Raises:
            PyMongoError: MongoDB refuses every write now, not just this document.
        """
        batch = Batch(buffer, datetime.now(UTC))
        plain = raw_only(document.line, batch, f"refused: {reason}"[:300])
        if plain.in_gridfs:
            gridfs.upload(self._mongo, plain)
        try:
            errors = self._insert([plain])
        except PyMongoError as error:
            if for_command(error) is Action.RETRY:
                raise
            errors = [{"code": getattr(error, "code", 0) or 0, "errmsg": str(error)}]
        if not errors:
            outcome.delivered += 1
        elif is_duplicate(errors[0]):
            _update_stored(self._mongo, [plain], buffer)
            outcome.duplicates += 1
        else:
            # Raises an error if MongoDB writes nothing at all now.
            metadata.touch_watermark(self._mongo, buffer, document.line.host)
            why = describe(PyMongoError(str(errors[0].get("errmsg"))))
            outcome.dead.append(DeadLetter(document.line, why, code, 2))
            self._state.dead[str(code)] += 1


def _is_transient(error: dict[str, object]) -> bool:
    return for_document(int(str(error["code"]))) is Action.RETRY


def _update_stored(mongo: Mongo, repeats: list[Document], buffer: str) -> None:
    """Update stored documents from repeated lines.

    The newest generation and the length are updated. A document that another buffer
    inserted but never acknowledged would stay invisible to extraction, which reads up
    to each buffer's watermark. It gets the sequence number that it has in this buffer.

    Raises:
        PyMongoError: Not all of it was written; the caller can try again.
    """
    wanted = {document.id: document for document in repeats}
    found = mongo.conversations.find(
        {"_id": {"$in": [Binary(id_) for id_ in wanted]}}, SEEN
    )
    stored = {bytes(each["_id"]): each for each in found}
    others = {each["buffer"] for each in stored.values()} - {buffer}
    marks = acknowledged(mongo.database, others)
    updates: list[UpdateOne] = []
    for document in repeats:
        if document.id in stored:
            updates += _updates(document, stored[document.id], buffer, marks)
    if updates:
        mongo.conversations.bulk_write(updates, ordered=False)


def _updates(
    document: Document, stored: dict[str, Any], buffer: str, marks: dict[str, int]
) -> list[UpdateOne]:
    line = document.line
    updates = []
    source = stored["source"]
    gen, length = line.generation, Int64(line.len)
    if gen > source["last_gen"]:
        # The new generation may have added or removed the line's newline.
        where = {"_id": stored["_id"], "source.last_gen": {"$lt": gen}}
        change = {"source.last_gen": gen, "source.len": length}
        updates.append(UpdateOne(where, {"$set": change}))
    elif gen == source["last_gen"] and length > source["len"]:
        longer = {"$max": {"source.len": length}}
        updates.append(UpdateOne({"_id": stored["_id"]}, longer))
    other = stored["buffer"]
    if other != buffer and stored["seq"] > marks.get(other, 0):
        # Only if it is unchanged: its own buffer may have acknowledged it by now.
        where = {"_id": stored["_id"], "buffer": other, "seq": stored["seq"]}
        stamp = {"buffer": buffer, "seq": Int64(line.seq)}
        updates.append(UpdateOne(where, {"$set": stamp}))
    return updates
