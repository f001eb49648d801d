"""Continue a session with Claude Code in the folder where it ran."""

import os
import re
import shlex
import sys
from pathlib import Path

from cclake_common.failure import Failure
from cclake_common.visible import visible

from cclake_recall.find import Row

# Session ids are UUIDs; no other text of a log becomes an argument of a command.
_ID = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]{7,63}")


def command(session: Row) -> tuple[str, list[str]]:
    """Return the folder of a session, and the command that continues it there.

    Raises:
        Failure: Its id or its folder cannot be used.
    """
    number = str(session["session"]).partition("#")[0]
    if not _ID.fullmatch(number):
        raise Failure(f"{number!r} is not an id that Claude Code gives a session")
    folder = session["folder"] or ""
    if not folder.startswith("/") or visible(folder) != folder:
        raise Failure(f"the folder of session {number} is unknown: {folder!r}")
    return folder, ["claude", "--resume", number]


def as_shell(folder: str, words: list[str]) -> str:
    """Return a command as a line for a shell."""
    return f"cd {shlex.quote(folder)} && {shlex.join(words)}"


def pick(lines: list[str]) -> int:
    """Ask the user to choose a line on the terminal; return its index.

    Raises:
        Failure: None was chosen.
    """
    for number, one in enumerate(lines, 1):
        print(f"{number:>3} {one}", file=sys.stderr)
    print(f"Resume which? [1-{len(lines)}, default 1] ", end="", file=sys.stderr)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise Failure("nothing was chosen")
    chosen = answer.strip() or "1"
    if not chosen.isdecimal() or not 1 <= int(chosen) <= len(lines):
        raise Failure(f"{chosen!r} is not a number of the list", code=2)
    return int(chosen) - 1


def execute(folder: str, words: list[str]) -> None:
    """Replace this process by the command, in its folder.

    Raises:
        Failure: The folder does not exist, or the program is not installed.
    """
    if not Path(folder).is_dir():
        raise Failure(f"{folder} does not exist on this machine")
    try:
        os.chdir(folder)
        os.execvp(words[0], words)
    except FileNotFoundError as error:
        raise Failure(
            f"{words[0]} is not on the PATH", f"Run: {as_shell(folder, words)}"
        ) from error
