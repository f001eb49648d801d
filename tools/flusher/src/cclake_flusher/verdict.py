"""What an error of MongoDB means for the lines that were sent."""

from enum import Enum
from typing import Any

from bson.errors import InvalidDocument
from cclake_common import settings
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    OperationFailure,
    WTimeoutError,
)

DUPLICATE = 11000
# Not authenticated, not authorised, and Atlas' general refusal: the user mends them.
ACCESS = frozenset((13, 18, 33, 8000))
# Elections, shutdowns, interruptions, time-outs, write concerns, full disks.
PASSING = frozenset(
    {
        *(6, 7, 24, 46, 50, 64, 79, 89, 91, 100, 112, 133, 134, 189, 202, 262),
        *(384, 9001, 10058, 10107, 11600, 11601, 11602, 12586, 12587),
        *(13388, 13435, 13436, 14031),
    }
)


class Verdict(Enum):
    """What to do after an error."""

    RETRY = "retry"
    REFUSED = "refused"


def of_command(error: Exception) -> Verdict:
    """Whether a failed command may succeed later, or is refused for what it holds."""
    if isinstance(error, DocumentTooLarge | InvalidDocument):
        return Verdict.REFUSED
    if isinstance(error, ConnectionFailure | WTimeoutError | ExecutionTimeout):
        return Verdict.RETRY
    if not isinstance(error, OperationFailure) or isinstance(error, BulkWriteError):
        return Verdict.RETRY
    if error.code in ACCESS or error.code in PASSING:
        return Verdict.RETRY
    if error.has_error_label("RetryableWriteError"):
        return Verdict.RETRY
    return Verdict.REFUSED


def of_document(code: int) -> Verdict:
    """Whether a single document may be taken later, or is refused."""
    return Verdict.RETRY if code in ACCESS or code in PASSING else Verdict.REFUSED


def is_repeat(error: dict[str, Any]) -> bool:
    """Whether a write error says that this `_id` is there already.

    Another unique index, made by someone else, would refuse new lines with the
    same code; that is no success.
    """
    if error["code"] != DUPLICATE:
        return False
    pattern = error.get("keyPattern")
    if pattern is not None:
        return list(pattern) == ["_id"]
    return "index: _id_ " in str(error.get("errmsg"))


def describe(error: BaseException) -> str:
    """One short line about an error, without passwords."""
    text = settings.mask(str(error)).split("\n")[0]
    return f"{type(error).__name__}: {text[:300]}"
