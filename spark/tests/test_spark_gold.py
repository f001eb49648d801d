"""Build gold on Sail, and compare it with DuckDB's; needs `.spark`: just spark."""

import re
from pathlib import Path

import pytest
from chain import Chain
from exports import facts_of, rows_of
from spark_gold import PYTHON, spark

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs .spark: just spark"),
]


def test_each_value_of_each_table_equals_that_in_duckdb(pricing: Chain) -> None:
    done = spark(pricing, "compare")
    assert done.returncode == 0, done.stdout + done.stderr
    results = re.findall(
        r"^(\w+)\.\w+ +\d+ rows +\d+ columns  (.*)$", done.stdout, re.MULTILINE
    )
    assert {result for _, result in results} == {"equal"}
    assert {schema for schema, _ in results} == {"staging", "intermediate", "marts"}
    assert len(results) > 50


def test_the_export_of_gold_from_spark_is_the_one_from_duckdb(
    pricing: Chain, tmp_path: Path
) -> None:
    # Other tests read this lake, too.
    namespace = {"ICEBERG_GOLD_NAMESPACE": "of_spark"}
    done = spark(pricing, "build", **namespace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (pricing.home / "spark").iterdir()} == {"gold"}
    reader = Chain(pricing.folder, "", "")
    reader.env = pricing.env | namespace
    reader.answer("publish", "--from", "iceberg", "--export-dir", tmp_path)
    assert rows_of(tmp_path) == rows_of(pricing.exports)
    known = facts_of(pricing.exports)
    assert facts_of(tmp_path)["watermarks"] == known["watermarks"]
