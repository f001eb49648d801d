"""Print the status line of Claude Code.

Claude Code runs this after each answer and waits for it. Modules that are rarely needed
are imported late, and a failure becomes a few words in the line.
"""

import json
import math
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from cclake_common import accounts, budgets
from cclake_common.accounts import Accounts
from cclake_common.amounts import short
from cclake_common.budgets import Budget, Sums, Use
from cclake_common.failure import Failure
from cclake_common.model_names import gold_name, short_name
from cclake_common.settings import home, host, in_home
from cclake_common.timezones import bounds, quarter_no, zone
from cclake_common.visible import visible

from cclake_report import live
from cclake_report.export import Gold, open_gold
from cclake_report.live import Block, Unpublished

DEFAULT = (
    "{today} today | {session} session | {block} | ctx {context} | {model} | {budget}"
)
FIELDS = (
    "today", "today_tokens", "session", "session_tokens", "block", "block_cost",
    "block_left", "block_rate", "context", "model", "budget", "five_hour", "seven_day",
    "lines_added", "lines_removed",
)  # fmt: skip
"""Names of the fields of a template."""
OPTIONS = {
    "--template": "template",
    "--timezone": "timezone",
    "-z": "timezone",
    "--export-dir": "export_dir",
}
UNKNOWN = "-"
_MAX_INPUT = 1_000_000
_LONGEST = 120
_FIELD = re.compile(r"\{(\w+)\}")
# Texts that are no secret for certain, since the search for secrets is slow.
_PLAIN = re.compile(
    r"((Claude|day|week|month) )?[A-Za-z]{1,12}( \d{1,2}(\.\d{1,2})?)?"
    r"( \(\d+[MKmk] context\))?"
)
_HIGH, _FULL = 0.8, 1.0
_RED, _YELLOW, _END = "\x1b[31m", "\x1b[33m", "\x1b[0m"


class Options(NamedTuple):
    """The options of the command."""

    template: str = DEFAULT
    timezone: str = "local"
    export_dir: Path | None = None
    color: bool = False


def main(arguments: Sequence[str]) -> None:
    """Print the line; even after an error, print one line and return 0."""
    os.umask(0o077)
    try:
        text = line(options(arguments), _status_text(), datetime.now(UTC))
    except Failure as failure:
        text = _plain(f"report: {failure}")
    except Exception as error:
        text = f"report: {type(error).__name__}"
    data = f"{text}\n".encode(sys.stdout.encoding or "utf-8", "replace")
    sys.stdout.flush()
    sys.stdout.buffer.write(data)


def options(arguments: Sequence[str]) -> Options:
    """Read the options without typer.

    Raises:
        Failure: An option is unknown or lacks its value.
    """
    found: dict[str, Any] = {
        "timezone": os.environ.get("CCLAKE_TIMEZONE") or "local",
    }
    rest = list(arguments)
    while rest:
        name, has_value, value = rest.pop(0).partition("=")
        if name == "--color" and not has_value:
            found["color"] = True
            continue
        if name not in OPTIONS:
            raise Failure(f"there is no option {name}")
        if not has_value:
            if not rest:
                raise Failure(f"{name} needs a value")
            value = rest.pop(0)
        found[OPTIONS[name]] = value
    if "export_dir" in found:
        found["export_dir"] = Path(found["export_dir"])
    return Options(**found)


def _status_text() -> bytes:
    if sys.stdin.isatty():
        return b"{}"
    return sys.stdin.buffer.read(_MAX_INPUT)


def line(given: Options, status_text: bytes, now: datetime) -> str:
    """Return the line.

    Args:
        given: The options.
        status_text: What Claude Code writes to standard input.
        now: The time.

    Raises:
        Failure: The template has an unknown field.
    """
    for name in _FIELD.findall(given.template):
        if name not in FIELDS:
            raise Failure(f"there is no field {{{name}}}")
    found = _Found(given, Status(status_text), now)
    fields = found.fields()
    if given.template == DEFAULT:
        parts = [p for p in given.template.split(" | ") if not _is_unknown(p, fields)]
    else:
        parts = [" ".join(given.template.splitlines())]
    filled = [_FIELD.sub(lambda match: fields[match[1]], part) for part in parts]
    notes = [_colored(note, 1, given.color) for note in dict.fromkeys(found.notes)]
    return " | ".join([*filled, *notes]) or "nothing known yet"


def _is_unknown(part: str, fields: dict[str, str]) -> bool:
    return all(fields[name] == UNKNOWN for name in _FIELD.findall(part))


class Status:
    """The status of Claude Code; missing and invalid values are None."""

    def __init__(self, text: bytes) -> None:
        self.is_readable = True
        try:
            found = json.loads(text or b"{}")
        except (ValueError, RecursionError):
            found = None
        self.is_readable = isinstance(found, dict)
        self._found: Any = found

    def number(self, *path: str) -> float | None:
        """Return a number that is not below 0."""
        found = self._at(path)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        return float(found) if 0 <= found < 1e15 and math.isfinite(found) else None

    def text(self, *path: str) -> str:
        """Return a text, or "" if it is missing or not valid Unicode."""
        found = self._at(path)
        try:
            return found if isinstance(found, str) and found.encode() else ""
        except UnicodeEncodeError:
            return ""

    def _at(self, path: Sequence[str]) -> Any:
        found = self._found
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found


class _Found:
    """The values of the fields of a template."""

    def __init__(self, given: Options, status: Status, now: datetime) -> None:
        self.notes: list[str] = []
        self._given = given
        self._status = status
        self._now = now
        self._rules: Accounts | None = None
        if not status.is_readable:
            self.notes.append("status unreadable")

    def fields(self) -> dict[str, str]:
        """Return the text of each field."""
        found = dict.fromkeys(FIELDS, UNKNOWN)
        found |= self._status_fields()
        folder = self._given.export_dir or in_home("EXPORT_DIR", "exports")
        if (folder / "conversations.db").exists():
            with self._failures_noted(), open_gold(folder, wait_s=0.02) as gold:
                return found | self._usage_fields(gold)
        else:
            self.notes.append("no export yet")
        with self._failures_noted():
            return found | self._usage_fields(None)
        return found

    @contextmanager
    def _failures_noted(self) -> Iterator[None]:
        """Turn a failure into a note, so that the rest of the line is printed."""
        try:
            yield
        except Failure as failure:
            self.notes.append(_plain(str(failure)))
        except (OSError, sqlite3.Error, ValueError, TypeError, KeyError) as error:
            self.notes.append(f"{type(error).__name__}")

    def _status_fields(self) -> dict[str, str]:
        status = self._status
        name = status.text("model", "display_name")
        found = {
            "model": _plain(name or short_name(gold_name(status.text("model", "id"))))
        }
        for field in ("lines_added", "lines_removed"):
            count = status.number("cost", f"total_{field}")
            found[field] = UNKNOWN if count is None else f"{count:.0f}"
        for field in ("five_hour", "seven_day"):
            share = status.number("rate_limits", field, "used_percentage")
            found[field] = UNKNOWN if share is None else self._share(share / 100)
        found["context"] = self._context()
        return {key: value or UNKNOWN for key, value in found.items()}

    def _context(self) -> str:
        window = "context_window"
        share = self._status.number(window, "used_percentage")
        size = self._status.number(window, "context_window_size")
        counts = [
            self._status.number(window, "current_usage", name)
            for name in (
                "input_tokens",
                "cache_creation_input_tokens",
                "cache_read_input_tokens",
            )
        ]
        used = sum(count or 0 for count in counts)
        if share is None and size and used:
            share = 100 * used / size
        if share is not None:
            return self._share(share / 100)
        return short(used) if used else ""

    def _usage_fields(self, gold: Gold | None) -> dict[str, str]:
        timezone = self._zone()
        new = self._unpublished(gold)
        found = self._session_fields(gold, new)
        with self._failures_noted():
            account = self._account()
            if block := live.block(gold, new, self._now.timestamp(), account):
                found |= self._block_fields(block)
        if new.context_tokens and not self._context():
            found["context"] = short(new.context_tokens)
        if gold:
            start, end = bounds("day", timezone, self._now)
            condition = "t.quarter_no >= ? and t.quarter_no < ?"
            quarters = [quarter_no(start), quarter_no(end)]
            today = budgets.published(gold.connection, condition, quarters)
            today = today.plus(new.between(start.timestamp(), end.timestamp()))
            found |= {"today": _money(today), "today_tokens": short(today.tokens)}
            with self._failures_noted():
                found["budget"] = self._budget(gold, new, timezone)
        return found

    def _account(self) -> str:
        """Return the condition of the session's account, which has its own limits."""
        self._rules = accounts.load()
        if not self._rules.rules:
            return ""
        return self._rules.condition([self._rules.of(host(), self._folder())])

    def _folder(self) -> str:
        folder = self._status.text("workspace", "project_dir")
        folder = folder or self._status.text("workspace", "current_dir")
        return folder or self._status.text("cwd")

    def _zone(self) -> str:
        try:
            return zone(self._given.timezone)
        except Failure as failure:
            self.notes.append(_plain(str(failure)))
            return "UTC"

    def _unpublished(self, gold: Gold | None) -> Unpublished:
        session = self._status.text("session_id")
        path = self._status.text("transcript_path")
        if not session or not path or "\0" in path:
            return Unpublished([])
        return live.unpublished(gold, session, Path(path).expanduser())

    def _session_fields(self, gold: Gold | None, new: Unpublished) -> dict[str, str]:
        """Return the cost by Claude Code, or else by the export and the transcript."""
        sums = new.between(-math.inf, math.inf)
        session = self._status.text("session_id")
        if gold and session:
            known = budgets.published(gold.connection, "t.session_id = ?", [session])
            sums = known.plus(sums)
        cost = self._status.number("cost", "total_cost_usd")
        text = f"${cost:,.2f}" if cost is not None else ""
        if not text and sums.tokens:
            text = _money(sums)
        tokens = short(sums.tokens) if sums.tokens else UNKNOWN
        return {"session": text or UNKNOWN, "session_tokens": tokens}

    def _block_fields(self, found: Block) -> dict[str, str]:
        end = found.end
        resets_at = self._status.number("rate_limits", "five_hour", "resets_at")
        now = self._now.timestamp()
        if resets_at and now < resets_at <= now + live.BLOCK_S:
            end = resets_at  # the account's own window
        minutes = math.ceil((end - now) / 60)
        left = f"{minutes // 60}h{minutes % 60:02}m" if minutes > 59 else f"{minutes}m"
        rate = found.usd_per_hour
        texts = {"block_cost": _money(found.sums), "block_left": left}
        block = f"block {texts['block_cost']}, {left} left"
        if rate is not None:
            texts["block_rate"] = f"${rate:,.2f}/h"
            block += f", {texts['block_rate']}"
        return texts | {"block": block}

    def _budget(self, gold: Gold, new: Unpublished, timezone: str) -> str:
        folder = home()
        path = folder / budgets.FILE
        if not path.exists():
            return UNKNOWN
        found = budgets.load(path, self._rules)
        extra = self._extra(new, found.accounts)
        uses = budgets.uses(gold.connection, found, self._now, timezone, extra)
        if found.hook and any(use.is_over for use in uses):
            from cclake_common import budget_hook

            with self._failures_noted():
                budget_hook.run_due(folder, found, uses, wait=False)
        if not uses:
            return UNKNOWN
        return self._tightest(max(uses, key=lambda use: use.share))

    def _tightest(self, use: Use) -> str:
        share = self._share(use.share)
        more = ">=" if use.missing else ""
        return f"{_plain(use.budget.name)} {more}{share}"

    def _extra(
        self, new: Unpublished, known: Accounts
    ) -> Callable[[Budget, float, float], Sums]:
        """Return a function that sums up the unpublished part of a budget."""
        folder = self._folder()

        def extra(budget: Budget, start: float, end: float) -> Sums:
            if budget.project and budget.project.lower() not in folder.lower():
                return Sums()
            if budget.host and budget.host != host():
                return Sums()
            wanted = known.named(budget.account) if budget.account else None
            if wanted is not None and known.of(host(), folder) not in wanted:
                return Sums()
            return new.between(start, end)

        return extra

    def _share(self, share: float) -> str:
        return _colored(f"{100 * share:.0f}%", share, self._given.color)


def _money(sums: Sums) -> str:
    return f"{'>=' if sums.missing else ''}${sums.cost:,.2f}"


def _colored(text: str, share: float, color: bool) -> str:
    if not color or share < _HIGH:
        return text
    return f"{_RED if share >= _FULL else _YELLOW}{text}{_END}"


def _plain(text: str) -> str:
    """Return a text from outside without secrets and control characters.

    Of a long text the middle is cut, since a message may end with the problem.
    """
    if text and not _PLAIN.fullmatch(text):
        from cclake_common.masking import mask

        text = visible(" ".join(mask(text[:10_000]).split()))
    if len(text) <= _LONGEST:
        return text
    half = (_LONGEST - 3) // 2
    return f"{text[:half]}...{text[-half:]}"
