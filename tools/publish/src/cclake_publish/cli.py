"""The command line of `publish`."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from cclake_common.cli import (
    CatalogType,
    CatalogUri,
    DuckDb,
    ExportDir,
    Json,
    Warehouse,
    make_app,
)
from cclake_common.failure import Failure, run
from cclake_common.progress import bars
from cclake_common.settings import home, in_home
from cclake_common.visible import visible

from cclake_publish.export import Opening
from cclake_publish.export import publish as publish_gold
from cclake_publish.table_file import (
    STDOUT,
    Format,
    format_of,
    print_table,
    write_table,
)

if TYPE_CHECKING:
    from cclake_lake.settings import Lake

app = make_app()


@app.callback(invoke_without_command=True)
def publish(
    context: typer.Context,
    duckdb: DuckDb = None,
    export_dir: ExportDir = None,
    source: Annotated[
        Literal["duckdb", "iceberg"],
        typer.Option(
            "--from",
            help="Where gold is: in the DuckDB file, or in Iceberg tables (then a new"
            " file is written).",
        ),
    ] = "duckdb",
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
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
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

        publish --from iceberg     # publish gold that another engine built

        publish table fct_api_responses --out responses.parquet
    """
    if context.invoked_subcommand:
        return
    gold: Path | Opening = in_home("DUCKDB_PATH", "analytics.duckdb", duckdb)
    if source == "iceberg":
        from cclake_publish.iceberg_reader import open_iceberg

        gold = partial(open_iceberg, _lake(warehouse, catalog_type, catalog_uri))
    with bars("rows") as shown:
        done = publish_gold(
            gold,
            in_home("EXPORT_DIR", "exports", export_dir),
            record=home() / "pipeline.db",
            full=full or source == "iceberg",
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


def _lake(warehouse: str | None, kind: str | None, uri: str | None) -> "Lake":
    from cclake_lake.settings import Lake

    return Lake.from_env(warehouse=warehouse, catalog_type=kind, catalog_uri=uri)


@app.command()
def iceberg(
    duckdb: DuckDb = None,
    parquet: Annotated[
        Path | None,
        typer.Option(
            show_default="the DuckDB file",
            help="Folder of gold that `just spark` has built.",
        ),
    ] = None,
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    as_json: Json = False,
) -> None:
    """Write gold into Iceberg tables, for other engines and other machines.

    Each gold table is a table of the namespace in ICEBERG_GOLD_NAMESPACE (gold).
    The table current_build names the snapshots that belong together; it is written
    last.
    """
    # Only this command and --from iceberg need pyiceberg, which takes long to import.
    from cclake_publish.iceberg_writer import write_gold
    from cclake_publish.marts import of_duckdb, of_folder

    lake = _lake(warehouse, catalog_type, catalog_uri)
    file = in_home("DUCKDB_PATH", "analytics.duckdb", duckdb)
    with (
        bars("rows") as shown,
        of_folder(parquet) if parquet else of_duckdb(file) as gold,
    ):
        build = write_gold(lake, gold, lambda _table, rows: shown.advance("gold", rows))
    rows = {part.name: part.rows for part in build.parts}
    if as_json:
        print(json.dumps({"namespace": lake.gold_namespace, "tables": rows}))
    else:
        print(
            f"wrote {sum(rows.values()):,} rows of {len(rows)} tables to the namespace"
            f" {lake.gold_namespace}"
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
