"""Gold databases, each built once for the session."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import account
import families
import gateway
import pytest
import talk
from bronze import Bronze
from chain import shared
from gold import Workshop
from parity import FIXTURES, generate


@pytest.fixture(scope="session")
def workshop(
    tmp_path_factory: pytest.TempPathFactory,
    bronze: Bronze,
) -> Iterator[Workshop]:
    made = Workshop(tmp_path_factory.mktemp("gold"), bronze)
    yield made
    made.close()


@pytest.fixture(scope="session")
def corrupt(workshop: Workshop) -> Path:
    return workshop.build("corrupt", FIXTURES / "corrupt" / "projects")


@pytest.fixture(scope="session")
def histories(
    tmp_path_factory: pytest.TempPathFactory, workshop: Workshop, bronze: Bronze
) -> Path:
    """Families of sessions, a gateway's calls, and what users typed; for reading."""

    def make(folder: Path) -> None:
        rows = [
            row
            for history in (families, gateway, talk)
            for row in bronze.rows(history.write(folder / history.__name__))
        ]
        workshop.build("histories", rows).rename(folder / "histories.duckdb")

    return shared(tmp_path_factory, "gold-histories", make) / "histories.duckdb"


@pytest.fixture(scope="session")
def account_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return account.write(tmp_path_factory.mktemp("account"))


@pytest.fixture(scope="session")
def gold_account(
    tmp_path_factory: pytest.TempPathFactory, workshop: Workshop, account_logs: Path
) -> Path:
    """The made-up account, built with every data and unit test of the project."""

    def make(folder: Path) -> None:
        folder.mkdir()
        built = workshop.build("account", account_logs, args=("build",))
        built.rename(folder / "account.duckdb")
        shutil.copy(workshop.folder / "target" / "manifest.json", folder)

    return shared(tmp_path_factory, "gold-account", make) / "account.duckdb"


@pytest.fixture(scope="session")
def parity_logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("parity")
    generate(root, sessions=20, turns=40)
    yield root / "projects"
