"""The commands of `report`."""

import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from cclake_common import accounts, budget_hook, budgets
from cclake_common.cli import ExportDir, Json, make_app
from cclake_common.failure import Failure
from cclake_common.settings import home, in_home
from cclake_common.settings import host as this_host
from cclake_common.timezones import zone
from cclake_common.visible import visible

from cclake_report import (
    activity,
    budget,
    ccusage,
    diff,
    digest,
    documents,
    explain,
    render,
    statusline,
    usage,
)
from cclake_report.export import Gold, open_gold
from cclake_report.filters import Filters, day
from cclake_report.model import Report

app = make_app(
    """Usage and cost of Claude Code in the terminal, from gold.

    Reads the SQLite export that `publish` makes; nothing is sent anywhere.

    `report` and `report --json` are short for `report daily …`. Try:

        report daily --since 2026-11-01

        report session --project cclake --breakdown

        report models --json | jq '.totals.cost_usd'
    """,
)

Since = Annotated[
    str | None,
    typer.Option("--since", "-s", help="First day: 2026-11-01 or 20261101."),
]
Until = Annotated[str | None, typer.Option("--until", "-u", help="Last day.")]
Project = Annotated[
    str | None,
    typer.Option("--project", "-p", help="Part of a project's name or path."),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Part of a model's name.")
]
Host = Annotated[str | None, typer.Option("--host", help="Only this machine.")]
Account = Annotated[
    str | None,
    typer.Option(
        "--account", help="Only this account of accounts.toml; none: no account."
    ),
]
Timezone = Annotated[
    str,
    typer.Option(
        "--timezone",
        "-z",
        envvar="CCLAKE_TIMEZONE",
        help="Time zone of the days, such as Europe/Berlin; local: this machine's.",
    ),
]
Breakdown = Annotated[
    bool, typer.Option("--breakdown", "-b", help="Also list each row by model.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


def _rules(are_needed: object) -> accounts.Accounts:
    """Return the rules of the accounts; an invalid file stops only its users."""
    return accounts.load() if are_needed else accounts.NO_RULES


def _usage_command(by: usage.By, text: str) -> None:
    """Add one of the commands that sum tokens and cost."""

    def command(
        since: Since = None,
        until: Until = None,
        project: Project = None,
        model: Model = None,
        host: Host = None,
        account: Account = None,
        timezone: Timezone = "local",
        breakdown: Breakdown = False,
        as_json: Json = False,
        as_csv: Csv = False,
        export_dir: ExportDir = None,
    ) -> None:
        filters = Filters(
            day(since), day(until), project, model, host, zone(timezone),
            account, _rules(account or by == "accounts"),
        )  # fmt: skip
        with open_gold(_exports(export_dir)) as gold:
            found = usage.usage(gold, by, filters, breakdown)
        _emit([found], as_json, as_csv)

    command.__doc__ = text
    app.command(by)(command)


_usage_command("daily", "Tokens and cost by day.")
_usage_command("weekly", "Tokens and cost by week, from Monday.")
_usage_command("monthly", "Tokens and cost by month.")
_usage_command("session", "Tokens and cost by session, the newest last.")


@app.command()
def blocks(
    since: Since = None,
    until: Until = None,
    account: Account = None,
    timezone: Timezone = "local",
    active: Annotated[
        bool, typer.Option("--active", help="Only the block that is open now.")
    ] = False,
    as_json: Json = False,
    as_csv: Csv = False,
    export_dir: ExportDir = None,
) -> None:
    """Five-hour blocks over all projects and machines, with their burn rate."""
    filters = Filters(
        day(since), day(until), timezone=zone(timezone),
        account=account, rules=_rules(account),
    )  # fmt: skip
    with open_gold(_exports(export_dir)) as gold:
        found = activity.blocks(gold, filters, active)
    _emit([found], as_json, as_csv)


_usage_command("models", "Tokens and cost by model, the most expensive first.")
_usage_command("projects", "Tokens and cost by project, the most expensive first.")
_usage_command("accounts", "Tokens and cost by account, the most expensive first.")


def _activity_command(
    name: str, report: Callable[[Gold, Filters], Report], text: str
) -> None:
    """Add one of the commands that count what was done."""

    def command(
        since: Since = None,
        until: Until = None,
        project: Project = None,
        model: Model = None,
        host: Host = None,
        account: Account = None,
        timezone: Timezone = "local",
        as_json: Json = False,
        as_csv: Csv = False,
        export_dir: ExportDir = None,
    ) -> None:
        filters = Filters(
            day(since), day(until), project, model, host, zone(timezone),
            account, _rules(account),
        )  # fmt: skip
        with open_gold(_exports(export_dir)) as gold:
            found = report(gold, filters)
        _emit([found], as_json, as_csv)

    command.__doc__ = text
    app.command(name)(command)


_activity_command("tools", activity.tools, "Show calls, errors and durations by tool.")
_activity_command(
    "errors", activity.errors, "Failed tool calls by kind, API errors and interrupts."
)


@app.command("digest")
def digest_command(
    week: Annotated[
        str | None,
        typer.Option(
            "--week", "-w", help="A day of it.", show_default="the last whole week"
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    project: Project = None,
    host: Host = None,
    account: Account = None,
    timezone: Timezone = "local",
    as_html: Annotated[
        bool, typer.Option("--html", help="Print a page of HTML, not Markdown.")
    ] = False,
    as_json: Json = False,
    export_dir: ExportDir = None,
) -> None:
    """Write the digest of a week for mail or a wiki, as Markdown, HTML or JSON."""
    if as_html and as_json:
        raise Failure("only one of --html and --json", code=2)
    name = zone(timezone)
    first, last = _days(week, since, until, datetime.now(ZoneInfo(name)).date())
    filters = Filters(first, last, project, None, host, name, account, _rules(account))
    with open_gold(_exports(export_dir)) as gold:
        found = digest.digest(gold, filters)
    form = (
        documents.as_html if as_html else
        documents.as_json if as_json else documents.as_markdown
    )  # fmt: skip
    print(form(found))


def _days(
    week: str | None, since: str | None, until: str | None, today: date
) -> tuple[date, date]:
    if week and (since or until):
        raise Failure("--week goes without --since and --until", code=2)
    if bool(since) != bool(until):
        raise Failure("--since and --until belong together", code=2)
    first, last = day(since), day(until)
    if first and last:
        return first, last
    named = day(week)
    return digest.week_of(named) if named else digest.last_week(today)


@app.command("budget")
def budget_command(
    timezone: Timezone = "local",
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Exit with 1 if a limit is reached, or 2 if that is unknown;"
            " run the hook.",
        ),
    ] = False,
    as_json: Json = False,
    as_csv: Csv = False,
    export_dir: ExportDir = None,
) -> None:
    """Show how much of each budget in budgets.toml is used, and when it runs out."""
    now = datetime.now(UTC)
    try:
        found = budgets.load(home() / budgets.FILE)
        with open_gold(_exports(export_dir)) as gold:
            name = found.timezone or zone(timezone)
            uses = budgets.uses(gold.connection, found, now, name)
    except Failure as failure:
        if check:
            failure.code = 2
        raise
    _emit([budget.report(uses, name)], as_json, as_csv)
    if check:
        try:
            budget_hook.run_due(home(), found, uses)
        except Failure as failure:
            print(f"report: {visible(str(failure))}", file=sys.stderr)
        raise typer.Exit(int(any(use.is_over for use in uses)))


@app.command("statusline")
def statusline_command(
    template: Annotated[
        str,
        typer.Option(
            "--template",
            help="The line, with {fields}; the README lists them.",
        ),
    ] = statusline.DEFAULT,
    color: Annotated[
        bool,
        typer.Option("--color", help="Colour values that are near or at their limit."),
    ] = False,
    timezone: Timezone = "local",
    export_dir: ExportDir = None,
) -> None:
    """Print a line for Claude Code's status line, from its JSON on standard input."""
    statusline.main(sys.argv[2:])  # the console script itself runs it without typer


@app.command("explain")
def explain_command(
    message_id: Annotated[str, typer.Argument(help="Its id, such as msg_01…")],
    as_json: Json = False,
    export_dir: ExportDir = None,
) -> None:
    """Show why a message costs what it costs."""
    with open_gold(_exports(export_dir)) as gold:
        found = explain.explain(gold, message_id)
    _emit(found, as_json, False)


@app.command("diff")
def diff_command(
    file: Annotated[Path, typer.Option("--ccusage", help="JSON that ccusage printed.")],
    since: Since = None,
    until: Until = None,
    timezone: Timezone = "UTC",
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            envvar="CCLAKE_HOST",
            show_default="this machine",
            help="The machine that the report was made on.",
        ),
    ] = None,
    as_json: Json = False,
    as_csv: Csv = False,
    export_dir: ExportDir = None,
) -> None:
    """List every difference from a report of ccusage, with its reason.

    Make the report with the same time zone, for example:

        ccusage claude daily --json --offline -z UTC > ccusage.json

        report diff --ccusage ccusage.json
    """
    filters = Filters(day(since), day(until), timezone=zone(timezone))
    theirs = ccusage.read(file)
    with open_gold(_exports(export_dir)) as gold:
        found = diff.diff(gold, theirs, filters, host or this_host())
    _emit([found], as_json, as_csv)


def _exports(given: Path | None) -> Path:
    return given or in_home("EXPORT_DIR", "exports")


def _encodes(text: str) -> bool:
    """Return whether standard output can show a text."""
    try:
        return bool(text.encode(sys.stdout.encoding))
    except UnicodeEncodeError:
        return False


def _emit(reports: list[Report], as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise Failure("only one of --json and --csv", code=2)
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((140, 24)).columns
    narrow = terminal or bool(os.environ.get("COLUMNS"))
    lines = _encodes("─│")
    for number, report in enumerate(map(render.masked, reports)):
        if as_json:
            print(render.as_json(report))
        elif as_csv:
            print(render.as_csv(report))
        else:
            table = render.as_table(report, width, terminal, narrow)
            print("\n" * (number > 0) + (table if lines else render.in_ascii(table)))
