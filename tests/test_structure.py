"""The rules of docs/contributing.md on modules and imports, checked."""

import pytest
from structure import circles, modules

LIBRARIES = {"cclake_common", "cclake_lake", "cclake_archive"}
MODULES = modules()


def test_no_module_imports_in_a_circle() -> None:
    assert not circles({name: m.imports | m.late for name, m in MODULES.items()})


def test_no_tool_imports_another_tool() -> None:
    for name, module in MODULES.items():
        others = {other.partition(".")[0] for other in module.imports | module.late}
        assert others <= {module.package, *LIBRARIES}, name


@pytest.mark.parametrize("kind", ["imports", "late"])
def test_queries_of_the_pages_know_no_page(kind: str) -> None:
    for name, module in MODULES.items():
        if name.startswith("cclake_web.data."):
            pages = [o for o in getattr(module, kind) if ".pages" in o]
            assert not pages, name


def test_circles_are_found() -> None:
    graph = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a")}
    assert circles(graph | {"d": frozenset("a")}) == [["a", "b", "c"]]
