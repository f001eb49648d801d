"""Follow a running conversation: its messages as they are archived."""

import select
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from cclake_common.failure import READER_GONE, UNREAD, Failure
from cclake_common.search import Within

from cclake_recall.find import Row
from cclake_recall.past import Past, Source

EVERY_S = 0.5  # seconds between two readings
RUNNING = timedelta(minutes=5)  # a session with a later entry is running, as on pages
# Kinds of messages that lines have before they are published. Others appear with the
# next pipeline run; by then, newer messages have been shown.
SHOWN = frozenset({
    "prompt", "agent_prompt", "answer", "thinking", "tool_result", "command",
    "interrupt", "compact_summary", "notification", "api_error",
})  # fmt: skip


def running(past: Past) -> Row:
    """Return the running session with the newest entry.

    Raises:
        Failure: There is none.
    """
    since = datetime.now(UTC) - RUNNING
    newest = past.sessions(
        Within(low=since.strftime("%Y-%m-%dT%H:%M:%S.000Z")), limit=1
    )
    if not newest:
        raise Failure(
            "no session is running", "Name one; `recall list` shows the newest."
        )
    return newest[0]


def follow(
    source: Source,
    session: str,
    agent: str | None,
    first: int,
    results: bool,
    say: Callable[[str], None],
) -> Iterator[Row]:
    """Yield the last messages of a session, then each new one once.

    A message has the same key before and after it is published. So none is missed or
    repeated when the export is changed or replaced.

    Args:
        source: The export and the lines above it.
        session: Its id.
        agent: Follow this subagent instead.
        first: Number of messages to begin with.
        results: Whether to include what Claude Code recorded beside results.
        say: Called in each reading with what is missing, or "".
    """
    seen: set[str] | None = None
    last = ""  # the key of the last message
    while True:
        found: list[Row] = []
        with source.open() as past:
            say(past.missing)
            keys = past.keys(session, agent)
            if seen is None:
                new = [key for key, _ in keys[max(len(keys) - first, 0) :]]
                seen = set()
            else:
                new = _new(keys, seen, last)
            seen.update(key for key, _ in keys)
            last = keys[-1][0] if keys else ""
            start = past.place(session, agent, message=new[0]) if new else None
            if start:
                found += past.messages(
                    session, agent=agent, start=start, wanted=new, results=results
                )
        yield from found
        _wait()


def _new(keys: list[tuple[str, str]], seen: set[str], last: str) -> list[str]:
    """Return the keys to show: new ones, except late ones of kinds never shown live."""
    names = [key for key, _ in keys]
    after = names.index(last) if last in names else -1
    return [
        key
        for number, (key, kind) in enumerate(keys)
        if key not in seen and (number > after or kind in SHOWN)
    ]


def _wait() -> None:
    """Wait a moment; exit if the reader of standard output has closed it."""
    sys.stdout.flush()
    poll = select.poll()
    poll.register(1, READER_GONE)
    if poll.poll(EVERY_S * 1000):
        sys.exit(UNREAD)
