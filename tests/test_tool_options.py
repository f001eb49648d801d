"""Check the options that every tool has: version and completion."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = sorted(
    path.parent.name
    for path in ROOT.glob("tools/*/pyproject.toml")
    if "[project.scripts]" in path.read_text()
)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_says_its_version(tool: str) -> None:
    done = subprocess.run([tool, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"{tool} \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_commands() -> None:
    """By the script of `just completions`, sourced by a shell."""
    source = {"_REPORT_COMPLETE": "source_bash"}
    script = subprocess.run(
        ["report"], env=os.environ | source, capture_output=True, text=True, check=True
    ).stdout
    ask = 'COMP_WORDS=(report dai); COMP_CWORD=1; _report_completion report; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "daily\n"


def test_the_recipe_names_all_tools_that_can_complete() -> None:
    recipe = (ROOT / "justfile").read_text()
    named = re.search(r"for tool in ([a-z ]+); do \\\n\s+env \"_", recipe)
    assert named
    # recall is built with argparse, which has no completion.
    assert named[1].split() == [tool for tool in TOOLS if tool != "recall"]
