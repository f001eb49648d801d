"""Print a result as JSON or as text."""

from typing import Any

import orjson
import typer
from cclake_common.visible import printable, visible_lines


def show(as_json: bool, value: Any, text: str) -> None:
    """Print a result for a script or for a person."""
    if as_json:
        option = orjson.OPT_NON_STR_KEYS
        data = orjson.dumps(value, option=option, default=str).decode()
        typer.echo(printable(data))
    else:
        typer.echo(visible_lines(text))
