"""Provide the chain to several folders of tests, made once for the whole run."""

from pathlib import Path

import pytest
from bronze import Bronze
from chain import Chain, shared
from harness import Mongod
from parity import FIXTURES


@pytest.fixture(scope="session")
def bronze(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Bronze:
    return Bronze(tmp_path_factory, mongod.uri)


@pytest.fixture(scope="session")
def pricing(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Chain:
    """The pricing fixture from its log files to the exports; tests only read it."""

    def make(folder: Path) -> None:
        chain = Chain(folder, mongod.uri, "pricing")
        chain.archive(FIXTURES / "pricing" / "projects", "laptop")
        done = chain.tool("pipeline", "run", "--daily")
        assert done.returncode == 0, done.stdout + done.stderr

    made = shared(tmp_path_factory, "pricing", make)
    return Chain(made, mongod.uri, "pricing")
