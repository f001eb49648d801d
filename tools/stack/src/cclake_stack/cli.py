"""Command line of stack."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from cclake_common import settings
from cclake_common.cli import Json, make_app
from cclake_common.failure import INTERRUPTED, Failure, run, typed
from cclake_common.stop import die_with_parent
from cclake_common.visible import visible, visible_lines
from rich.console import Console

from cclake_stack import checks, config, dbt, mongod, state, tables, validate
from cclake_stack import down as stopping
from cclake_stack import foreground as foreground_run
from cclake_stack import up as starting
from cclake_stack.supervise import Supervisor

app = make_app(
    "Start, stop and inspect the whole stack of this data directory.",
    no_args_is_help=True,
)

PASS_THROUGH = {"ignore_unknown_options": True, "help_option_names": []}


@app.command()
def up(
    foreground: Annotated[
        bool,
        typer.Option(
            "--foreground",
            help="Run until SIGTERM, then stop everything; for systemd.",
        ),
    ] = False,
) -> None:
    """Start everything, archive all logs, build the lake and show the addresses."""
    out, err = tables.screen(), Console(stderr=True)

    def say(line: str) -> None:
        out.print(visible(typed(line)), highlight=False, markup=False)

    def ready() -> None:
        out.print(tables.overview(state.addresses(), state.archived_lines()))

    if foreground:
        foreground_run.run(say, err, ready)
        return
    supervisor = Supervisor()
    starting.end_on_sigterm()
    try:
        with starting.exclusive(err):
            if starting.is_up(supervisor):
                starting.check_settings()
                out.print("cclake is already running.")
            else:
                starting.up(say, err, supervisor)
    except KeyboardInterrupt:
        if supervisor.running():
            err.print("Started processes keep running; `just up` starts the others,")
            err.print("`just down` stops all.")
        raise
    except starting.Terminated:
        raise Failure(
            "interrupted by `just down` or SIGTERM",
            "Run `just up` to continue from there.",
            INTERRUPTED,
        ) from None
    ready()


@app.command()
def down() -> None:
    """Stop everything; lines that are not delivered yet stay in the buffer.

    Runs of the pipeline and of dbt that were started by hand are stopped as well.
    """
    if stopping.down(lambda line: typer.echo(visible(line)), Supervisor()):
        said = "cclake has stopped; nothing is lost, `just up` continues from here."
        typer.echo(typed(said))
    else:
        typer.echo("cclake is not running.")


@app.command()
def status(as_json: Json = False) -> None:
    """Show processes, pending lines, the last pipeline run and what needs attention.

    Exit status: 0 if everything runs and is healthy, and the last run did not fail;
    else 1. What is printed in yellow is a notice and does not change it.
    """
    found = state.state()
    if as_json:
        typer.echo(json.dumps(found, default=str))
    else:
        tables.screen().print(tables.status(found))
    if not tables.is_healthy(found):
        raise typer.Exit(1)


@app.command("config")
def show_config(as_json: Json = False) -> None:
    """Show every setting and where its value comes from; passwords are masked."""
    values = config.values(config.dotenv())
    if as_json:
        typer.echo(json.dumps([vars(value) for value in values]))
    else:
        tables.screen().print(tables.settings(values))


@app.command()
def logs(
    name: Annotated[
        str, typer.Argument(help="Name of a process.", show_default="all")
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing as the logs grow.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Number of lines.")] = 50,
) -> None:
    """Show the end of the logs."""
    folder = settings.home() / "logs"
    files = sorted(folder.glob(f"{name or '*'}.log"))
    if not files:
        there = ", ".join(sorted(path.stem for path in folder.glob("*.log")))
        hint = f"Name one of: {there}." if there else "Run `just up` first."
        raise Failure(f"no log {name or '*'}.log in {folder}", hint)
    follows = ["-F"] if follow else []
    command = ["tail", "-n", str(lines), *follows, *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tail:
        assert tail.stdout
        try:
            for line in tail.stdout:
                print(visible_lines(line.decode(errors="replace")), end="", flush=True)
        finally:
            tail.terminate()  # with --follow, it does not end by itself


@app.command("mongod")
def run_mongod() -> NoReturn:
    """Run the private mongod of this data directory (used by supervisord)."""
    die_with_parent(signal.SIGTERM)
    mongod.become_private()


@app.command("web")
def run_web() -> NoReturn:
    """Run the server of the pages (used by supervisord)."""
    die_with_parent()
    command = [sys.executable, "-P", "-m", "cclake_web.serve"]
    os.execv(command[0], command)


@app.command("dbt", context_settings=PASS_THROUGH)
def run_dbt(
    arguments: Annotated[list[str], typer.Argument(help="Arguments for dbt.")],
) -> NoReturn:
    """Run dbt on the gold project with the settings of this data directory."""
    dbt.become_dbt(arguments)


@app.command("docs")
def run_docs() -> None:
    """Serve the documentation of all models on DBT_DOCS_PORT until Ctrl-C."""
    port = config.port("DBT_DOCS_PORT", 8686)
    checks.check_port(port, "DBT_DOCS_PORT", "dbt documentation")
    generate = [*dbt.dbt_command(), "docs", "generate", "--quiet"]
    with validate.no_pipeline("stack docs"):
        ended = subprocess.run(
            generate, check=False, stdout=sys.stderr, preexec_fn=die_with_parent
        )
        if ended.returncode:
            raise Failure("dbt cannot write its documentation")
    typer.echo(f"dbt documentation on http://127.0.0.1:{port}/ until Ctrl-C")
    dbt.serve(Path(os.environ["DBT_TARGET_PATH"]), port)


@app.command("validate")
def run_validate(as_json: Json = False) -> None:
    """Run the tests of gold and `verify --full`, and reconcile the totals.

    Exit status: 0 if everything holds, else 1.
    """
    checks = validate.validate(dbt.dbt_command())
    if as_json:
        typer.echo(json.dumps([vars(check) for check in checks]))
    else:
        tables.screen().print(tables.checks(checks))
    if not all(check.holds for check in checks):
        raise typer.Exit(1)


def main() -> NoReturn:
    """Run the console script."""
    run("stack", app)
