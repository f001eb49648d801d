"""Count the record types and top-level fields that this version does not know.

They are archived like all others. The counts, per Claude Code version, show that the
log format has changed.
"""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bson.int64 import Int64
from pymongo import UpdateOne

from cclake_flusher.mongo import Mongo

_TYPES = """
agent-color agent-name agent-setting ai-title assistant atis-latch attachment
bridge-session content-replacement custom-title file-history-delta
file-history-snapshot frame-link last-prompt mode permission-mode pr-link progress
queue-operation relocated result started summary system tag user worktree-state
"""
_FIELDS = """
agentId agentName aiTitle apiError apiErrorStatus apiRefusalCategory
apiRefusalExplanation attachment attributionAgent attributionMcpServer
attributionMcpTool attributionPlugin attributionSkill backup bridgeSessionId cause
classifierMetaLines compactMetadata content costUSD customTitle cwd data direction
display durationMs effort entrypoint error fallbackModel forkedFrom frameUrl
gitBranch hasOutput hookAdditionalContext hookCount hookErrors hookInfos
imagePasteIds interruptedMessageId isApiErrorMessage isCompactSummary isMeta
isSidechain isSnapshotUpdate isVisibleInTranscriptOnly key lastPrompt
lastSequenceNum leafUuid level logicalParentUuid maxRetries mcpMeta message
messageCount messageId microcompactMetadata mode operation origin originalModel
parentToolUseID parentUuid pastedContents path pendingBackgroundAgentCount
pendingWorkflowCount permissionMode planContent prNumber prRepository prUrl
preventedContinuation project promptId promptSource refusedUserMessageUuid
relocatedCwd replacements requestId retryAttempt retryInMs sessionId sessionKind
session_id slug snapshot snapshotMessageId source sourceToolAssistantUUID
sourceToolUseID stopReason subtype summary tag teamName thinkingMetadata timestamp
title todos toolDenialKind toolUseID toolUseResult trackingPath trigger type url
userType uuid version worktreeSession
"""
TYPES = frozenset(_TYPES.split())
FIELDS = frozenset(_FIELDS.split())
EVERY_S = 5.0
MAX_NAMES = 1000
MAX_NAME = 100
Key = tuple[str, str, str]
"""Claude Code version, `type` or `field`, name."""


def unknown_parts(entry: dict[str, Any]) -> tuple[Key, ...]:
    """Return the unknown record type and top-level fields of an entry; mostly none."""
    kind = entry.get("type")
    new_type = kind is not None and not (isinstance(kind, str) and kind in TYPES)
    if not new_type and entry.keys() <= FIELDS:
        return ()
    version = _name(entry.get("version") or "unknown")
    found = [(version, "field", _name(field)) for field in entry.keys() - FIELDS]
    if new_type:
        found.append((version, "type", _name(kind)))
    return tuple(found)


def _name(value: object) -> str:
    text = value if isinstance(value, str) else type(value).__name__
    return text[:MAX_NAME].replace("\0", "\ufffd")


class SchemaDrift:
    """Count unknown types and fields, and write the counts periodically."""

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._written = 0.0

    def count(self, parts: Iterable[Key]) -> None:
        """Count unknown types and fields."""
        for key in parts:
            # Hostile lines may invent any number of names.
            if key in self._counts or len(self._counts) < MAX_NAMES:
                self._counts[key] += 1

    def write(self, mongo: Mongo, *, now: bool = False) -> None:
        """Add the counts to `format_guard`, if they are due or `now` is set.

        Raises:
            PyMongoError: The counts were not added, and are kept.
        """
        due = now or time.monotonic() - self._written > EVERY_S
        if not self._counts or not due:
            return
        updates = [_update(key, count) for key, count in self._counts.items()]
        mongo.database["format_guard"].bulk_write(updates, ordered=False)
        self._counts.clear()
        self._written = time.monotonic()


def _update(key: Key, count: int) -> UpdateOne:
    version, kind, name = key
    return UpdateOne(
        {"_id": {"version": version, "kind": kind, "name": name}},
        {
            "$inc": {"count": Int64(count)},
            "$setOnInsert": {"first_seen": datetime.now(UTC), "known": False},
        },
        upsert=True,
    )
