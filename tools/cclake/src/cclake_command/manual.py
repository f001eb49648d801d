"""Write manual pages from the help of every command."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cclake_command.parts import path, tools

_COMMANDS = re.compile(r"^Commands:\n((?:  .*\n|\n)+)", re.MULTILINE)
_NAME = re.compile(r"^  ([a-z][a-z-]*)  ", re.MULTILINE)
_ABOUT = re.compile(r"^Usage: .*\n(?:  +.*\n)*?\n\s*(.+)", re.MULTILINE)


def write(folder: Path) -> int:
    """Write a page for each command of each tool into `man1` of a folder.

    Returns:
        The number of pages.
    """
    section = folder / "man1"
    section.mkdir(parents=True, exist_ok=True)
    count = 0
    for tool in tools():
        for name, text in _helps([tool]):
            (section / f"{name}.1").write_text(page(name, text), encoding="utf-8")
            count += 1
    return count


def page(name: str, text: str) -> str:
    """Return the manual page of a command in roff, with its help as it is printed."""
    about = _ABOUT.search(text)
    summary = _escaped(about[1]).rstrip(".") if about else ""
    lines = [
        f".TH {_escaped(name.upper())} 1",
        ".SH NAME",
        rf"{_escaped(name)} \- {summary}",
        ".SH DESCRIPTION",
        ".nf",
        *map(_escaped, text.rstrip().splitlines()),
        ".fi",
    ]
    return "\n".join(lines) + "\n"


def _helps(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the help of a command, and of the commands below it."""
    done = subprocess.run(
        [path(words[0]), *words[1:], "--help"],
        env=os.environ | {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    text = done.stdout.decode()
    if done.returncode or not text.startswith("Usage: "):
        return
    yield "-".join(words), text
    below = _COMMANDS.search(text)
    for name in _NAME.findall(below[1]) if below else []:
        if words[1:] != ["dbt"]:  # its commands are dbt's
            yield from _helps([*words, name])


def _escaped(line: str) -> str:
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line.startswith((".", "'")) else line
