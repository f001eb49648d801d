"""Expected failures and how a tool ends.

Exit codes: 0 done, 1 failed, 2 wrong usage, 75 try again later, 130 interrupted.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

TRY_LATER = 75
INTERRUPTED = 130


class Failure(Exception):
    """An expected failure: what went wrong, and what the user can do about it.

    Attributes:
        hint: One sentence that says what to do; may be empty.
        code: The exit code of the process (1, or `TRY_LATER`).
    """

    def __init__(self, message: str, hint: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


def run(tool: str, app: Callable[[], Any], at_once: bool = False) -> NoReturn:
    """Run a typer application and exit; an expected failure is one line on stderr.

    Args:
        tool: Its name.
        app: The application.
        at_once: Do not wait for threads of libraries: those of MongoDB's driver
            sleep for half a second before they notice the end.
    """
    code: object = 0
    try:
        app()
    except Failure as failure:
        print(f"{tool}: {failure}", file=sys.stderr)
        if failure.hint:
            print(f"{' ' * len(tool)}  {failure.hint}", file=sys.stderr)
        code = failure.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as ended:
        code = ended.code
    if at_once and isinstance(code, int):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)  # type: ignore[arg-type]
