"""Every setting of the stack, its default, and where its value comes from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cclake_common import settings
from cclake_common.failure import Failure


@dataclass(frozen=True)
class Setting:
    """One setting: its environment variable, default and meaning."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Value:
    """The value of a setting now, safe to print, and its origin."""

    name: str
    value: str
    origin: str
    meaning: str


ROLES = {
    "all": ("flusher", "ingest", "web", "pipeline"),
    "ship": ("flusher", "ingest"),
    "serve": ("web", "pipeline"),
}
"""The processes of a role, in the order of their start."""

SETTINGS = (
    Setting("CCLAKE_HOME", "~/.claude-sync", "data directory"),
    Setting("CLAUDE_DIR", "~/.claude/projects", "folders to archive, ':' between"),
    Setting(
        "CCLAKE_ROLE", "all", "all; ship: only archive; serve: only lake and pages"
    ),
    Setting("CCLAKE_HOST", "", "this machine's name in every record"),
    Setting("MONGO_URI", "", "your MongoDB; empty: the private mongod"),
    Setting("MONGO_DB", "claude_logs", "database"),
    Setting("MONGO_PORT", "27117", "port of the private mongod"),
    Setting("SQLITE_PATH", "{home}/buffer.db", "the buffer"),
    Setting("SYNC_INTERVAL_MS", "5000", "longest wait before a batch is sent"),
    Setting("BATCH_SIZE", "1000", "documents in a batch at most"),
    Setting("HEALTH_PORT", "9090", "health and metrics"),
    Setting("PIPELINE_PORT", "9091", "health and metrics of the pipeline"),
    Setting("WEB_PORT", "3000", "pages"),
    Setting("CCLAKE_WEB_REVEAL", "yes", "no: masked secrets stay masked"),
    Setting("DBT_DOCS_PORT", "8686", "dbt documentation"),
    Setting("METABASE_PORT", "3001", "Metabase, if you have it"),
    Setting("PREFECT_PORT", "4200", "Prefect, if you want it"),
    Setting("DUCKDB_PATH", "{home}/analytics.duckdb", "the warehouse"),
    Setting("DBT_TARGET", "dev", "dbt target"),
    Setting("ICEBERG_WAREHOUSE_PATH", "{home}/iceberg", "the lake"),
    Setting("ICEBERG_CATALOG_NAME", "default", "catalog"),
    Setting("ICEBERG_CATALOG_TYPE", "sql", "sql (in the lake's folder) or rest"),
    Setting("ICEBERG_NAMESPACE", "analytics", "namespace"),
    Setting("ICEBERG_TABLE_NAME", "conversations", "table"),
    Setting("EXPORT_DIR", "{home}/exports", "exports for readers"),
    Setting("PIPELINE_INTERVAL_S", "300", "longest wait between pipeline runs"),
)


def values(dotenv: Path, environ: Mapping[str, str] = os.environ) -> list[Value]:
    """All settings with their present values; passwords are masked.

    Args:
        dotenv: The `.env` file that just has loaded; it may be missing.
        environ: The environment.
    """
    in_dotenv = _names(dotenv)
    return [_value(setting, environ, in_dotenv) for setting in SETTINGS]


def role() -> str:
    """What this machine does: `CCLAKE_ROLE`, or `all`.

    Raises:
        Failure: It is none of the roles, or it is one of a team without its MongoDB.
    """
    found = environ_or("CCLAKE_ROLE", "all")
    if found not in ROLES:
        raise Failure(f"CCLAKE_ROLE is {found!r}", f"Set it to {', '.join(ROLES)}.")
    if found != "all" and not environ_or("MONGO_URI", ""):
        raise Failure(
            f"the role {found} needs the MongoDB of your team",
            "Set MONGO_URI to it.",
        )
    return found


def port(name: str, default: int) -> int:
    """The port in an environment variable."""
    return int(os.environ.get(name) or default)


def _value(setting: Setting, environ: Mapping[str, str], in_dotenv: set[str]) -> Value:
    given = environ.get(setting.name)
    if given:
        origin = ".env" if setting.name in in_dotenv else "environment"
        value = given
    else:
        origin = "default"
        value = setting.default.format(home=settings.home())
        if setting.name == "CCLAKE_HOST":
            value = settings.host()
        elif setting.name == "MONGO_URI":
            value = settings.mongo_uri()
    return Value(setting.name, settings.mask(value), origin, setting.meaning)


def _names(dotenv: Path) -> set[str]:
    if not dotenv.is_file():
        return set()
    lines = dotenv.read_text(encoding="utf-8").splitlines()
    return {
        line.split("=", 1)[0].removeprefix("export ").strip()
        for line in lines
        if "=" in line and not line.lstrip().startswith("#")
    }


def environ_or(name: str, default: str) -> str:
    """The value of an environment variable, or a default when unset or empty."""
    return os.environ.get(name) or default
