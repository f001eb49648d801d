"""Save and load the statements with which dbt builds new lines.

dbt needs seconds to start, and a tenth of a second for each model. But it runs the same
SQL for new lines each time, as long as project, prices and settings are the same. So it
writes that SQL into a file once, and `statement_worker` runs it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cclake_pipeline import artifacts


@dataclass(frozen=True)
class Statements:
    """The statements of all models.

    Attributes:
        key: Digest of everything that the text depends on.
        settings: Settings of the DuckDB connection.
        models: Name and text of each model, in the order of their dependencies.
    """

    key: str
    settings: dict[str, Any]
    models: list[tuple[str, str]]

    def save(self, path: Path) -> None:
        """Write them to a file atomically."""
        artifacts.write(path, json.dumps(asdict(self)).encode())


def load(path: Path, key: str) -> Statements | None:
    """Read the statements of a file, or return None if it has none for this key."""
    content = artifacts.read(path)
    try:
        found = Statements(**json.loads(content or ""))
    except (ValueError, TypeError):
        return None
    return found if found.key == key else None
