"""Print the packages of the repository, their lines, and what each imports.

`just map` prints the table, `docs/architecture.md` includes it, and
`tests/test_structure.py` checks the rules that it shows.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("tools/*/src/cclake_*", "datasette/src/cclake_*", "metabase/src/cclake_*")


@dataclass(frozen=True)
class Module:
    """One module of a package.

    Attributes:
        name: Its dotted name.
        package: The first part of the name.
        lines: Number of lines in the file.
        imports: Modules of this repository that it imports when it is imported.
        late: Modules that it imports inside functions.
        for_types: Modules that it imports for type checkers alone.
    """

    name: str
    package: str
    lines: int
    imports: frozenset[str]
    late: frozenset[str]
    for_types: frozenset[str]


def modules(root: Path = ROOT) -> dict[str, Module]:
    """Return every module of the packages below `root`, by its dotted name."""
    paths = dict(_paths(root))
    return {name: _read(name, path, paths) for name, path in paths.items()}


def _paths(root: Path) -> Iterator[tuple[str, Path]]:
    for pattern in SOURCES:
        for package in sorted(root.glob(pattern)):
            for path in sorted(package.rglob("*.py")):
                parts = [*path.relative_to(package.parent).with_suffix("").parts]
                if parts[-1] == "__init__":
                    parts.pop()
                yield ".".join(parts), path


def _read(name: str, path: Path, known: dict[str, Path]) -> Module:
    text = path.read_text(encoding="utf-8")
    found: dict[str, set[str]] = {"imports": set(), "late": set(), "for_types": set()}
    _collect(ast.parse(text), "imports", known, found)
    return Module(
        name=name,
        package=name.partition(".")[0],
        lines=text.count("\n"),
        **{kind: frozenset(names - {name}) for kind, names in found.items()},
    )


def _collect(
    node: ast.AST, kind: str, known: dict[str, Path], found: dict[str, set[str]]
) -> None:
    for child in ast.iter_child_nodes(node):
        inner = kind
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = "late"
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inner = "for_types"
        elif isinstance(child, ast.Import):
            found[kind] |= {a.name for a in child.names if a.name in known}
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                target = whole if whole in known else child.module
                if target in known:
                    found[kind].add(target)
        _collect(child, inner, known, found)


def circles(graph: dict[str, frozenset[str]]) -> list[list[str]]:
    """Return the groups of names that import each other (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, frozenset())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def table(root: Path = ROOT) -> str:
    """Return the packages as a Markdown table: modules, lines, imported packages.

    Lines are rounded to hundreds, so that the table changes when the structure does.
    """
    rows = ["| package | modules | lines | imports |", "|---|---:|---:|---|"]
    by_package: dict[str, list[Module]] = {}
    for module in modules(root).values():
        by_package.setdefault(module.package, []).append(module)
    for package, members in sorted(by_package.items()):
        used = {
            other.partition(".")[0].removeprefix("cclake_")
            for member in members
            for other in member.imports | member.late
        } - {package.removeprefix("cclake_")}
        lines = sum(member.lines for member in members)
        rows.append(
            f"| {package.removeprefix('cclake_')} | {len(members)}"
            f" | {round(lines, -2):,} | {', '.join(sorted(used))} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
