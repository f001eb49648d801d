"""The command line of `publish`."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from cclake_common.failure import run
from cclake_common.settings import home, in_home
from cclake_common.visible import visible

from cclake_publish.export import publish as publish_gold
from cclake_publish.progress import bars
from cclake_publish.single import Format, write_table

app = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DuckDB = Annotated[
    Path | None,
    typer.Option(
        "--duckdb",
        envvar="DUCKDB_PATH",
        show_default="$CCLAKE_HOME/analytics.duckdb",
        help="The database that dbt writes; it is only read.",
    ),
]
ExportDir = Annotated[
    Path | None,
    typer.Option(
        "--export-dir",
        envvar="EXPORT_DIR",
        show_default="$CCLAKE_HOME/exports",
        help="The folder of the exports.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.callback(invoke_without_command=True)
def publish(
    context: typer.Context,
    duckdb: DuckDB = None,
    export_dir: ExportDir = None,
    full: Annotated[
        bool, typer.Option("--full", help="Write everything anew, not only changes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish gold for readers: conversations.db (SQLite) and analytics.duckdb.

    Both files are written beside the last export and renamed into place when
    they are whole, so readers never wait and never see half an export.

    Try:

        publish                    # bring the exports up to date

        publish --full --json      # write them anew

        publish table fct_api_responses --format parquet --out responses.parquet
    """
    if context.invoked_subcommand:
        return
    with bars() as progress:
        done = publish_gold(
            in_home("DUCKDB_PATH", "analytics.duckdb", duckdb),
            in_home("EXPORT_DIR", "exports", export_dir),
            record=home() / "pipeline.db",
            full=full,
            progress=progress,
        )
    if as_json:
        print(json.dumps(done.as_dict()))
    else:
        size = (done.sqlite_bytes + done.duckdb_bytes) / 1e6
        print(
            f"published {done.rows:,} rows of {len(done.tables)} tables"
            f" ({done.mode}) in {done.seconds:.1f} s, {size:,.1f} MB"
        )


@app.command()
def table(
    name: Annotated[str, typer.Argument(help="A gold table, such as dim_sessions.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    form: Annotated[
        Format, typer.Option("--format", help="The format of the file.")
    ] = "parquet",
    duckdb: DuckDB = None,
    as_json: Json = False,
) -> None:
    """Write one gold table as a Parquet or CSV file."""
    source = in_home("DUCKDB_PATH", "analytics.duckdb", duckdb)
    rows = write_table(source, name, form, out)
    if as_json:
        print(json.dumps({"rows": rows, "table": name, "file": str(out)}))
    else:
        print(visible(f"wrote {rows:,} rows of {name} to {out}"))


def main() -> NoReturn:
    """The console script."""
    run("publish", app)
