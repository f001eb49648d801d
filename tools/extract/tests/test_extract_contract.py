"""The table's columns are those of the contract, and load reads the same."""

import re
from pathlib import Path

from cclake_extract.bronze import COLUMNS, SCHEMA
from cclake_load import raw

CONTRACTS = Path(__file__).parents[3] / "docs" / "contracts.md"
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
