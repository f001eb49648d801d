"""Lines that are not published yet are of the kind that they have in gold."""

from typing import Any

import pytest
from cclake_archive.live.reading import line_of

SYNTHETIC = {"model": "<synthetic>"}


def kind_of(role: str, text: str, more: dict[str, Any], **entry: Any) -> str:
    message = {"role": role, "content": [{"type": "text", "text": text}]} | more
    line = line_of(
        {
            "_id": b"1", "buffer": "b", "seq": 1, "source": {"len": 1},
            "sourceFile": "p/s.jsonl", "sessionId": "s",
            "entry": {"type": role, "uuid": "u", "message": message} | entry,
        }
    )  # fmt: skip
    assert line
    return line.kind


# Each as the dbt macro `message_kind` has it.
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Do it", "prompt"),
        ("<b>bold</b>", "prompt"),
        (" <command-name>/clear</command-name>", "command"),
        ("<bash-input>ls</bash-input>", "command"),
        ("<user-memory-input>tabs</user-memory-input>", "command"),
        ("<local-command-stdout>ok</local-command-stdout>", "command"),
        ("<local-command-caveat>x</local-command-caveat>", "meta"),
        ("Caveat: The messages below were generated", "meta"),
        ("<task-notification>x", "notification"),
        ("<bash-notification>x", "notification"),
        ("<agent-notification>x", "notification"),
        ('<teammate-message teammate_id="a">x', "notification"),
        ("<ci-monitor-event a='1'>x", "notification"),
        ("[Request interrupted by user]", "interrupt"),
    ],
)
def test_the_text_of_a_user_says_what_it_is(text: str, kind: str) -> None:
    assert kind_of("user", text, {}) == kind


def test_flags_say_what_a_text_is() -> None:
    assert kind_of("user", "x", {}, origin={"kind": "task-notification"}) == (
        "notification"
    )
    assert kind_of("user", "x", {}, origin={"kind": "channel"}) == "prompt"
    assert kind_of("user", "x", {}, origin=["?"]) == "prompt"
    assert kind_of("user", "x", {}, promptSource="system") == "meta"
    interrupted = "[Request interrupted by user]"
    assert kind_of("user", interrupted, {}, isCompactSummary=True) == "compact_summary"


def test_what_no_model_said_is_not_an_answer() -> None:
    assert kind_of("assistant", "Yes", {"model": "m"}) == "answer"
    assert kind_of("assistant", "No response requested.", SYNTHETIC) == "meta"
    assert kind_of("assistant", "[Request interrupted", SYNTHETIC) == "interrupt"
    assert kind_of("assistant", "529", SYNTHETIC) == "api_error"
    assert kind_of("assistant", "529", {"model": "m"}, isApiErrorMessage=True) == (
        "api_error"
    )
