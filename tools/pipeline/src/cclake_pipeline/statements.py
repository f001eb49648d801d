"""What dbt does to new lines, as text that runs without dbt.

dbt needs seconds to start, and a tenth of a second for each model. But what it does to
new lines is the same SQL each time, as long as the project, the prices and the settings
are the same. So it writes that once, into a file, and `repeat` runs it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Statements:
    """The statements of all models.

    Attributes:
        key: Digest of everything that the text depends on.
        settings: Those of the DuckDB connection.
        models: Name and text of each model, in the order of their dependencies.
    """

    key: str
    settings: dict[str, Any]
    models: list[tuple[str, str]]

    def save(self, path: Path) -> None:
        """Write them to a file, whole or not at all."""
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)


def load(path: Path, key: str) -> Statements | None:
    """Read the statements of a file; None where it has none for this key."""
    try:
        found = Statements(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.key == key else None
