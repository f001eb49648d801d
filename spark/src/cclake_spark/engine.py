"""Start the engine, give it bronze and the functions of DuckDB, and run dbt on it."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

from pyspark.sql import SparkSession

from cclake_spark import functions, prices

INTERRUPTED = "spark: interrupted; readers keep the last complete build"
SHARED_HOSTS = """
select host
from (select distinct coalesce(host, '') as host, buffer from {rows})
group by host
having count(*) > 1
"""
# What the settings of the lake's S3 are called in Sail.
S3 = {
    "ICEBERG_S3_ENDPOINT": "AWS_ENDPOINT",
    "ICEBERG_S3_REGION": "AWS_REGION",
    "ICEBERG_S3_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
    "ICEBERG_S3_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY",
}
# As `load` keeps the oldest of several rows.
OLDEST = """
select * from (
    select *, row_number() over (
        partition by doc_id, part order by extract_run, buffer, seq
    ) as copy
    from {rows}
) where copy = 1
"""


@dataclass(frozen=True)
class Gold:
    """A build: its bronze, its project and its place.

    Attributes:
        bronze: The location of the Iceberg table `conversations`.
        snapshot: The snapshot that is read; None for an empty table.
        folder: Where files are written; what it holds is deleted.
        project: The dbt project.
        up_to_run: The newest extraction that is read, or none for all.
    """

    bronze: str
    snapshot: str | None
    folder: Path
    project: Path
    up_to_run: int | None = None

    @property
    def work(self) -> Path:
        """The folder of the engine's own tables, which is deleted at the end."""
        return self.folder / "work"


@contextmanager
def engine(gold: Gold) -> Iterator[SparkSession]:
    """Yield a session that has bronze and the functions.

    SPARK_REMOTE names a Spark Connect server; else one is started for this process.
    """
    shutil.rmtree(gold.folder, ignore_errors=True)
    gold.work.mkdir(parents=True)
    try:
        with _server():
            remote = os.environ["SPARK_REMOTE"]
            session = SparkSession.builder.remote(remote).getOrCreate()
            session.conf.set("spark.sql.session.timeZone", "UTC")
            session.conf.set("spark.sql.warehouse.dir", str(gold.work.resolve()))
            functions.register(session)
            _attach(session, gold)
            prices.name_own(session, gold.project)
            _end_at_signals(gold.work)
            try:
                yield session
            finally:
                session.stop()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        shutil.rmtree(gold.work, ignore_errors=True)


def _end_at_signals(work: Path) -> None:
    """End the process at Ctrl-C and SIGTERM.

    The handlers of the server stop only that, and the client would ask it again for
    many minutes. An exception would make dbt print where it was.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        os.write(2, f"\n{INTERRUPTED}\n".encode())
        shutil.rmtree(work, ignore_errors=True)
        os._exit(130)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


@contextmanager
def _server() -> Iterator[None]:
    if os.environ.get("SPARK_REMOTE"):
        yield
        return
    from pysail.spark import SparkConnectServer

    _name_s3()
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    os.environ["SPARK_REMOTE"] = f"sc://127.0.0.1:{port}"
    try:
        yield
    finally:
        del os.environ["SPARK_REMOTE"]
        server.stop()


def _name_s3() -> None:
    for ours, theirs in S3.items():
        if value := os.environ.get(ours):
            os.environ[theirs] = value
    if os.environ.get("AWS_ENDPOINT", "").startswith("http://"):
        os.environ["AWS_ALLOW_HTTP"] = "true"


def _attach(session: SparkSession, gold: Gold) -> None:
    """Name bronze `raw.conversations`, without writing to it.

    Every model reads the same snapshot, whatever is extracted meanwhile.
    """
    for schema in ("raw", "lake"):
        session.sql(f"create schema if not exists {schema}").collect()
    session.sql("drop table if exists lake.conversations").collect()
    session.sql(
        "create external table lake.conversations using iceberg"
        f" location '{gold.bronze}'"
    ).collect()
    rows = "lake.conversations"
    if gold.snapshot is not None:
        rows += f" version as of {int(gold.snapshot)}"
    if gold.up_to_run is not None:
        rows = f"(select * from {rows} where extract_run <= {gold.up_to_run})"
    is_shared = session.sql(SHARED_HOSTS.format(rows=rows)).collect()
    view = OLDEST.format(rows=rows) if is_shared else f"select * from {rows}"
    session.sql(f"create or replace view raw.conversations as {view}").collect()


def build(gold: Gold, options: Sequence[str] = ()) -> list[str] | None:
    """Run dbt in this process; return the marts that it built, None if one failed."""
    from dbt.cli.main import dbtRunner

    os.environ["DBT_TARGET"] = "spark"
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
    os.environ.setdefault("DBT_TARGET_PATH", str(gold.folder.with_suffix(".dbt")))
    os.environ.setdefault("DBT_LOG_PATH", str(gold.folder.with_suffix(".dbt") / "logs"))
    # The adapter asks for Hive, which Spark Connect does not know.
    builder = type(SparkSession.builder)
    builder.enableHiveSupport = lambda self: self
    folder = str(gold.project)
    # Data and unit tests are in DuckDB's SQL.
    command = ["build", "--exclude-resource-type", "test", "unit_test"]
    place = ["--project-dir", folder, "--profiles-dir", folder]
    done = dbtRunner().invoke([*command, *place, *options])
    if not done.success:
        return None
    nodes = [result.node for result in cast("Any", done.result)]
    return [node.name for node in nodes if node.schema == "marts"]
