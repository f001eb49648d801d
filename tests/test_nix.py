"""The flake, as far as it can be checked without nixpkgs: see `nix/evaluate.nix`."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FLAKE = (ROOT / "flake.nix").read_text()
# Paths of the real sources, where somebody has them.
LIB, PYPROJECT = os.environ.get("NIXPKGS_LIB"), os.environ.get("PYPROJECT_NIX")
SYSTEMS = {"x86_64-linux", "aarch64-linux", "aarch64-darwin"}
TOOLS = {"backup", "buffer", "flusher", "restore", "tailer"}


def evaluate(*options: str) -> dict[str, dict[str, Any]]:
    command = ["nix-instantiate", "--eval", "--strict", "--json", "--readonly-mode"]
    command += [str(ROOT / "tests/nix/evaluate.nix"), "--arg", "root", str(ROOT)]
    ran = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, dict[str, Any]] = json.loads(ran.stdout)
    return found


def check_outputs(outputs: dict[str, dict[str, Any]]) -> None:
    named = {
        "packages": TOOLS,
        "apps": TOOLS,
        "checks": {*TOOLS, "ruff", "tests"},
        "devShells": {"default"},
    }
    assert set(outputs) == {*named, "formatter"}
    for kind, names in named.items():
        assert set(outputs[kind]) == SYSTEMS
        for system in SYSTEMS:
            found = outputs[kind][system]
            assert set(found) == names
            end = r"/bin/\w+" if kind == "apps" else r"\.drv"
            assert all(
                re.search(f"^/nix/store/.*{end}$", each) for each in found.values()
            )
    assert all("nixfmt" in each for each in outputs["formatter"].values())


@pytest.mark.skipif(not shutil.which("nix-instantiate"), reason="nix is not installed")
def test_every_output_is_a_derivation() -> None:
    check_outputs(evaluate())


@pytest.mark.skipif(
    not (shutil.which("nix-instantiate") and LIB and PYPROJECT),
    reason="needs nix, and NIXPKGS_LIB and PYPROJECT_NIX with the real sources",
)
def test_every_output_is_a_derivation_with_the_real_libraries() -> None:
    assert LIB and PYPROJECT
    check_outputs(evaluate("--arg", "lib", LIB, "--arg", "pyprojectNix", PYPROJECT))


def test_the_lock_is_that_of_the_flake() -> None:
    lock = json.loads((ROOT / "flake.lock").read_text())
    nodes = lock["nodes"]
    for name, node in nodes["root"]["inputs"].items():
        original, locked = nodes[node]["original"], nodes[node]["locked"]
        place = "/".join(
            original[key] for key in ("owner", "repo", "ref") if key in original
        )
        assert f'"github:{place}"' in FLAKE, name
        assert re.fullmatch(r"[0-9a-f]{40}", locked["rev"])
        assert re.fullmatch(r"sha256-[\w+/]{43}=", locked["narHash"])
    assert nodes["pyproject-nix"]["inputs"] == {"nixpkgs": ["nixpkgs"]}


@pytest.mark.parametrize("tool", sorted(TOOLS | {"archive", "common"}))
def test_nixpkgs_has_the_versions_that_a_packaged_tool_needs(tool: str) -> None:
    """`versions.json` has those of nixpkgs in the autumn of 2026, as far as known."""
    versions = json.loads((ROOT / "tests/nix/versions.json").read_text())
    project = tomllib.loads((ROOT / f"tools/{tool}/pyproject.toml").read_text())
    for text in project["project"]["dependencies"]:
        wanted = Requirement(text)
        if wanted.name in versions:
            assert wanted.specifier.contains(versions[wanted.name]), text
