"""The command line of `publish`."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from cclake_common.cli import DuckDb, ExportDir, Json, make_app
from cclake_common.failure import Failure, run
from cclake_common.progress import bars
from cclake_common.settings import home, in_home
from cclake_common.visible import visible

from cclake_publish.export import publish as publish_gold
from cclake_publish.table_file import (
    STDOUT,
    Format,
    format_of,
    print_table,
    write_table,
)

app = make_app()


@app.callback(invoke_without_command=True)
def publish(
    context: typer.Context,
    duckdb: DuckDb = None,
    export_dir: ExportDir = None,
    full: Annotated[
        bool, typer.Option("--full", help="Write a new file, not only changes.")
    ] = False,
    duckdb_copy: Annotated[
        bool, typer.Option("--duckdb-copy", help="Also write analytics.duckdb.")
    ] = False,
    duckdb_copy_hours: Annotated[
        float | None,
        typer.Option(
            envvar="CCLAKE_DUCKDB_COPY_HOURS",
            min=0,
            show_default="only with --duckdb-copy; then with each --full",
            help="Write analytics.duckdb when it is older than this many hours.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish gold for readers: conversations.db, and analytics.duckdb on demand.

    What has changed is written into conversations.db (SQLite) in one
    transaction, so readers never wait and never see half an export.
    analytics.duckdb is a copy for DuckDB. It is written with --duckdb-copy;
    where there is one, --full renews it.

    Try:

        publish                    # bring conversations.db up to date

        publish --duckdb-copy      # write the copy for DuckDB, too

        publish table fct_api_responses --out responses.parquet
    """
    if context.invoked_subcommand:
        return
    with bars("rows") as shown:
        done = publish_gold(
            in_home("DUCKDB_PATH", "analytics.duckdb", duckdb),
            in_home("EXPORT_DIR", "exports", export_dir),
            record=home() / "pipeline.db",
            full=full,
            copy=duckdb_copy,
            copy_hours=duckdb_copy_hours,
            progress=lambda _table, rows: shown.advance("publish", rows),
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
    out: Annotated[
        Path, typer.Option("--out", help="The file to write; -: standard output.")
    ],
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="The format.",
            show_default="by the ending of the name; csv on standard output",
        ),
    ] = None,
    duckdb: DuckDb = None,
    as_json: Json = False,
) -> None:
    """Write one gold table as a file of Parquet, CSV or JSON Lines."""
    source = in_home("DUCKDB_PATH", "analytics.duckdb", duckdb)
    chosen = format_of(out, form)
    if str(out) in STDOUT:
        if as_json:
            raise Failure(
                "--json needs a file for the table", "Use --out FILE.", code=2
            )
        print_table(source, name, chosen)
        return
    rows = write_table(source, name, chosen, out)
    if as_json:
        print(json.dumps({"rows": rows, "table": name, "file": str(out)}))
    else:
        print(visible(f"wrote {rows:,} rows of {name} to {out}"))


def main() -> NoReturn:
    """Return the console script."""
    run("publish", app)
