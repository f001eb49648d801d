"""Keep what dbt makes of the project: the parsed project, and its statements.

They take dbt seconds, and depend on no data. So they lie in the project's `target`
folder, where all data directories share them, or in dbt's folder of the data directory
if that of the project can't be written.
"""

import os
from contextlib import suppress
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

KEPT = 16
"""Files of a kind that are kept: each setting and each database name needs its own."""
_READ_BY_DBT = (".yml", ".sql", ".csv", ".md")


def file_of(kind: str, project: Path, key: str, otherwise: Path) -> Path:
    """Return the path of an artifact.

    Args:
        kind: Its name, with the suffix of the file, such as `statements.json`.
        project: The dbt project.
        key: Digest of everything that it depends on.
        otherwise: The folder to use if that of the project can't be written.
    """
    name = Path(kind)
    folder = project / "target"
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
    if not os.access(folder, os.W_OK):
        folder = otherwise
    return folder / f"{name.stem}-{key}{name.suffix}"


def read(path: Path) -> bytes | None:
    """Return the content of an artifact, or None if there is none.

    It then counts as the newest, since the oldest are deleted.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    with suppress(OSError):
        path.touch()
    return content


def write(path: Path, content: bytes) -> None:
    """Write an artifact atomically, and delete old ones of its kind.

    Raises:
        OSError: It can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_bytes(content)
    new.replace(path)
    kind = path.name.split("-")[0]
    found = {file: _written_at(file) for file in path.parent.glob(f"{kind}-*")}
    for old in sorted(found, key=lambda file: found[file])[:-KEPT]:
        old.unlink(missing_ok=True)


def parsed_key(project: Path, options: list[str]) -> str:
    """Return the digest of everything that the parsed project depends on.

    Args:
        project: The dbt project.
        options: Those of dbt that choose the project and the target.
    """
    digest = blake2b(digest_size=16)
    named = [os.environ.get(name, "") for name in ("CCLAKE_PRICES", "DBT_TARGET")]
    database = Path(os.environ.get("DUCKDB_PATH", "")).stem
    versions = [version(name) for name in ("dbt-core", "dbt-duckdb")]
    digest.update("\0".join([*options, *named, database, *versions]).encode())
    for path in sorted(_files(project)):
        content = path.read_bytes()
        name = path.relative_to(project)
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _files(project: Path) -> list[Path]:
    """Return the files of a project that dbt reads."""
    folders = [path for path in project.iterdir() if path.is_dir()]
    read = [path for path in folders if path.name not in ("target", "logs")]
    found = [*project.iterdir(), *(path for each in read for path in each.rglob("*"))]
    return [path for path in found if path.suffix in _READ_BY_DBT and path.is_file()]


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
