"""Real transcripts, where CCLAKE_REAL_LOGS names a folder of them."""

import os
from pathlib import Path

import independent_count
import pytest
from gold import Workshop, one, query

REAL = os.environ.get("CCLAKE_REAL_LOGS")
pytestmark = pytest.mark.skipif(not REAL, reason="CCLAKE_REAL_LOGS is not set")


@pytest.fixture(scope="module")
def real(workshop: Workshop) -> Path:
    """The real logs, built with every data and unit test of the project."""
    return workshop.build("real", Path(str(REAL)), args=("build",))


def test_every_response_of_real_logs_equals_the_other_count(real: Path) -> None:
    rows = query(
        real,
        "select response_key, coalesce(input_tokens, 0), coalesce(output_tokens, 0),"
        " coalesce(cache_write_tokens, 0), coalesce(cache_read_tokens, 0)"
        " from marts.fct_api_responses",
    )
    names = independent_count.COUNTERS
    found = {key: dict(zip(names, tokens, strict=True)) for key, *tokens in rows}
    assert found == independent_count.count(Path(str(REAL)))


def test_every_line_that_parses_is_an_entry_of_real_logs(real: Path) -> None:
    lines = one(
        real,
        "select count(*) from staging.stg_conversations"
        " where record_kind in ('line', 'salvaged') and entry is not null and not is_history",
    )
    copies = one(real, "select sum(copies) from marts.fct_messages")
    assert lines == copies
