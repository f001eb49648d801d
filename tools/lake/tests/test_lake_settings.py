from pathlib import Path

import pytest
from cclake_lake.connection import properties
from cclake_lake.settings import Lake

ARN = "arn:aws:s3tables:eu-central-1:111122223333:bucket/lake"


@pytest.mark.parametrize("name", ["demo", ARN, "s3://lake", "111122223333", ""])
def test_a_rest_catalog_gets_the_name_of_its_warehouse_as_it_is_written(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICEBERG_CATALOG_TYPE", "rest")
    monkeypatch.setenv("ICEBERG_CATALOG_URI", "https://me:hush@catalog.example.com")
    monkeypatch.setenv("ICEBERG_WAREHOUSE_PATH", name)
    lake = Lake.from_env()
    assert properties(lake).get("warehouse", "") == name
    assert lake.place == (name or "https://me:***@catalog.example.com")


def test_the_warehouse_of_a_folder_is_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Lake.from_env().warehouse == f"{tmp_path}/cclake/iceberg"
    monkeypatch.chdir(tmp_path)
    assert Lake.from_env(warehouse="mine").warehouse == f"{tmp_path}/mine"
    assert Lake.from_env(warehouse=f"file://{tmp_path}").warehouse == str(tmp_path)
