"""The rules of docs/contributing.md on modules and imports, checked."""

from functools import cache

import pytest
from structure import ROOT, SOURCES, Module, circles, modules

LIBRARIES = {"cclake_common", "cclake_lake", "cclake_archive"}
# What a library does once for all tools, and where.
ONCE = {
    "MongoClient(": "archive/client.py",
    "fcntl.flock(": "common/lock.py",
    "?mode=ro": "common/sqlite.py",
    "os._exit(137)": "common/failpoint.py",
    "typer.Typer(": "common/cli.py",
    'typer.Option("--json"': "common/cli.py",
    'envvar="MONGO_URI"': "common/cli.py",
    'envvar="DUCKDB_PATH"': "common/cli.py",
    'envvar="EXPORT_DIR"': "common/cli.py",
}


@cache
def all_modules() -> dict[str, Module]:
    return modules()


def test_no_module_imports_in_a_circle() -> None:
    graph = {name: m.imports | m.late for name, m in all_modules().items()}
    assert not circles(graph)


def test_no_tool_imports_another_tool() -> None:
    for name, module in all_modules().items():
        others = {other.partition(".")[0] for other in module.imports | module.late}
        assert others <= {module.package, *LIBRARIES}, name


@pytest.mark.parametrize("kind", ["imports", "late"])
def test_queries_of_the_pages_know_no_page(kind: str) -> None:
    for name, module in all_modules().items():
        if name.startswith("cclake_web.data."):
            pages = [o for o in getattr(module, kind) if ".pages" in o]
            assert not pages, name


@pytest.mark.parametrize("what", ONCE)
def test_what_a_library_does_is_not_done_again(what: str) -> None:
    found = {
        f"{package.name.removeprefix('cclake_')}/{path.relative_to(package)}"
        for pattern in SOURCES
        for package in ROOT.glob(pattern)
        for path in package.rglob("*.py")
        if what in path.read_text(encoding="utf-8")
    }
    assert found == {ONCE[what]}


def test_circles_are_found() -> None:
    graph = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a")}
    assert circles(graph | {"d": frozenset("a")}) == [["a", "b", "c"]]
