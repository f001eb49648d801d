"""Give Datasette's own pages the descriptions of tables from dbt."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from datasette.utils import BadMetadataError, parse_metadata

from cclake_web.export import NAME

_REPOSITORY = Path(__file__).parents[3]


@cache
def metadata() -> dict[str, Any]:
    """Return descriptions of tables and columns; {} if dbt's files are not found.

    `CCLAKE_DBT_DIR` names the dbt project if it is not beside this one.
    """
    folder = Path(os.environ.get("CCLAKE_DBT_DIR") or _REPOSITORY / "dbt")
    tables: dict[str, Any] = {}
    for file in sorted((folder / "models" / "marts").glob("*.yml")):
        tables.update(_tables(file))
    return {"databases": {NAME: {"tables": tables}}} if tables else {}


def _tables(file: Path) -> dict[str, Any]:
    try:
        content = parse_metadata(file.read_text("utf-8"))
        models = content.get("models") or []
        return {model["name"]: _table(model) for model in models}
    except (OSError, BadMetadataError, AttributeError, KeyError, TypeError):
        return {}  # incomplete or foreign files are ignored


def _table(model: dict[str, Any]) -> dict[str, Any]:
    columns = model.get("columns") or []
    return {
        "description": model.get("description", ""),
        "columns": {one["name"]: one.get("description", "") for one in columns},
    }
