"""Publish gold from Iceberg tables as from DuckDB."""

from pathlib import Path

from cases import Cases
from chain import Chain
from exports import facts_of, hits, rows_of


def test_the_export_of_gold_in_iceberg_is_equal_row_by_row(
    lake_of_cases: Cases, tmp_path: Path
) -> None:
    chain: Chain = lake_of_cases.chain
    options = ("--warehouse", tmp_path / "iceberg")
    wrote = chain.answer("publish", "iceberg", *options)
    exports = tmp_path / "exports"
    chain.answer("publish", "--from", "iceberg", "--export-dir", exports, *options)
    expected = rows_of(chain.exports)
    assert rows_of(exports) == expected
    # A mart without rows here would prove nothing; each has some case.
    empty = [name for name in wrote["tables"] if not expected[name]]
    assert len(empty) < 5, empty
    assert hits(exports, "error") == hits(chain.exports, "error") != []
    facts, known = facts_of(exports), facts_of(chain.exports)
    assert facts["watermarks"] == known["watermarks"]
    assert facts["extract_run"] == known["extract_run"]
