"""Values that no one should have written, but that a log may hold: gold is built."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

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


PRICES = """\
model,valid_from,input,output
claude-opus-4-6-20260205,2026-01-01,1,2
claude-opus-4-6,2026-02-01,3,4
glm-4.6,,10,20
"""


@pytest.fixture(scope="module")
def odd(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odd")
    (root / "projects" / "-p").mkdir(parents=True)
    lines = "".join(json.dumps(line) + "\n" for line in _lines())
    (root / "projects" / "-p" / f"{SESSION}.jsonl").write_text(lines)
    (root / "[my] prices.csv").write_text(PRICES)
    # What DuckDB finds if it takes that name for a pattern.
    (root / "m prices.csv").write_text("model,input,output\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CCLAKE_PRICES", str(root / "[my] prices.csv"))
        return workshop.build("odd", root / "projects")


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
        message: dict[str, Any] = {"id": f"msg_01{number}"}
        message |= {"model": "claude-opus-4-6"}
        message |= {"usage": {"input_tokens": 1, "output_tokens": 2}}
        say("assistant", "Yes.", version=version, message=message, requestId="r")
    other = {"id": "msg_019", "model": "GLM-4.6", "usage": {"input_tokens": 1}}
    say("assistant", "Yes.", message=other, requestId="r")
    nothing = {"id": "msg_018", "model": "claude-opus-4-6", "usage": {}}
    say("assistant", "Yes.", message=nothing, requestId="r")
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


def test_a_price_ends_where_the_next_one_of_its_model_begins(odd: Path) -> None:
    found = query(
        odd,
        "select price_parts, input_tokens, cost_usd from marts.fct_api_responses"
        " where message_id in ('msg_010', 'msg_011', 'msg_012')",
    )
    assert found == [(1, 1, Decimal("0.000005"))] * 3


def test_a_model_that_is_no_claude_has_the_price_of_the_own_list(odd: Path) -> None:
    asked = "select cost_usd from marts.fct_api_responses where message_id = ?"
    assert one(odd, asked, "msg_019") == (Decimal("0.00001"),)
    priced = "select is_priced from marts.dim_models where model = 'GLM-4.6'"
    assert one(odd, priced) == (True,)


def test_usage_without_any_counter_is_no_usage(odd: Path) -> None:
    found = one(
        odd,
        "select input_tokens, output_tokens, cost_usd from marts.fct_api_responses"
        " where message_id = 'msg_018'",
    )
    assert found == (None, None, None)


def test_durations_that_are_no_numbers_are_left_out(odd: Path) -> None:
    calls = query(
        odd, "select reported_ms from marts.fct_tool_calls order by tool_use_id"
    )
    assert [ms for (ms,) in calls] == [None, None, None, None, 5, 7]
