"""Start the engine, give it bronze and the functions of DuckDB, and run dbt on it."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from cclake_spark import functions


@dataclass(frozen=True)
class Gold:
    """A build: its bronze, its project and its place.

    Attributes:
        bronze: The location of the Iceberg table `conversations`.
        folder: Where the tables of gold are written; what it holds is deleted.
        project: The dbt project.
        up_to_run: The newest extraction that is read, or none for all.
    """

    bronze: str
    folder: Path
    project: Path
    up_to_run: int | None = None


@contextmanager
def engine(gold: Gold) -> Iterator[SparkSession]:
    """Yield a session that has bronze and the functions.

    SPARK_REMOTE names a Spark Connect server; else one is started for this process.
    """
    shutil.rmtree(gold.folder, ignore_errors=True)
    gold.folder.mkdir(parents=True)
    os.environ["CCLAKE_SPARK_TABLES"] = str(gold.folder.resolve())
    with _server():
        session = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).getOrCreate()
        session.conf.set("spark.sql.session.timeZone", "UTC")
        functions.register(session)
        _attach(session, gold)
        yield session


@contextmanager
def _server() -> Iterator[None]:
    if os.environ.get("SPARK_REMOTE"):
        yield
        return
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    os.environ["SPARK_REMOTE"] = f"sc://127.0.0.1:{port}"
    try:
        yield
    finally:
        del os.environ["SPARK_REMOTE"]
        server.stop()


def _attach(session: SparkSession, gold: Gold) -> None:
    """Name bronze `raw.conversations`, without writing to it."""
    for schema in ("raw", "lake"):
        session.sql(f"create schema if not exists {schema}").collect()
    session.sql("drop table if exists lake.conversations").collect()
    session.sql(
        "create external table lake.conversations using iceberg"
        f" location '{gold.bronze}'"
    ).collect()
    newest = "" if gold.up_to_run is None else f" where extract_run <= {gold.up_to_run}"
    session.sql(
        "create or replace view raw.conversations as"
        f" select * from lake.conversations{newest}"
    ).collect()


def build(gold: Gold, options: Sequence[str] = ()) -> bool:
    """Run dbt in this process; return whether every model was built."""
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
    return bool(dbtRunner().invoke([*command, *place, *options]).success)
