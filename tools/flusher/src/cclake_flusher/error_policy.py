"""Decide for an error of MongoDB whether to send the lines again."""

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
# Not authenticated, not authorised, and the general refusal of Atlas: the user can fix
# these, so the lines wait.
ACCESS = frozenset((13, 18, 33, 8000))
# Elections, shutdowns, interruptions, time-outs, write concerns, full disks.
TRANSIENT = frozenset(
    {
        *(6, 7, 24, 46, 50, 64, 79, 89, 91, 100, 112, 133, 134, 189, 202, 262),
        *(384, 9001, 10058, 10107, 11600, 11601, 11602, 12586, 12587),
        *(13388, 13435, 13436, 14031),
    }
)


class Action(Enum):
    """The reaction to an error."""

    RETRY = "retry"
    REFUSE = "refused"


def for_command(error: Exception) -> Action:
    """Return whether a failed command may succeed later, or is refused for good."""
    if isinstance(error, DocumentTooLarge | InvalidDocument):
        return Action.REFUSE
    if isinstance(error, ConnectionFailure | WTimeoutError | ExecutionTimeout):
        return Action.RETRY
    if not isinstance(error, OperationFailure) or isinstance(error, BulkWriteError):
        return Action.RETRY
    if error.code in ACCESS or error.code in TRANSIENT:
        return Action.RETRY
    if error.has_error_label("RetryableWriteError"):
        return Action.RETRY
    return Action.REFUSE


def for_document(code: int) -> Action:
    """Return whether a document may be accepted later, or is refused for good."""
    return Action.RETRY if code in ACCESS or code in TRANSIENT else Action.REFUSE


def is_duplicate(error: dict[str, Any]) -> bool:
    """Return whether a write error says that the `_id` exists already.

    A unique index that someone else created refuses new lines with the same code. Those
    lines are not stored.
    """
    if error["code"] != DUPLICATE:
        return False
    pattern = error.get("keyPattern")
    if pattern is not None:
        return list(pattern) == ["_id"]
    return "index: _id_ " in str(error.get("errmsg"))


def describe(error: BaseException) -> str:
    """Return one short line about an error, without passwords."""
    text = settings.mask(str(error)).split("\n")[0]
    return f"{type(error).__name__}: {text[:300]}"
