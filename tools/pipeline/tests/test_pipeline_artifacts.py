import os
from pathlib import Path

import pytest
from cclake_pipeline import artifacts
from tiny_dbt import make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "dbt")


def test_artifacts_lie_in_the_project_or_in_the_data_directory(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("statements.json", project, "key", tmp_path)
    assert artifacts.file_of(*asked) == project / "target" / "statements-key.json"
    monkeypatch.setattr(os, "access", lambda *_: False)  # root can write everywhere
    assert artifacts.file_of(*asked) == tmp_path / "statements-key.json"


def test_only_the_newest_of_a_kind_are_kept(tmp_path: Path) -> None:
    other = tmp_path / "parsed-0.msgpack"
    other.write_bytes(b"")
    assert artifacts.read(tmp_path / "statements-0.json") is None
    for number in range(artifacts.KEPT + 2):
        file = tmp_path / f"statements-{number}.json"
        artifacts.write(file, str(number).encode())
        os.utime(file, (number, number))
        if number == artifacts.KEPT:
            # The first is deleted by now; the second becomes the newest.
            assert artifacts.read(tmp_path / "statements-0.json") is None
            assert artifacts.read(tmp_path / "statements-1.json") == b"1"
    kept = {int(file.stem.split("-")[1]) for file in tmp_path.glob("statements-*")}
    assert kept == {1, *range(3, artifacts.KEPT + 2)}
    assert other.exists()


def test_the_parsed_project_depends_on_its_files_and_settings(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [artifacts.parsed_key(project, [])]
    (project / "models" / "fct_messages.yml").write_text("models: []")
    keys.append(artifacts.parsed_key(project, []))
    keys.append(artifacts.parsed_key(project, ["--target", "other"]))
    for name, value in {
        "DUCKDB_PATH": "/data/other.duckdb",
        "CCLAKE_PRICES": "prices.csv",
        "DBT_TARGET": "other",
    }.items():
        monkeypatch.setenv(name, value)
        keys.append(artifacts.parsed_key(project, []))
    assert len(set(keys)) == len(keys)
    # What dbt has written, and where the data lies, change nothing.
    (project / "target").mkdir()
    (project / "target" / "run.sql").write_text("select 1")
    monkeypatch.setenv("DUCKDB_PATH", "/elsewhere/other.duckdb")
    assert artifacts.parsed_key(project, []) == keys[-1]
