"""Bring a batch of lines into MongoDB, exactly once, whatever happens."""

from datetime import UTC, datetime

from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, PyMongoError

from cclake_flusher import bulky, records, repeats
from cclake_flusher.documents import Document, Line, build, raw_only
from cclake_flusher.fault import point
from cclake_flusher.mongo import Mongo
from cclake_flusher.queue import DeadLetter, Outcome
from cclake_flusher.state import State
from cclake_flusher.verdict import Verdict, describe, is_repeat, of_command, of_document


class Delivery:
    """Sends documents; any passing failure leaves as an exception, to be repeated."""

    def __init__(self, mongo: Mongo, state: State) -> None:
        self._mongo = mongo
        self._state = state

    def deliver(self, lines: list[Line], buffer: str) -> tuple[Outcome, list[Document]]:
        """Make documents of lines and insert them.

        Returns:
            What became of the lines, and their documents.

        Raises:
            PyMongoError: MongoDB can't be reached, or has trouble of its own.
                The batch can be sent again: what is there is refused by `_id`.
        """
        now = datetime.now(UTC)
        documents = [build(line, buffer, now) for line in lines]
        outcome = Outcome()
        self._send(documents, buffer, outcome)
        point("after_insert")
        return outcome, documents

    def _send(self, documents: list[Document], buffer: str, outcome: Outcome) -> None:
        for document in documents:
            if document.bulky:
                bulky.upload(self._mongo, document)
        try:
            errors = self._insert(documents)
        except PyMongoError as error:
            if of_command(error) is Verdict.RETRY:
                raise
            self._divide(documents, buffer, outcome, error)
            return
        self._judge(documents, errors, buffer, outcome)

    def _insert(self, documents: list[Document]) -> list[dict[str, object]]:
        """Insert; returns the errors of single documents.

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
            if any(_passes(each) for each in errors):
                raise
            return errors
        return []

    def _judge(
        self,
        documents: list[Document],
        errors: list[dict[str, object]],
        buffer: str,
        outcome: Outcome,
    ) -> None:
        again = [documents[int(str(e["index"]))] for e in errors if is_repeat(e)]
        if again:
            repeats.refresh(self._mongo, again, buffer)
        outcome.duplicates += len(again)
        outcome.delivered += len(documents) - len(errors)
        for error in errors:
            if not is_repeat(error):
                document = documents[int(str(error["index"]))]
                code, reason = int(str(error["code"])), str(error.get("errmsg"))
                self._refused(document, buffer, outcome, code, reason)

    def _divide(
        self,
        documents: list[Document],
        buffer: str,
        outcome: Outcome,
        error: PyMongoError,
    ) -> None:
        """Halve a refused command until the culprit stands alone."""
        if len(documents) == 1:
            code = getattr(error, "code", None)
            self._refused(documents[0], buffer, outcome, code, describe(error))
            return
        self._state.bisections += 1
        middle = len(documents) // 2
        self._send(documents[:middle], buffer, outcome)
        self._send(documents[middle:], buffer, outcome)

    def _refused(
        self,
        document: Document,
        buffer: str,
        outcome: Outcome,
        code: int | None,
        reason: str,
    ) -> None:
        """Try a refused document as bytes only; bury it when that is refused too.

        Raises:
            PyMongoError: MongoDB refuses everything just now: not the
                document's fault.
        """
        now = datetime.now(UTC)
        plain = raw_only(document.line, buffer, now, f"refused: {reason}"[:300])
        if plain.bulky:
            bulky.upload(self._mongo, plain)
        try:
            errors = self._insert([plain])
        except PyMongoError as error:
            if of_command(error) is Verdict.RETRY:
                raise
            errors = [{"code": getattr(error, "code", 0) or 0, "errmsg": str(error)}]
        if not errors:
            outcome.delivered += 1
        elif is_repeat(errors[0]):
            repeats.refresh(self._mongo, [plain], buffer)
            outcome.duplicates += 1
        else:
            # Does MongoDB write at all? Only then it is the line's fault.
            records.touch_watermark(self._mongo, buffer, document.line.host)
            why = describe(PyMongoError(str(errors[0].get("errmsg"))))
            outcome.dead.append(DeadLetter(document.line, why, code, 2))
            self._state.dead[str(code)] += 1


def _passes(error: dict[str, object]) -> bool:
    return of_document(int(str(error["code"]))) is Verdict.RETRY
