"""Build gold on Sail, and compare it with DuckDB's; needs `.spark`: just spark."""

import re

import duckdb
import pytest
from chain import Chain
from spark_gold import PYTHON, compare

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs .spark: just spark"),
]


def test_each_value_of_each_table_equals_that_in_duckdb(pricing: Chain) -> None:
    done = compare(pricing)
    assert done.returncode == 0, done.stdout + done.stderr
    results = re.findall(
        r"^(\w+)\.\w+ +\d+ rows +\d+ columns  (.*)$", done.stdout, re.MULTILINE
    )
    assert {result for _, result in results} == {"equal"}
    assert {schema for schema, _ in results} == {"staging", "intermediate", "marts"}
    assert len(results) > 50
    files = pricing.home / "spark" / "marts" / "fct_messages" / "*.parquet"
    with duckdb.connect(str(pricing.gold), read_only=True) as gold:
        rows = gold.execute(
            f"select (select count(*) from '{files}') = count(*) from marts.fct_messages"
        ).fetchone()
    assert rows == (True,)
