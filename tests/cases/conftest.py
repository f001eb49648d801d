"""All cases in one lake, built once for the whole run, and the pages over it."""

from collections.abc import Iterator

import cases
import pytest
from cases import Cases
from chain import Chain, shared
from harness import Mongod
from webface import Web, serving


@pytest.fixture(scope="session")
def lake_of_cases(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Cases:
    """Every case, through the real chain. Tests only read it: others do so too."""
    made = shared(
        tmp_path_factory, "cases", lambda folder: cases.build(folder, mongod.uri)
    )
    return Cases(Chain(made, mongod.uri, "cases"))


@pytest.fixture(scope="session")
def pages(
    lake_of_cases: Cases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    """The pages over all cases."""
    folder = tmp_path_factory.mktemp("pages")
    with serving(lake_of_cases.exports, folder / "web.log") as web:
        yield web
