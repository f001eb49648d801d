"""A lake and a database of their own for each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cclake_lake.settings import Lake
from harness import Mongod, connect
from pymongo.database import Database
from seaweed import MISSING, WEED, Seaweed, seaweed
from tiny_dbt import make_project


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(warehouse=str(tmp_path / "cclake" / "iceberg"))


@pytest.fixture
def db(mongod: Mongod, mongo_db: str) -> Iterator[Database[dict[str, Any]]]:
    with connect(mongod.uri) as client:
        yield client[mongo_db]


@pytest.fixture
def home(tmp_path: Path, mongo_db: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of the pipeline, over a dbt project of one mart."""
    monkeypatch.setenv("CCLAKE_DBT_DIR", str(make_project(tmp_path / "dbt")))
    return tmp_path / "cclake"


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """One SeaweedFS for the session; do not kill it: start your own for that."""
    if not WEED.exists():
        pytest.skip(MISSING)
    with seaweed(tmp_path_factory.mktemp("weed")) as server:
        yield server
