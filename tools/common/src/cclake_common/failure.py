"""Expected failures and how a tool ends.

Exit codes: 0 done, 1 failed, 2 wrong usage, 75 try again later, 130 interrupted,
141 the reader closed the output (`report daily | head -1`), as for `cat`.
"""

import codecs
import errno
import io
import os
import re
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from cclake_common.visible import visible, visible_lines

TRY_LATER = 75
INTERRUPTED = 130
QUERY_INTERRUPTED = "Query interrupted"  # what DuckDB makes of a Ctrl-C in a query
UNREAD = 141
READER_GONE = select.POLLHUP  # Linux always reports it, macOS only if asked
COMMAND = "CCLAKE_COMMAND"
_RECIPE = re.compile(r"(`|: )(?:\./)?just ([a-z-]+)")
# What recipes run that are not commands of the same name.
_TOOLS = {
    "backfill": "pipeline run --backfill",
    "full-refresh": "pipeline run --full",
    "pipeline": "pipeline run",
}
# A disk that is full or read-only is not a bug.
SURROUNDINGS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


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
    """Run an application and exit; an expected failure is one line on stderr.

    `--version` alone prints the version instead.

    Only this user can read the files that it and its children create: they hold
    conversations, wherever a setting puts them.

    Args:
        tool: Its name.
        app: The application.
        at_once: Do not wait for threads of libraries: those of MongoDB's driver
            sleep for half a second before they notice the end.
    """
    code: object = 0
    _open_streams()
    _accept_every_character()
    os.umask(0o077)
    try:
        if sys.argv[1:] == ["--version"]:
            print(_version(tool))
        else:
            _prepare_completion(tool)
            app()
    except Failure as failure:
        print(f"{tool}: {visible_lines(typed(str(failure)))}", file=sys.stderr)
        if failure.hint:
            hint = visible_lines(typed(failure.hint))
            print(f"{' ' * len(tool)}  {hint}", file=sys.stderr)
        code = failure.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except RuntimeError as error:
        if str(error) != QUERY_INTERRUPTED:
            raise
        code = INTERRUPTED
    except UnicodeEncodeError:
        odd = [one for one in sys.argv[1:] if not _is_text(one)]
        if not odd:
            raise
        print(f"{tool}: not UTF-8: {visible(odd[0])}", file=sys.stderr)
        code = 2
    except OSError as error:
        if error.errno == errno.EPIPE and _is_unread():
            code = UNREAD
        elif error.errno in SURROUNDINGS:
            code = 1
            where = error.filename or "a file, or the output"
            print(f"{tool}: {visible(str(where))}: {error.strerror}", file=sys.stderr)
        else:
            raise
    except SystemExit as ended:
        code = ended.code
        # typer takes every broken pipe for a closed standard output.
        if isinstance(ended.__context__, BrokenPipeError) and not _is_unread():
            sys.stdout = sys.__stdout__
            print(f"{tool}: a process or server closed its connection", file=sys.stderr)
    code = _delivered(tool, code)
    if at_once and isinstance(code, int):
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)  # type: ignore[arg-type]


def _is_text(argument: str) -> bool:
    """Return whether the bytes of an argument are UTF-8."""
    return not any("\ud800" <= one <= "\udfff" for one in argument)


def typed(text: str) -> str:
    """Return a text with the commands that the user can type.

    Without a checkout there is no `just`: the command `cclake` sets its name.
    """
    name = os.environ.get(COMMAND)
    if not name:
        return text
    return _RECIPE.sub(
        lambda found: f"{found[1]}{name} {_TOOLS.get(found[2], found[2])}", text
    )


def _version(tool: str) -> str:
    from importlib.metadata import version

    return f"{tool} {version(_distribution(tool))}"


def _distribution(tool: str) -> str:
    return tool if tool == "cclake" else f"cclake-{tool}"


def _prepare_completion(tool: str) -> None:
    """Let a shell ask for completions; see `just completions`."""
    if f"_{tool.upper()}_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()


def _open_streams() -> None:
    """Connect standard streams that the caller closed to /dev/null.

    Otherwise a database file could get the number of a stream, and output would be
    written into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for good


def _accept_every_character() -> None:
    """Escape what standard output can't encode, such as on a latin-1 terminal.

    The escapes are those of JSON, so that JSON keeps its content.
    """
    codecs.register_error("json", _escaped)
    for stream in (sys.stdout, sys.stderr):
        # Bytes of file names pass through UTF-8 as they are.
        strict = ("strict",) if stream.encoding == "utf-8" else _STRICT
        if isinstance(stream, io.TextIOWrapper) and stream.errors in strict:
            stream.reconfigure(errors="json")


_STRICT = ("strict", "surrogateescape")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def _is_unread() -> bool:
    """Return whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(1, READER_GONE)
    return bool(poll.poll(0))


def _delivered(tool: str, code: object) -> object:
    """Flush standard output, and return the exit code; 141 if nobody reads it."""
    # typer ends with 1 if the reader has closed the pipe, and wraps standard output.
    wrapped = type(sys.stdout).__name__ == "PacifyFlushWrapper"
    gone, lost = wrapped or code == UNREAD, False
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        gone = True
    except OSError as error:
        print(f"{tool}: the output: {error.strerror}", file=sys.stderr)
        lost = True
    if gone or lost:
        # Otherwise Python flushes again when it exits, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 1 if lost else UNREAD if gone else code
