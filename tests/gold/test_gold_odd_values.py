"""Values that no one should have written, but that a log may hold: gold is built."""

import json
from pathlib import Path
from typing import Any

import bronze
import pytest
from gold import Workshop, one, query

SESSION = "aaaaaaaa-0000-4000-8000-000000000001"
DURATIONS: list[object] = [1e30, "NaN", "inf", -1e30, "5", 7]
TIMES = [
    "0001-01-01T00:00:00.000Z",
    "1800-01-01T00:00:00.000Z",
    "2026-01-01T00:00:09.000Z",
    "2107-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59.000Z",
]


@pytest.fixture(scope="module")
def odd(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odd")
    (root / "-p").mkdir()
    lines = "".join(json.dumps(line) + "\n" for line in _lines())
    (root / "-p" / f"{SESSION}.jsonl").write_text(lines)
    return workshop.build("odd", bronze.rows_of(root))


def _lines() -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []

    def say(role: str, content: object, **more: Any) -> None:
        number = len(said) + 1
        said.append(
            {
                "type": role,
                "uuid": f"11111111-1111-4111-8111-{number:012d}",
                "parentUuid": said[-1]["uuid"] if said else None,
                "sessionId": SESSION,
                "cwd": "/p",
                "version": "2.1.97",
                "timestamp": "2026-01-01T00:00:00.000Z",
                "message": {"role": role, "content": content} | more.pop("message", {}),
                **more,
            }
        )

    for number, moment in enumerate(TIMES):
        say("user", f"word{number}", timestamp=moment)
    for number, version in enumerate(["9999.0.0", "99999.1.1", "2.1"]):
        message = {"id": f"msg_01{number}", "model": "claude-opus-4-6"}
        message |= {"usage": {"input_tokens": 1, "output_tokens": 2}}
        say("assistant", "Yes.", version=version, message=message, requestId="r")
    for number, duration in enumerate(DURATIONS):
        call = f"toolu_{number}"
        block: dict[str, Any] = {"type": "tool_use", "id": call, "name": "Bash"}
        say("assistant", [block | {"input": {}}], message={"id": f"msg_02{number}"})
        result = {"type": "tool_result", "tool_use_id": call, "content": "ok"}
        say("user", [result], toolUseResult={"durationMs": duration})
    return said


def test_messages_of_impossible_times_are_found_by_their_words(odd: Path) -> None:
    found = query(odd, "select text from marts.search_documents order by search_id")
    words = [text for (text,) in found if text.startswith("word")]
    assert sorted(words) == [f"word{number}" for number in range(len(TIMES))]
    assert words.index("word2") < words.index("word3"), "in the order of time"


def test_responses_of_impossible_versions_are_counted(odd: Path) -> None:
    counted = one(
        odd,
        "select sum(input_tokens), sum(output_tokens) from marts.fct_api_responses"
        " where model = 'claude-opus-4-6'",
    )
    assert counted == (3, 6)


def test_durations_that_are_no_numbers_are_left_out(odd: Path) -> None:
    calls = query(
        odd, "select reported_ms from marts.fct_tool_calls order by tool_use_id"
    )
    assert [ms for (ms,) in calls] == [None, None, None, None, 5, 7]
