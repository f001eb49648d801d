"""Find the dbt project that builds gold."""

import os
from importlib.util import find_spec
from pathlib import Path

from cclake_common.failure import Failure
from cclake_common.settings import checkout

PACKAGE = "cclake_gold"


def dbt_project(given: Path | None = None) -> Path:
    """Return the folder of the dbt project.

    It is the given folder, or the one in `CCLAKE_DBT_DIR`, or `dbt` of the checkout, or
    that of the installed package.

    Raises:
        Failure: There is none.
    """
    named = given or os.environ.get("CCLAKE_DBT_DIR")
    folders = [Path(named).expanduser().resolve()] if named else _usual()
    for folder in folders:
        if (folder / "dbt_project.yml").is_file():
            return folder
    raise Failure(
        f"no dbt project {f'in {named}' if named else 'found'}",
        "Install cclake-gold, or set CCLAKE_DBT_DIR to the folder of dbt_project.yml.",
    )


def _usual() -> list[Path]:
    root, spec = checkout(), find_spec(PACKAGE)
    installed = map(Path, (spec and spec.submodule_search_locations) or [])
    return [*([root / "dbt"] if root else []), *installed]
