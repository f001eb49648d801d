"""Bronze rows of log files, as the real tools make them: from the tailer to load."""

import shutil
import uuid
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chain import Chain, shared
from harness import connect

Row = dict[str, Any]


class Bronze:
    """Makes rows of folders of logs: of the same content once for the whole run."""

    def __init__(self, factory: pytest.TempPathFactory, uri: str) -> None:
        self.factory, self.uri = factory, uri
        self.schema: pa.Schema | None = None

    def rows(self, root: Path, host: str = "laptop", run: int = 1) -> list[Row]:
        """Return a row for each line and chunk below a root and of the history beside it.

        Args:
            root: The folder that the tailer is given.
            host: The machine that the files are said to be on.
            run: The number of the extraction that the rows are said to come from.
        """
        table = pq.read_table(self.table(root, host))
        self.schema = table.schema
        return [row | {"extract_run": run} for row in table.to_pylist()]

    def table(self, root: Path, host: str = "laptop") -> Path:
        """Return a Parquet file of `raw.conversations` of a folder."""
        name = f"bronze-{_digest(root, host)}"
        made = shared(self.factory, name, lambda to: self._make(to, root, host))
        return made / "bronze.parquet"

    def save(self, path: Path, rows: Sequence[Row]) -> None:
        """Write rows that came from here, changed or not, to a Parquet file."""
        pq.write_table(pa.Table.from_pylist(list(rows), schema=self.schema), path)

    def _make(self, folder: Path, root: Path, host: str) -> None:
        chain = Chain(folder, self.uri, f"bronze_{uuid.uuid4().hex[:12]}")
        try:
            chain.archive(root, host)
            for tool in ("extract", "load"):
                done = chain.tool(tool)
                assert done.returncode == 0, done.stderr
        finally:
            with connect(self.uri) as client:
                client.drop_database(chain.env["MONGO_DB"])
        with duckdb.connect(str(chain.gold), read_only=True) as db:
            db.execute("set timezone = 'UTC'")
            db.execute(
                "copy (from raw.conversations order by source_file, file_key, off, part)"
                f" to '{folder / 'bronze.parquet'}' (format parquet)"
            )
        shutil.rmtree(chain.home)


def _digest(root: Path, host: str) -> str:
    digest = blake2b(host.encode(), digest_size=12)
    for path in _files(root):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(root.parent)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    yield from sorted(path for path in root.rglob("*") if path.is_file())
    if (history := root.parent / "history.jsonl").is_file():
        yield history
