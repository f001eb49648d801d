"""Check the dbt project itself: layers, words, contracts, style."""

import csv
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from gold import LAYERS, PROJECT, REPOSITORY, query

Json = dict[str, Any]


@pytest.fixture
def models(gold_account: Path) -> dict[str, Json]:
    """The models of the manifest that dbt wrote, by name."""
    manifest = json.loads(gold_account.with_name("manifest.json").read_text())
    nodes = [
        node for node in manifest["nodes"].values() if node["resource_type"] == "model"
    ]
    return {node["name"]: node for node in nodes}


def test_every_column_of_every_model_is_described(
    models: dict[str, Json], gold_account: Path
) -> None:
    found = query(
        gold_account,
        "select table_name, column_name from information_schema.columns"
        " where table_schema in (?, ?, ?)",
        *LAYERS,
    )
    built = {(table, column) for table, column in found if table in models}
    described = {
        (name, column)
        for name, model in models.items()
        for column, about in model["columns"].items()
        if about["description"].strip() and model["description"].strip()
    }
    assert built == described


def test_every_mart_has_a_contract(models: dict[str, Json]) -> None:
    marts = [model for model in models.values() if model["schema"] == "marts"]
    assert len(marts) > 20
    assert [m["name"] for m in marts if not m["config"]["contract"]["enforced"]] == []


def test_only_the_first_staging_model_reads_the_source(models: dict[str, Json]) -> None:
    readers = [name for name, model in models.items() if model["sources"]]
    assert readers == ["stg_conversations"]


def test_layers_only_build_on_the_layers_below_them(models: dict[str, Json]) -> None:
    order = {name: LAYERS.index(model["schema"]) for name, model in models.items()}
    upward = [
        (name, parent)
        for name, model in models.items()
        for parent in (node.split(".")[-1] for node in model["depends_on"]["nodes"])
        if parent in order and order[parent] > order[name]
    ]
    assert upward == []


def test_names_tell_the_layer(models: dict[str, Json]) -> None:
    prefixes = {
        "staging": ("stg_",),
        "intermediate": ("int_",),
        "marts": ("dim_", "fct_", "agg_", "thread_", "search_", "image", "unread_"),
    }
    wrong = [n for n, m in models.items() if not n.startswith(prefixes[m["schema"]])]
    assert wrong == []


def test_every_rule_and_every_trap_has_a_unit_test_of_its_name(
    gold_account: Path,
) -> None:
    manifest = json.loads(gold_account.with_name("manifest.json").read_text())
    names = [test["name"] for test in manifest["unit_tests"].values()]
    wanted = [f"rule_{n}_" for n in range(1, 12)]
    wanted += [f"trap_{n}_" for n in (2, 3, 4, 5, 6, 7, 11, 12)]
    assert [w for w in wanted if not any(name.startswith(w) for name in names)] == []


def test_the_price_list_is_whole(gold_account: Path) -> None:
    with (PROJECT / "seeds" / "model_prices.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["model"].startswith("claude-"), row
        assert row["source"], row
        assert (
            Decimal(row["cache_write_5m"]) == Decimal(row["input"]) * Decimal("1.25")
            or row["model"] == "claude-3-haiku"
        )
        assert Decimal(row["cache_write_1h"]) == Decimal(row["input"]) * 2, row
    by_model: dict[str, list[Json]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row)
    for model, periods in by_model.items():
        ends = [period["valid_to"] for period in periods]
        starts = [period["valid_from"] for period in periods]
        assert ends == [*starts[1:], ""], model


def test_no_null_is_passed_over_by_least_or_greatest() -> None:
    """least(null, 300) is 300 in DuckDB: only the macros that know it may call them."""
    bare = re.compile(r"\b(?:least|greatest)\s*\(", re.IGNORECASE)
    sources = [path for end in ("sql", "py", "toml") for path in _sources(f"*.{end}")]
    assert len(sources) > 300
    found = {path.name for path in sources if bare.search(path.read_text())}
    assert found == {"bounds.sql"}


def _sources(pattern: str) -> Iterator[Path]:
    for folder in ("dbt/models", "dbt/macros", "dbt/tests", "tools", "datasette/src",
                   "metabase/src", "flows/src"):  # fmt: skip
        for path in (REPOSITORY / folder).rglob(pattern):
            if not {".venv", "node_modules"} & set(path.parts):
                yield path
