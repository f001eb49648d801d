"""Record types and top-level fields of log lines that this version understands.

Whatever else comes is archived all the same; it is counted, so that someone
hears of it.
"""

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
