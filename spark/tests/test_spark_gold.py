"""Build gold on Sail, and compare it with DuckDB's; needs `.spark`: just spark."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chain import Chain
from exports import facts_of, rows_of
from harness import Mongod
from parity import FIXTURES
from seaweed import MISSING, WEED, seaweed
from spark_gold import PYTHON, spark

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs .spark: just spark"),
]
PRICES = """\
Model,valid_from,input,output,comment
claude-opus-4-6-20260205,2026-01-01,1e1,20.12345,an exponent and a digit too many
claude-sonnet-4-5,,not a number, 7 ,
"""


@pytest.fixture(scope="module", params=["folder", "S3"])
def chain(
    request: pytest.FixtureRequest,
    pricing: Chain,
    mongod: Mongod,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Chain]:
    """The chain of the pricing fixture; or with own prices, and a lake on real S3."""
    if request.param == "folder":
        yield pricing
        return
    if not WEED.exists():
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("team")
    prices = folder / "[our] prices.csv"
    prices.write_text(PRICES)
    with seaweed(folder / "weed") as server:
        team = Chain(folder / "chain", mongod.uri, "spark_on_s3")
        team.env |= server.settings | {"CCLAKE_PRICES": str(prices)}
        team.archive(FIXTURES / "pricing" / "projects", "laptop")
        done = team.tool("pipeline", "run")
        assert done.returncode == 0, done.stdout + done.stderr
        yield team


def test_each_value_of_each_table_equals_that_in_duckdb(chain: Chain) -> None:
    done = spark(chain, "compare")
    assert done.returncode == 0, done.stdout + done.stderr
    results = re.findall(
        r"^(\w+)\.\w+ +\d+ rows +\d+ columns  (.*)$", done.stdout, re.MULTILINE
    )
    assert {result for _, result in results} == {"equal"}
    assert {schema for schema, _ in results} == {"staging", "intermediate", "marts"}
    assert len(results) > 50


def test_the_export_of_gold_from_spark_is_the_one_from_duckdb(
    chain: Chain, tmp_path: Path
) -> None:
    # Other tests read this lake, too.
    namespace = {"ICEBERG_GOLD_NAMESPACE": "of_spark"}
    done = spark(chain, "build", **namespace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (chain.home / "spark").iterdir()} == {"gold"}
    reader = Chain(chain.folder, "", "")
    reader.env = chain.env | namespace
    reader.answer("publish", "--from", "iceberg", "--export-dir", tmp_path)
    assert rows_of(tmp_path) == rows_of(chain.exports)
    known = facts_of(chain.exports)
    assert facts_of(tmp_path)["watermarks"] == known["watermarks"]
