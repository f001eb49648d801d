"""The columns are those of the contract; what goes wrong is said in a sentence."""

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cclake_extract.schema import COLUMNS, SCHEMA
from cclake_lake.settings import Lake
from cclake_load import raw
from documents import documents, store
from harness import BIN, PATIENCE
from lakes import answer, keys, tool, wanted
from pymongo.database import Database

CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts.md"
NAMES = {"timestamptz": "timestamptz (µs)", "boolean": "boolean"}


def test_the_schema_is_the_one_of_the_contract() -> None:
    section = CONTRACTS.read_text().split("## 4.")[1].split("## 5.")[0]
    wanted = re.findall(r"^\| (\d+) \| `(\w+)` \| ([^|]+?) \|", section, re.MULTILINE)
    found = [
        (
            str(field.field_id),
            field.name,
            NAMES.get(str(field.field_type), str(field.field_type))
            + (", required" if field.required else ""),
        )
        for field in SCHEMA.fields
    ]
    assert found == wanted


def test_every_column_says_what_it_means() -> None:
    assert all(doc for _, _, _, doc in COLUMNS)


def test_load_has_the_same_columns_in_the_same_order() -> None:
    assert list(raw.COLUMNS) == [name for name, *_ in COLUMNS]


def test_a_lake_that_cannot_be_written_is_said_in_one_sentence(
    mongo_db: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    for name in ("extract", "load"):
        failed = tool(name, "--warehouse", str(tmp_path / "taken" / "lake"))
        assert failed.returncode == 75
        assert failed.stderr.startswith(f"{name}: the catalog {tmp_path}")
        assert len(failed.stderr.splitlines()) == 2


@pytest.mark.fault
def test_a_full_disk_is_said_and_the_next_run_goes_on(
    db: Database[dict[str, Any]], lake: Lake
) -> None:
    store(db, list(documents(1, 3000, size=2000)))
    limited = f"ulimit -f 100; exec {BIN / 'extract'}"
    failed = subprocess.run(
        ["bash", "-c", limited],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("extract: the lake in ")
    assert "Traceback" not in failed.stderr
    assert keys(lake) == Counter()
    assert answer("extract")["rows"] == 3000
    assert keys(lake) == wanted(db)
