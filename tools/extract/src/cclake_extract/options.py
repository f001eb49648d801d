"""The options that several commands share, and what they open."""

from typing import Annotated, Any

import orjson
import typer
from cclake_common.settings import mongo_uri
from cclake_common.visible import printable, visible_lines

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


def show(as_json: bool, value: Any, text: str) -> None:
    """Print a result for a script or for a person."""
    if as_json:
        option = orjson.OPT_NON_STR_KEYS
        data = orjson.dumps(value, option=option, default=str).decode()
        typer.echo(printable(data))
    else:
        typer.echo(visible_lines(text))


def address(uri: str | None) -> str:
    """Return the MongoDB to read."""
    return uri or mongo_uri()
