"""The command line of `recall`.

It is built with argparse: a search takes less time than importing typer would.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, tzinfo
from pathlib import Path
from typing import Any, NoReturn

from cclake_common import accounts
from cclake_common.failure import Failure, run
from cclake_common.search import KINDS, Within
from cclake_common.settings import host, in_home
from cclake_common.times import day_start

from cclake_recall import render, resume, sessions
from cclake_recall.find import Row
from cclake_recall.past import Past, Source

MAXIMUM = 10_000  # default number of rows to print
CHOICES = 20  # sessions that `resume` offers
COMMANDS = ("search", "list", "show", "tail", "files", "resume", "mcp", "hook")
NOTHING = 1  # exit code if nothing was found, as in grep


class _Help(argparse.HelpFormatter):
    """Prints help like the other tools, in the same way with every Python."""

    def add_usage(
        self, usage: Any, actions: Any, groups: Any, prefix: Any = None
    ) -> None:
        super().add_usage(usage, actions, groups, "Usage: ")

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(
            action, argparse._SubParsersAction
        ):  # printed without a line of its own
            commands = self._iter_indented_subactions(action)
            return self._join_parts(list(map(self._format_action, commands)))
        return super()._format_action(action)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        names = ", ".join(action.option_strings)
        takes = f" <{action.metavar}>" if action.nargs != 0 else ""
        return names + takes


class _Raw(_Help, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of a description."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = _parser("recall COMMAND [OPTIONS] …", _ABOUT)
    commands = top.add_subparsers(title="Commands", dest="command", metavar="")

    def command(
        name: str, what: Callable[[argparse.Namespace], int], usage: str, about: str
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(
            name,
            help=about.partition("\n")[0],
            description=about,
            usage=f"recall {name} [OPTIONS] {usage}".rstrip(),
            formatter_class=_Help,
            add_help=False,
        )
        _name_groups(one)
        one.set_defaults(what=what)
        return one

    one = command("search", _search, "WORDS…", "Find what was said and done.")
    one.add_argument(
        "words",
        nargs="+",
        metavar="words",
        help='All must occur; "several words" for a phrase, word* for a prefix, '
        "-word to exclude one (in quotes, after another word: 'row -parser'). Also "
        "project:, model:, tool:, file:, account:, error: (part of a name, or any) "
        "and before:, after: (a day).",
    )
    one.add_argument(
        "-b",
        "--best",
        action="store_true",
        help="Print the best first, not the newest.",
    )
    one.add_argument(
        "-k",
        "--kind",
        action="append",
        choices=[*KINDS, "all"],
        metavar="kind",
        help=f"{', '.join(KINDS)} or all; may be repeated. [default: text]",
    )
    _filters(one, "hits", 20)
    _published(one)

    one = command("list", _list, "[WORDS…]", "List sessions, the newest first.")
    one.add_argument(
        "words",
        nargs="*",
        metavar="words",
        help="Each in the title, the first prompt or the project's name.",
    )
    one.add_argument(
        "--sort",
        choices=list(sessions.SORTS),
        default="recent",
        metavar="order",
        help=f"{', '.join(sessions.SORTS)}. [default: recent]",
    )
    _filters(one, "sessions", 20)
    _published(one)

    one = command("show", _show, "SESSION", "Print a conversation.")
    one.add_argument(
        "session", metavar="session", help="Its id, or the beginning of it."
    )
    one.add_argument(
        "-t",
        "--turn",
        type=_count,
        metavar="number",
        help="Only this turn; 0 is what precedes the first prompt.",
    )
    _thread(one)
    forms = one.add_mutually_exclusive_group()
    forms.add_argument("--markdown", action="store_true", help="Print Markdown.")
    forms.add_argument(
        "--html",
        action="store_true",
        help="Print the HTML file that the session's page offers.",
    )
    _shared(one, forms)
    _published(one)

    one = command(
        "tail", _tail, "[SESSION]", "Follow a running conversation, until Ctrl-C."
    )
    one.add_argument(
        "session",
        nargs="?",
        metavar="session",
        help="Its id, or the beginning of it. [default: the newest running session]",
    )
    one.add_argument(
        "-n",
        "--lines",
        type=_count,
        default=10,
        metavar="number",
        help="Number of messages to begin with. [default: 10]",
    )
    _thread(one)
    _shared(one)

    one = command(
        "files", _files, "PATH", "List the edits of a file, or below a folder."
    )
    one.add_argument(
        "path", metavar="path", help="A file, a folder, or the end of a path."
    )
    one.add_argument(
        "--reads", action="store_true", help="Also list what only read it."
    )
    _filters(one, "edits", 50, of_sessions=False)

    one = command(
        "resume",
        _resume,
        "[WORDS…]",
        "Continue a session of this machine with Claude Code.",
    )
    one.add_argument(
        "words",
        nargs="*",
        metavar="words",
        help="The beginning of an id, or words of a title or a prompt; "
        "without any, the sessions of this folder.",
    )
    _shared(one, as_json=False)

    one = command(
        "mcp",
        _mcp,
        "",
        "Serve the same to Claude over MCP, on standard input and output.",
    )
    one.add_argument(
        "--port",
        type=_port,
        metavar="number",
        help="Serve HTTP on 127.0.0.1 instead; clients need the token.",
    )
    _shared(one, as_json=False)

    one = command(
        "hook",
        _hook,
        "",
        "List the last sessions of a folder when a new one starts (a hook).",
    )
    _shared(one, as_json=False)
    return top


_ABOUT = """Search and read the conversations of Claude Code in the terminal.

Reads the SQLite export that `publish` makes, and newer lines from MongoDB.
Nothing is sent anywhere.
`recall WORDS…` is short for `recall search WORDS…`."""


def _parser(usage: str, about: str) -> argparse.ArgumentParser:
    one = argparse.ArgumentParser(
        prog="recall", usage=usage, description=about, add_help=False,
        formatter_class=_Raw,
    )  # fmt: skip
    _name_groups(one)
    return one


def _name_groups(one: argparse.ArgumentParser) -> None:
    one._positionals.title = "Arguments"
    one._optionals.title = "Options"
    one.add_argument("-h", "--help", action="help", help="Show this message and exit.")


def _filters(
    one: argparse.ArgumentParser, what: str, limit: int, of_sessions: bool = True
) -> None:
    add = one.add_argument
    add(
        "-p",
        "--project",
        default="",
        metavar="name",
        help="Part of a project's name or path.",
    )
    add("--host", default="", metavar="name", help="Only this machine.")
    if of_sessions:
        add(
            "--account",
            default="",
            metavar="name",
            help="Only this account of accounts.toml; none: no account.",
        )
        add(
            "-m",
            "--model",
            default="",
            metavar="name",
            help="Part of the name of one of the session's models.",
        )
        add(
            "--branch",
            default="",
            metavar="name",
            help="Only sessions of this git branch.",
        )
    add(
        "-s",
        "--since",
        default="",
        type=_day,
        metavar="day",
        help="First day: 2026-11-01.",
    )
    add("-u", "--until", default="", type=_day, metavar="day", help="Last day.")
    add(
        "-n",
        "--limit",
        type=_count,
        default=limit,
        metavar="number",
        help=f"Maximum number of {what}. [default: {limit}]",
    )
    _shared(one)


def _published(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--published",
        action="store_true",
        help="Leave out lines that are not published yet.",
    )


def _thread(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "-a", "--agent", metavar="id", help="The conversation of this subagent."
    )
    one.add_argument(
        "-f",
        "--full",
        action="store_true",
        help="Also print what tools were given and what they returned.",
    )


def _shared(
    one: argparse.ArgumentParser,
    forms: argparse._MutuallyExclusiveGroup | None = None,
    as_json: bool = True,
) -> None:
    add = one.add_argument
    add(
        "-z",
        "--timezone",
        default=os.environ.get("CCLAKE_TIMEZONE") or "local",
        metavar="zone",
        help="Time zone of days and times. "
        "[env var: CCLAKE_TIMEZONE; default: this machine's]",
    )
    if as_json:
        (forms or one).add_argument(
            "--json", action="store_true", help="Print JSON Lines."
        )
    add(
        "--export-dir",
        type=Path,
        metavar="path",
        help="Folder of the exports. "
        "[env var: EXPORT_DIR; default: $CCLAKE_HOME/exports]",
    )


def _day(text: str) -> str:
    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a day such as 2026-11-01"
        ) from None


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def _port(text: str) -> int:
    port = _count(text)
    if port > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return port


def _zone(given: argparse.Namespace) -> tzinfo | None:
    """Return the time zone; None is that of this machine."""
    if given.timezone == "local":
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(given.timezone)
    except (KeyError, ValueError, OSError):
        raise Failure(f"{given.timezone!r} is not a time zone", code=2) from None


def _within(past: Past, given: argparse.Namespace) -> Within:
    zone, account = _zone(given), getattr(given, "account", "")
    return Within(
        account=account,
        rules=_rules(account),
        projects=past.projects(given.project),
        host=given.host,
        branch=getattr(given, "branch", ""),
        model=getattr(given, "model", ""),
        low=day_start(given.since, zone),  # None stands for local time
        high=day_start(given.until, zone, 1),
    )


def _rules(account: str) -> accounts.Accounts:
    if not account:
        return accounts.NO_RULES
    rules = accounts.load()
    if not rules.named(account):
        known = ", ".join(rules.names)
        hint = f"Choose one of: {known}." if known else "Define it in accounts.toml."
        raise Failure(f"there is no account {account!r}", hint, code=2)
    return rules


def _search(given: argparse.Namespace) -> int:
    kinds = given.kind or ["text"]
    if "all" in kinds:
        kinds = list(KINDS)
    with _past(given) as past:
        rows, loose = past.find(
            " ".join(given.words), kinds, _within(past, given),
            limit=min(given.limit, MAXIMUM), best=given.best, zone=_zone(given),
        )  # fmt: skip
    if loose:
        _note("nothing has all these words; these have some of them")
    style, zone = _style(), _zone(given)
    if given.json or not sys.stdout.isatty():
        as_line = render.json_line if given.json else render.hit_line
        return _print(map(as_line, rows))
    return _print(render.hit_groups(rows, style, zone))


def _list(given: argparse.Namespace) -> int:
    with _past(given) as past:
        rows = past.sessions(
            _within(past, given), words=" ".join(given.words), sort=given.sort,
            limit=min(given.limit, MAXIMUM),
        )  # fmt: skip
    return _emit(given, rows, render.session_line, _session_row(given))


def _files(given: argparse.Namespace) -> int:
    style, zone = _style(), _zone(given)
    with _past(given, is_live=False) as past:
        rows = sessions.changes(
            past.export, given.path, _within(past, given), reads=given.reads,
            limit=min(given.limit, MAXIMUM),
        )  # fmt: skip
        return _emit(
            given, rows, render.change_line,
            lambda row: render.change_row(row, style, zone),
        )  # fmt: skip


def _show(given: argparse.Namespace) -> int:
    if given.html and (given.agent or given.turn is not None):
        raise Failure(
            "--html prints whole sessions only", "Leave out --agent and --turn.", 2
        )
    style, zone = _style(), _zone(given)
    with _past(given) as past:
        one = past.session(given.session)
        if given.html:
            return _show_html(one["session"])
        found = past.messages(
            one["session"], agent=given.agent, turn=given.turn,
            everything=given.json and not given.agent, results=given.json,
        )  # fmt: skip
        if given.json:
            kept = _kept(one["session"])
            rows = (row | kept.get(row["message"], {}) for row in found)
            return _print(map(render.json_line, rows))
        if given.markdown:
            return _print(render.markdown(one, found, zone))
        lines = render.conversation(found, style, zone, given.full)
        return _paged(render.heading(one, style), lines)


def _kept(session: str) -> dict[str, Row]:
    """Return star, labels and note of messages, by message."""
    from cclake_common.kept import Store, default_path
    from cclake_common.masking import mask

    return {
        key: {
            "starred": one.starred,
            "labels": list(map(mask, one.labels)),
            "note": mask(one.note),
        }
        for key, one in Store(default_path()).of_session(session).items()
    }


def _show_html(session: str) -> int:
    from cclake_recall import page

    for some in page.html(session):
        sys.stdout.buffer.write(some)
    return 0


def _tail(given: argparse.Namespace) -> int:
    from cclake_recall.follow import follow, running

    style, zone, source = _style(), _zone(given), _source(given)
    with source.open() as past:
        one = past.session(given.session) if given.session else running(past)
    said = [""]

    def say(missing: str) -> None:
        if missing and missing != said[0]:
            _note(missing)
        said[0] = missing

    found = follow(
        source, one["session"], given.agent, given.lines, given.json, say
    )  # fmt: skip
    lines: Iterator[str] = map(render.json_line, found)
    if not given.json:
        print(render.heading(one, style))
        lines = render.conversation(found, style, zone, given.full)
    for line in lines:
        print(line, flush=True)
    return 0


def _resume(given: argparse.Namespace) -> int:
    row = _session_row(given)
    words = " ".join(given.words)
    with _past(given) as past:
        rows = _resumable(past, words)
    if not rows:
        about = f"about {words!r}" if words else "in this folder"
        raise Failure(
            f"no session of this machine {about}", "`recall list` shows all of them."
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _print([resume.as_shell(*resume.command(rows[0]))])
    chosen = rows[resume.pick([row(one) for one in rows]) if len(rows) > 1 else 0]
    resume.execute(*resume.command(chosen))
    return 0


def _mcp(given: argparse.Namespace) -> int:
    from cclake_recall import server

    made = server.make(_source(given), _zone(given))
    if given.port is None:
        made.run("stdio")
    else:
        from cclake_recall import over_http

        over_http.serve(made, given.port)
    return 0


def _hook(given: argparse.Namespace) -> int:
    from cclake_recall import hook

    event = sys.stdin.buffer.read(1_000_000).decode(errors="replace")
    if answer := hook.context(event, _exports(given), _zone(given)):
        print(answer)
    return 0


def _resumable(past: Past, words: str) -> list[Row]:
    """Return sessions of this machine: by id, by title or prompt, then by content."""
    here = Within(host=host())
    if words and " " not in words:
        with suppress(Failure):
            return [past.session(words)]
    found = past.sessions(
        here, words=words, folder="" if words else str(Path.cwd()), limit=CHOICES
    )
    if found or not words:
        return found
    hits, _ = past.find(words, ["text"], here, limit=CHOICES, best=True)
    ids = dict.fromkeys(hit["session"] for hit in hits)
    return [past.session(one) for one in ids]


def _session_row(given: argparse.Namespace) -> Callable[[Row], str]:
    style, zone, width = _style(), _zone(given), _width()
    return lambda row: render.session_row(row, style, zone, width)


def _emit(
    given: argparse.Namespace,
    rows: Iterable[Row],
    piped: Callable[[Row], str],
    shown: Callable[[Row], str],
) -> int:
    terminal = sys.stdout.isatty()
    as_line = render.json_line if given.json else shown if terminal else piped
    return _print(map(as_line, rows))


def _print(lines: Iterable[str]) -> int:
    code = NOTHING
    for one in lines:
        print(one)
        code = 0
    if code:
        _note("nothing found")
    return code


def _paged(heading: str, lines: Iterable[str]) -> int:
    """Print a conversation, on a terminal through the pager."""
    first = next(iter(lines := iter(lines)), None)
    if first is None:
        return _print(())
    whole = [heading, first]
    pager = os.environ.get("PAGER", "less -FRX")
    if not sys.stdout.isatty() or not pager:
        print("\n".join(whole))
        return _print(lines) and 0
    import shlex
    import subprocess

    try:
        with subprocess.Popen(
            shlex.split(pager), stdin=subprocess.PIPE, text=True, errors="replace"
        ) as process:
            assert process.stdin
            with suppress(BrokenPipeError):
                for one in (*whole, *lines):
                    process.stdin.write(f"{one}\n")
                process.stdin.close()
    except (FileNotFoundError, PermissionError):
        print("\n".join((*whole, *lines)))
    return 0


def _style() -> render.Style:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return render.Style(sys.stdout.isatty() and not plain)


def _width() -> int:
    with suppress(OSError, ValueError):
        return os.get_terminal_size().columns or 100
    return 100


def _note(text: str) -> None:
    print(f"recall: {text}", file=sys.stderr)


def _exports(given: argparse.Namespace) -> Path:
    return in_home("EXPORT_DIR", "exports", given.export_dir)


@contextmanager
def _past(given: argparse.Namespace, is_live: bool = True) -> Iterator[Past]:
    with _source(given, is_live).open() as past:
        if past.missing:
            _note(past.missing)
        yield past


def _source(given: argparse.Namespace, is_live: bool = True) -> Source:
    return Source(_exports(given), is_live and not getattr(given, "published", False))


def _main() -> None:
    top = parser()
    words = sys.argv[1:]
    if not words:
        top.print_help()
        return
    if words[0] not in (*COMMANDS, "-h", "--help"):
        words.insert(0, "search")
    given = top.parse_args(words)
    sys.exit(given.what(given))


def main() -> NoReturn:
    """Run the console script; words without a command are searched for."""
    run("recall", _main, at_once=True)  # the driver's threads end slowly
