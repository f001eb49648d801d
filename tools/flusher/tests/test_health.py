"""Health derived from the buffer's numbers."""

import pytest
from cclake_flusher.health import Buffer, health
from cclake_flusher.state import State


@pytest.mark.parametrize(("silent_s", "known"), [(31, True), (500, True), (500, False)])
def test_a_tailer_that_is_silent_for_long_is_reported(
    silent_s: float, known: bool
) -> None:
    tailer = {"behind_bytes": 0, "reasons": []} if known else None
    buffer = Buffer(counters={}, tailer=tailer, tailer_silent_s=silent_s)
    reasons = health(State(), buffer)["reasons"]
    silent = "the tailer has been silent for 500 s"
    assert (silent in reasons) == (known and silent_s == 500)
