"""Promises of the repository itself: locks, documents, shell, layout."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = [
    *sorted(ROOT.glob("tools/*/pyproject.toml")),
    ROOT / "datasette" / "pyproject.toml",
    ROOT / "metabase" / "pyproject.toml",
    ROOT / "dbt" / "pyproject.toml",
]
JUSTFILE = ROOT / "justfile"
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?\s*(?P<spec>[^;]*)")


def read_toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, dict[str, Any]]:
    packages = read_toml(ROOT / "poetry.lock")["package"]
    return {canonical(package["name"]): package for package in packages}


def pinned(lock: str) -> dict[str, str]:
    found = re.findall(
        r"^([\w.-]+)(?:\[[^]]*\])?==([^ ]+)", (ROOT / lock).read_text(), re.MULTILINE
    )
    return {canonical(name): version for name, version in found}


def satisfies(version: str, spec: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return version in SpecifierSet(spec.strip(), prereleases=True)


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_the_lock_knows_every_dependency_of_every_tool(path: Path) -> None:
    packages = locked()
    project = read_toml(path)["project"]
    for requirement in project["dependencies"]:
        match = REQUIREMENT.match(requirement)
        assert match, requirement
        package = packages.get(canonical(match["name"]))
        assert package, f"{requirement} is not in poetry.lock: just lock"
        assert satisfies(package["version"], match["spec"]), requirement
    in_lock = packages[canonical(project["name"])]
    names = {canonical(name) for name in in_lock.get("dependencies", {})}
    wanted = {canonical(REQUIREMENT.match(r)["name"]) for r in project["dependencies"]}  # type: ignore[index]
    assert names == wanted, f"{path.parent.name} differs from poetry.lock: just lock"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_hashed_requirements_are_the_lock(lock: str) -> None:
    packages = locked()
    pins = pinned(lock)
    assert pins
    for name, version in pins.items():
        assert packages[name]["version"] == version
        hashes = {file["hash"] for file in packages[name]["files"]}
        block = re.search(
            rf"^{re.escape(name)}(?:\[[^]]*\])?==.*?(?=^\S|\Z)",
            (ROOT / lock).read_text(),
            re.MULTILINE | re.DOTALL | re.IGNORECASE,
        )
        assert block is None or set(re.findall(r"sha256:\w+", block[0])) <= hashes


def test_the_two_requirements_cover_the_lock() -> None:
    local = {canonical(read_toml(path)["project"]["name"]) for path in PROJECTS}
    everything = pinned("requirements.lock") | pinned("requirements-dev.lock")
    assert set(locked()) - local == set(everything)


def test_the_root_names_every_local_package() -> None:
    root = read_toml(ROOT / "pyproject.toml")
    local = {read_toml(path)["project"]["name"] for path in PROJECTS}
    assert local <= set(root["project"]["dependencies"])
    assert local <= set(root["tool"]["poetry"]["dependencies"])
    assert root["tool"]["poetry"]["package-mode"] is False


def test_no_lock_carries_an_address_of_a_package_index() -> None:
    for name in ("poetry.lock", "requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "--index-url" not in text
        assert '[package.source]\ntype = "legacy"' not in text


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_every_readme_teaches_its_command(path: Path) -> None:
    scripts = read_toml(path)["project"].get("scripts", {})
    readme = (path.parent / "README.md").read_text(encoding="utf-8")
    for script in scripts:
        assert f"Usage: {script}" in readme


def test_the_shell_scripts_are_clean() -> None:
    scripts = [
        ROOT / "just",
        ROOT / ".ci" / "run",
        ROOT / "datasette" / "serve",
        ROOT / "flows" / "serve",
        ROOT / "flows" / "ask",
        ROOT / "tests" / "support" / "build-wheels",
        ROOT / "tests" / "support" / "test-alone",
        ROOT / "tests" / "support" / "test-on",
    ]
    subprocess.run(["shellcheck", *map(str, scripts)], check=True)


def test_the_recipes_of_the_readme_exist() -> None:
    listing = subprocess.run(
        ["just", "--summary"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    # The summary leaves out what is only another name.
    known = {
        *listing,
        *re.findall(r"^alias ([a-z-]+)", JUSTFILE.read_text(), re.MULTILINE),
    }
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        used = set(re.findall(r"(?:\./just|`just) ([a-z][a-z-]*)", text))
        assert used <= known, document
        assert {"up", "test"} <= used or document != DOCUMENTS[0]


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (document.parent / link).exists(), f"{document}: {link}"
    readme = DOCUMENTS[0].read_text(encoding="utf-8")
    for document in DOCUMENTS[1:]:
        assert f"(docs/{document.name})" in readme


def test_a_recipe_that_fails_lets_its_tool_speak_alone() -> None:
    for recipe in ("export-db", "import-db"):
        ended = subprocess.run(
            ["just", recipe, "/dev/null/backup"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 1
        assert ended.stderr.startswith("backup: ")
        assert "error: recipe" not in ended.stderr


def test_just_parses_under_its_own_formatter() -> None:
    subprocess.run(
        ["just", "--unstable", "--fmt", "--check"],
        cwd=ROOT,
        check=True,
        timeout=PATIENCE,
    )


def test_every_promise_has_its_test() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.partition("## Promises")[2].partition("## ")[0]
    promises = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:]
    names = ["test_" + re.sub(r"\W+", "_", promise) for promise in promises]
    tests = (ROOT / "tests" / "test_promises.py").read_text()
    assert len(names) > 10
    assert sorted(names) == sorted(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))
