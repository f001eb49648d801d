"""Names of models in Python are those of gold."""

from typing import Any

import duckdb
import pytest
from cclake_common.model_names import gold_name, short_name
from quarters import duckdb_macros

LOGGED = (
    "claude-sonnet-4-5-20250929", "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "global.anthropic.claude-opus-4-8-v1", "anthropic.claude-3-5-haiku-20241022-v1:0",
    "claude-opus-4@20250514", "publishers/anthropic/models/claude-haiku-4-5",
    "anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-opus-4.6-fast",
    "claude-4.5-sonnet-20250929", "claude-3-5-sonnet-latest", "claude-opus-4-8[1m]",
    "anthropic--claude-4-sonnet", "my-gateway/claude-opus-4-0", "CLAUDE_SONNET_4_6",
    "bedrock/claude-opus-4-7", "claude-2.1", "claude-instant-1.2", "glm-4.6", "claude",
    "qwen3-8b-claude-opus-4-distill", "claude-opus-5-mini", "<synthetic>", "", " ",
    "arn:aws:bedrock:us-east-1::inference-profile/us.anthropic.claude-opus-5-v1",
    "deepseek-r1", "x.claude-fable-5-1 (thinking)", "claude-<script>", "cláude-opus-4",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("claude-opus-4-7", "opus 4.7"),
        ("claude-sonnet-4", "sonnet 4"),
        ("claude-sonnet-4 (Bedrock us)", "sonnet 4 (Bedrock us)"),
        ("claude-3-5-sonnet", "sonnet 3.5"),
        ("claude-3-opus (Vertex)", "opus 3 (Vertex)"),
        ("glm-4.6", "glm-4.6"),
        ("<synthetic>", "<synthetic>"),
        ("", ""),
    ],
)
def test_a_model_is_called_as_people_say_it(name: str, short: str) -> None:
    assert short_name(name) == short


def test_a_logged_model_has_the_name_of_gold() -> None:
    macros: dict[str, Any] = dict(duckdb_macros("model_name.sql").globals)
    kind, plain, provider = (
        macros[name]("model") for name in ("is_claude", "price_model", "model_provider")
    )
    query = f"""select model, case when {kind}
        then {plain} || coalesce(' (' || {provider} || ')', '') else model end
        from unnest(?) as logged (model)"""
    with duckdb.connect() as db:
        found = dict(db.execute(query, [list(LOGGED)]).fetchall())
    assert {model: gold_name(model) for model in LOGGED} == found
