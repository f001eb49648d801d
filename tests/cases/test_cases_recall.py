"""`recall` on the export of the real chain, with every case in it."""

import json
import os
import subprocess
from typing import Any

import pytest
from cases import Cases
from cclake_recall.past import Source
from cclake_recall.server import make
from harness import PATIENCE
from mcp import Client
from mcp.types import TextContent


def rows(cases: Cases, *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["recall", *arguments, "--json"],
        env=os.environ | {"EXPORT_DIR": str(cases.exports)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_recall_lists_and_shows_every_session(lake_of_cases: Cases) -> None:
    known = lake_of_cases.query(
        """select session_id, count(*) from marts.thread_entries
        group by 1 order by 1"""
    )
    listed = {row["session"]: row for row in rows(lake_of_cases, "list", "-n", "9999")}
    assert known
    for session, entries in known:
        assert session in listed
        shown = rows(lake_of_cases, "show", session)
        assert len({row["position"] for row in shown}) == entries


def test_recall_knows_the_edits(lake_of_cases: Cases) -> None:
    paths = lake_of_cases.query(
        """select file_path, count(*) from marts.fct_file_operations
        where file_path like '/%' group by 1"""
    )
    assert paths
    for path, count in paths:
        assert len(rows(lake_of_cases, "files", path, "--reads", "-n", "999")) == count


@pytest.mark.parametrize("by", ["day", "project", "model", "session"])
def test_recall_sums_what_gold_counts(lake_of_cases: Cases, by: str) -> None:
    ((tokens, cost),) = lake_of_cases.query(
        "select sum(total_tokens), sum(cost_usd) from marts.fct_api_responses"
    )
    (content,) = ask(lake_of_cases, "usage", by=by, limit=100)
    found = [json.loads(one) for one in content.splitlines() if one.startswith("{")]
    assert sum(row["tokens"] for row in found) == tokens
    assert sum(row["cost_usd"] for row in found) == pytest.approx(float(cost), abs=0.01)


def ask(cases: Cases, tool: str, **given: Any) -> list[str]:
    import anyio

    async def main() -> list[str]:
        async with Client(make(Source(cases.exports), None)) as client:
            result = await client.call_tool(tool, given)
            return [one.text for one in result.content if isinstance(one, TextContent)]

    return anyio.run(main)
