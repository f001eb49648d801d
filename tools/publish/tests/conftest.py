from pathlib import Path

import pytest
from gold_tables import make_gold


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    return make_gold(tmp_path / "analytics.duckdb")


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "exports"
