"""The command line of load."""

import gc
import os
from pathlib import Path
from typing import Annotated

import orjson
import typer
from cclake_common.cli import CatalogType, CatalogUri, DuckDb, Json, Warehouse, make_app
from cclake_common.failure import run
from cclake_common.settings import home
from cclake_common.visible import printable, visible_lines

app = make_app()

FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", help="Load every row again.")
]
Stats = Annotated[
    bool, typer.Option("--stats", help="Show what is loaded; change nothing.")
]
AsOf = Annotated[
    str | None,
    typer.Option(help="Load an older state: a snapshot id, or a time (UTC)."),
]
Memory = Annotated[
    str | None,
    typer.Option(
        envvar="CCLAKE_LOAD_MEMORY",
        help="DuckDB's memory limit.",
        show_default="500MB, or half of the machine's memory for long lines",
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        envvar="CCLAKE_LOAD_WAIT_S",
        help="Maximum seconds to wait for a locked DuckDB file.",
    ),
]


@app.command()
def load(
    full_refresh: FullRefresh = False,
    stats: Stats = False,
    as_of: AsOf = None,
    duckdb: DuckDb = None,
    warehouse: Warehouse = None,
    catalog_type: CatalogType = None,
    catalog_uri: CatalogUri = None,
    memory_limit: Memory = None,
    wait: Wait = 30.0,
    json: Json = False,
) -> None:
    """Load new rows of the Iceberg table into DuckDB, each exactly once."""
    from cclake_lake.settings import Lake

    from cclake_load import load as loading

    lake = Lake.from_env(
        warehouse=warehouse, catalog_type=catalog_type, catalog_uri=catalog_uri
    )
    path = duckdb or home() / "analytics.duckdb"
    path = Path(os.path.expandvars(path)).expanduser()
    work = loading.Load(lake, path, memory_limit, wait)
    result = work.stats() if stats else work.run(full_refresh, as_of)
    if json:
        typer.echo(printable(orjson.dumps(result, default=str).decode()))
    else:
        typer.echo(visible_lines(loading.text(result)))


def main() -> None:
    """Run the tool."""
    gc.set_threshold(100_000)  # imports create many objects and no garbage
    run("load", app)
