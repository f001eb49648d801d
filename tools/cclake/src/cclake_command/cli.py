"""Command line of cclake."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from cclake_common.failure import COMMAND, Failure, run

from cclake_command import manual
from cclake_command.parts import STACK, path, tools

USAGE = """\
Usage: cclake COMMAND [OPTIONS]...

  Run any part of cclake: one name on the PATH for all of them.

  `cclake COMMAND --help` shows the options of a command.

Options:
  -h, --help  Show this message and exit.
  --version   Show the version and exit.
"""


def usage() -> str:
    """Return the help, with all installed tools."""
    sections = {
        "The whole stack": STACK,
        "Tools": tools(),
        "Manual": {"man": "Write a manual page for each command: cclake man FOLDER"},
    }
    lines = [USAGE]
    for title, commands in sections.items():
        lines += [f"\n{title}:\n"]
        lines += [f"  {name:<10}  {about}\n" for name, about in commands.items()]
    return "".join(lines)


def _run() -> None:
    given = sys.argv[1:]
    if not given or given[0] in ("-h", "--help"):
        print(usage(), end="")
        return
    name, options = given[0], given[1:]
    if name == "man":
        if len(options) != 1 or options[0].startswith("-"):
            raise Failure("man needs a folder", "For example: cclake man ~/man", 2)
        folder = Path(options[0]).expanduser()
        try:
            count = manual.write(folder)
        except OSError as error:
            raise Failure(f"cannot write {error.filename}: {error.strerror}") from error
        print(f"{count} manual pages are in {folder / 'man1'}")
        return
    if name in STACK:
        name, options = "stack", given
    if name not in tools():
        raise Failure(f"{name!r} is not a command", "`cclake --help` lists all.", 2)
    os.environ.setdefault(COMMAND, "cclake")
    sys.stdout.flush()
    try:
        os.execv(path(name), [str(path(name)), *options])
    except FileNotFoundError:
        raise Failure(
            f"{path(name)} does not exist",
            "Install cclake into an environment of its own, for example with pipx.",
        ) from None


def main() -> NoReturn:
    """Run the console script: become the tool that is named."""
    run("cclake", _run)
