"""Give Datasette's own pages the descriptions of tables from dbt."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from cclake_common.dbt_project import dbt_project
from cclake_common.failure import Failure
from datasette.utils import BadMetadataError, parse_metadata

from cclake_web.export import NAME

_DOC = re.compile(r"{% docs (\w+) %}(.*?){% enddocs %}", re.DOTALL)
_REFERENCE = re.compile(r"{{ doc\(\"(\w+)\"\) }}")


@cache
def metadata() -> dict[str, Any]:
    """Return descriptions of tables and columns; {} if dbt's files are not found.

    `CCLAKE_DBT_DIR` names the dbt project if it is not beside this one.
    """
    try:
        folder = dbt_project()
    except Failure:
        return {}
    docs = _docs(folder / "models" / "columns.md")
    tables: dict[str, Any] = {}
    for file in sorted((folder / "models" / "marts").rglob("*.yml")):
        tables.update(_tables(file, docs))
    return {"databases": {NAME: {"tables": tables}}} if tables else {}


def _docs(file: Path) -> dict[str, str]:
    """Return the doc blocks of dbt by name."""
    try:
        found = _DOC.findall(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: " ".join(text.split()) for name, text in found}


def _tables(file: Path, docs: dict[str, str]) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8")
        content = parse_metadata(
            _REFERENCE.sub(lambda m: docs.get(m[1], "").replace("'", "''"), text)
        )
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
