"""Record a build of gold in Iceberg: which snapshots of which tables belong together.

Each mart is a table with commits of its own. The last commit of a build writes the
table `current_build`, with a row for each mart. Readers take the snapshots that it
names, so they see the marts of one build, whatever is being written.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import pyarrow as pa
from cclake_common.failure import TRY_LATER, Failure
from cclake_lake.catalog import DAMAGED, answering, find_table
from cclake_lake.properties import RUN, WATERMARKS
from cclake_lake.settings import Lake
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import Snapshot

TABLE = "current_build"
FORMAT = "1"
_FORMAT, _ENGINE = "cclake.gold.format", "cclake.gold.engine"
OWNER = "cclake.gold.of"
"""The property of each table that names the bronze table of its gold."""
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("uuid", pa.string()),
        ("snapshot_id", pa.int64()),
        ("rows", pa.int64()),
    ]
)
HINT = "Write it again with `publish iceberg` or `just spark`."


@dataclass(frozen=True)
class Part:
    """A mart of a build.

    Attributes:
        name: Its name.
        uuid: The UUID of its table, which changes after drop and create.
        snapshot_id: The snapshot that has its rows.
        rows: Their number.
    """

    name: str
    uuid: str
    snapshot_id: int
    rows: int


@dataclass(frozen=True)
class Facts:
    """The content of a build.

    Attributes:
        extract_run: The newest extraction in it; None if unknown.
        watermarks: The watermarks of the buffers, as JSON; empty if unknown.
        engine: What built it: `duckdb` or `spark`.
    """

    extract_run: int | None
    watermarks: str
    engine: str


@dataclass(frozen=True)
class Build:
    """A complete build of gold."""

    facts: Facts
    parts: tuple[Part, ...]

    def snapshot_of(self, name: str) -> int | None:
        """Return the snapshot of a mart, or None if it was not built."""
        return next((p.snapshot_id for p in self.parts if p.name == name), None)


def address(lake: Lake, name: str) -> Lake:
    """Return the settings of a table of gold."""
    return replace(lake, namespace=lake.gold_namespace, table=name)


def require_owned(lake: Lake, table: Table) -> None:
    """Refuse a table that is not of this lake's gold.

    Raises:
        Failure: Another lake, or something else, uses the namespace.
    """
    owner = table.properties.get(OWNER)
    if owner != lake.identifier:
        raise Failure(
            f"{'.'.join(table.name())} is not gold of {lake.identifier}, but of"
            f" {owner or 'something else'}",
            "Set ICEBERG_GOLD_NAMESPACE to a namespace of its own.",
        )


def read_build(lake: Lake, table: Table) -> Build | None:
    """Return the build that `current_build` names, or None if it is empty.

    Raises:
        Failure: Another version of cclake wrote it.
    """
    require_owned(lake, table)
    head = table.current_snapshot()
    if head is None:
        return None
    said = head.summary.additional_properties if head.summary else {}
    if said.get(_FORMAT) != FORMAT:
        raise Failure(
            f"the gold in {lake.gold_namespace} has the format {said.get(_FORMAT)},"
            f" and this version reads {FORMAT}",
            HINT,
        )
    run = said.get(RUN, "")
    facts = Facts(
        int(run) if run else None, said.get(WATERMARKS, ""), said.get(_ENGINE, "")
    )
    rows = table.scan(snapshot_id=head.snapshot_id).to_arrow().to_pylist()
    return Build(facts, tuple(sorted((Part(**row) for row in rows), key=_by_name)))


def commit_build(table: Table, build: Build) -> None:
    """Make this the build that readers see, in one commit.

    Raises:
        CommitFailedException: Another build was written since the table was loaded.
    """
    rows = pa.Table.from_pylist([asdict(part) for part in build.parts], SCHEMA)
    run = build.facts.extract_run
    replacing(table, table)(
        rows,
        snapshot_properties={
            _FORMAT: FORMAT,
            _ENGINE: build.facts.engine,
            RUN: "" if run is None else str(run),
            WATERMARKS: build.facts.watermarks,
        },
    )


def replacing(table: Table, change: Table | Transaction) -> Callable[..., None]:
    """Return how to replace all rows: a deletion of none would be a warning."""
    head = table.current_snapshot()
    said = head.summary.additional_properties if head and head.summary else {}
    return (
        change.append if said.get("total-records") in (None, "0") else change.overwrite
    )


def open_build(lake: Lake, catalog: Catalog) -> tuple[Build, dict[str, Table]]:
    """Return the current build, with the table of each of its marts.

    Raises:
        Failure: There is none, or not all of it exists.
    """
    with reading(lake):
        current = find_table(address(lake, TABLE), catalog)
        build = read_build(lake, current) if current else None
    if current is None or build is None:
        raise Failure(
            f"there is no gold in the namespace {lake.gold_namespace} of {lake.place}",
            "Write it with `publish iceberg` or `just spark`.",
        )
    tables = {}
    for part in build.parts:
        with reading(lake):
            table = find_table(address(lake, part.name), catalog)
        if table is None or problem(table, part):
            raise _incomplete(lake, current, part, table)
        tables[part.name] = table
    return build, tables


def problem(table: Table, part: Part) -> str:
    """Return why a table does not have a mart of a build; empty if it does."""
    if str(table.metadata.table_uuid) != part.uuid:
        return "is another table of that name"
    if table.metadata.snapshot_by_id(part.snapshot_id) is None:
        return "has no longer the snapshot of this build"
    return ""


def _incomplete(lake: Lake, current: Table, part: Part, table: Table | None) -> Failure:
    """Return the failure of a build that is not complete, or no longer."""
    before = current.current_snapshot()
    with reading(lake):
        current.refresh()
    if current.current_snapshot() != before:
        return Failure(
            "gold was written again while it was opened", "Run it again.", TRY_LATER
        )
    name = f"{lake.gold_namespace}.{part.name}"
    said = problem(table, part) if table else "is missing"
    return Failure(f"gold is incomplete: {name} {said}", HINT)


@contextmanager
def reading(lake: Lake) -> Iterator[None]:
    """Raise a failure that names the catalog, S3 or a damaged file as the cause.

    Raises:
        Failure: Gold can't be read.
    """
    try:
        with answering(lake):
            yield
    except (*DAMAGED, OSError) as error:
        said = str(error).strip() or type(error).__name__
        raise Failure(
            f"the gold in {lake.place} can't be read: {said.splitlines()[0][:300]}",
            HINT,
        ) from error


def older_than(table: Table, snapshot_id: int | None) -> Sequence[Snapshot]:
    """Return the snapshots of a table that were committed before one of them."""
    kept = table.metadata.snapshot_by_id(snapshot_id) if snapshot_id else None
    if kept is None or kept.sequence_number is None:
        return []
    named = {ref.snapshot_id for ref in table.metadata.refs.values()}
    return [
        one
        for one in table.metadata.snapshots
        if (one.sequence_number or 0) < kept.sequence_number
        and one.snapshot_id not in named
    ]


def _by_name(part: Part) -> str:
    return part.name
