"""The options that several commands share, and what they open."""

from typing import Annotated, Any

import orjson
import typer
from cclake_common.settings import mongo_uri
from cclake_common.visible import printable, visible_lines

Warehouse = Annotated[
    str | None,
    typer.Option(
        "--warehouse",
        envvar="ICEBERG_WAREHOUSE_PATH",
        help="Folder or s3:// address of the lake.",
        show_default="$CCLAKE_HOME/iceberg",
    ),
]
CatalogType = Annotated[
    str | None,
    typer.Option(
        envvar="ICEBERG_CATALOG_TYPE", help="sql or rest.", show_default="sql"
    ),
]
CatalogUri = Annotated[
    str | None,
    typer.Option(
        envvar="ICEBERG_CATALOG_URI",
        help="Address of the REST catalog.",
        show_default="catalog.db in the warehouse",
    ),
]
MOST_HOURS = 87_600  # ten years
Hours = Annotated[
    float,
    typer.Option(
        "--older-than",
        min=1,
        max=MOST_HOURS,
        help="Age in hours. What an extraction is writing is younger.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Uri = Annotated[
    str | None,
    typer.Option(
        "--mongo-uri",
        envvar="MONGO_URI",
        help="MongoDB to read.",
        show_default="the private mongod",
    ),
]
Db = Annotated[
    str, typer.Option("--mongo-db", envvar="MONGO_DB", help="Database to read.")
]


def show(as_json: bool, value: Any, text: str) -> None:
    """Print a result for a script or for a person."""
    if as_json:
        option = orjson.OPT_NON_STR_KEYS
        data = orjson.dumps(value, option=option, default=str).decode()
        typer.echo(printable(data))
    else:
        typer.echo(visible_lines(text))


def address(uri: str | None) -> str:
    """The MongoDB to read."""
    return uri or mongo_uri()
