"""The console script. It imports the commands only when one of them is run."""

import sys
from functools import partial
from typing import NoReturn

from cclake_common.failure import run


def main() -> NoReturn:
    """Run a command; without one it is `daily`."""
    first = sys.argv[1] if len(sys.argv) > 1 else "-"
    if first == "statusline" and not {"-h", "--help"} & set(sys.argv[2:]):
        # Claude Code waits for this one, and typer alone takes longer than it may.
        from cclake_report import statusline

        run("report", partial(statusline.main, sys.argv[2:]), at_once=True)
    if first.startswith("-") and first not in ("-h", "--help", "--version"):
        sys.argv.insert(1, "daily")
    from cclake_report.commands import app

    run("report", app)
