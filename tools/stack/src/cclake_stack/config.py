"""Every setting of the stack: its default, its value, and where that comes from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cclake_common import settings
from cclake_common.failure import Failure


@dataclass(frozen=True)
class Setting:
    """A setting; `{home}` in the default stands for the data directory."""

    name: str
    default: str
    meaning: str
    is_secret: bool = False


SETTINGS = (
    Setting("CCLAKE_HOME", "~/.claude-sync", "data directory"),
    Setting("CLAUDE_DIR", "~/.claude/projects", "folders to archive, separated by ':'"),
    Setting(
        "CCLAKE_ROLE", "all", "all; ship: only archive; serve: only lake and pages"
    ),
    Setting("CCLAKE_HOST", "", "this machine's name in every record"),
    Setting("MONGO_URI", "", "your MongoDB; empty: the private mongod"),
    Setting("MONGO_DB", "claude_logs", "database"),
    Setting("MONGOD", "", "the mongod to run; empty: the first one found"),
    Setting("SQLITE_PATH", "{home}/buffer.db", "the buffer"),
    Setting("CCLAKE_BUFFER_MAX_MB", "", "size of the buffer at which reading pauses"),
    Setting("CCLAKE_MIN_FREE_MB", "256", "free disk space below which reading pauses"),
    Setting("CCLAKE_REST_SECONDS", "30", "wait before an unterminated line is read"),
    Setting("CCLAKE_SIDE_FILES", "true", "whether to archive side files of sessions"),
    Setting("SYNC_INTERVAL_MS", "5000", "maximum wait before a batch is sent"),
    Setting("BATCH_SIZE", "1000", "maximum number of documents in a batch"),
    Setting("HEALTH_PORT", "9090", "health and metrics"),
    Setting("PIPELINE_PORT", "9091", "health and metrics of the pipeline; 0: none"),
    Setting("WEB_PORT", "3000", "pages"),
    Setting("CCLAKE_WEB_REVEAL", "yes", "no: masked secrets stay masked"),
    Setting("CCLAKE_WEB_TOKEN", "no", "yes: the pages open only at a secret address"),
    Setting("CCLAKE_WEB_TEAM", "no", "yes: the pages are for the users of team.toml"),
    Setting("CCLAKE_WEB_PASSWORD_HASH", "", "password of the pages", is_secret=True),
    Setting("CCLAKE_ALLOWED_HOSTS", "", "further host names of the pages"),
    Setting("DBT_DOCS_PORT", "8686", "dbt documentation"),
    Setting("METABASE_PORT", "3001", "Metabase (optional)"),
    Setting("PREFECT_PORT", "4200", "Prefect (optional)"),
    Setting("DUCKDB_PATH", "{home}/analytics.duckdb", "the warehouse"),
    Setting("DBT_TARGET", "dev", "dbt target"),
    Setting("CCLAKE_PRICES", "", "your own price list"),
    Setting("ICEBERG_WAREHOUSE_PATH", "{home}/iceberg", "the lake"),
    Setting("ICEBERG_CATALOG_NAME", "default", "catalog"),
    Setting("ICEBERG_CATALOG_TYPE", "sql", "sql (in the lake's folder) or rest"),
    Setting("ICEBERG_CATALOG_URI", "", "address of the catalog"),
    Setting(
        "ICEBERG_CATALOG_CREDENTIAL",
        "",
        "OAuth2 client id and secret, separated by ':'",
        is_secret=True,
    ),
    Setting("ICEBERG_CATALOG_TOKEN", "", "bearer token instead", is_secret=True),
    Setting("ICEBERG_CATALOG_SCOPE", "catalog", "scope of the requested token"),
    Setting(
        "ICEBERG_CATALOG_OAUTH2_SERVER_URI", "", "OAuth2 server; empty: the catalog"
    ),
    Setting("ICEBERG_CATALOG_SIGV4", "", "AWS service to sign requests for: glue, …"),
    Setting(
        "ICEBERG_CATALOG_HEADERS",
        "",
        "additional headers for the catalog: NAME=VALUE,…",
        is_secret=True,
    ),
    Setting("ICEBERG_CA_FILE", "", "CA certificates for catalog and S3"),
    Setting("ICEBERG_NAMESPACE", "analytics", "namespace"),
    Setting("ICEBERG_TABLE_NAME", "conversations", "table"),
    Setting("ICEBERG_GOLD_NAMESPACE", "gold", "namespace of gold, if written there"),
    Setting("ICEBERG_S3_ENDPOINT", "", "S3 server other than AWS"),
    Setting("ICEBERG_S3_REGION", "", "S3 region"),
    Setting("ICEBERG_S3_ACCESS_KEY_ID", "", "S3 access key"),
    Setting("ICEBERG_S3_SECRET_ACCESS_KEY", "", "S3 secret key", is_secret=True),
    Setting("EXPORT_DIR", "{home}/exports", "exports for readers"),
    Setting("PIPELINE_INTERVAL_S", "300", "maximum wait between pipeline runs"),
    Setting("CCLAKE_TIMEZONE", "local", "time zone of the days of reports"),
)


@dataclass(frozen=True)
class Value:
    """The current value of a setting, safe to print, and its origin."""

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


def dotenv() -> Path | None:
    """Return the file `.env` of the checkout; None if this is not one."""
    root = settings.checkout()
    return root / ".env" if root else None


def values(dotenv: Path | None, environ: Mapping[str, str] = os.environ) -> list[Value]:
    """Return all settings with their current values; passwords are masked.

    Args:
        dotenv: The `.env` file that `just` loads, if there is a checkout; it may be
            missing.
        environ: The environment.
    """
    in_dotenv = _given(dotenv)
    return [
        _value(setting, environ, in_dotenv)
        for setting in (*SETTINGS, *_others(environ))
    ]


def role() -> str:
    """Return the role of this machine: `CCLAKE_ROLE`, or `all`.

    Raises:
        Failure: The role is unknown, or needs `MONGO_URI`, which is not set.
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
    """Return the port in an environment variable.

    Raises:
        Failure: It is not a port.
    """
    given = os.environ.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or int(given) > 65535:
        raise Failure(f"{name} is {given!r}", "Set it to a port: 1 to 65535.")
    return int(given)


def _others(environ: Mapping[str, str]) -> list[Setting]:
    """Return other variables that are set: options of single tools, and typos."""
    known = {setting.name for setting in SETTINGS}
    return [
        Setting(name, "", "not one of the stack: an option of a tool, if any")
        for name in sorted(environ)
        if name.startswith("CCLAKE_") and name not in known
    ]


def _value(
    setting: Setting, environ: Mapping[str, str], in_dotenv: Mapping[str, str]
) -> Value:
    given = environ.get(setting.name)
    if given:
        # The environment takes precedence over the file.
        written = in_dotenv.get(setting.name, "")
        same = written.strip("\"'") == given or any(s in written for s in "$\\#")
        origin = ".env" if written and same else "environment"
        value = given
    else:
        origin = "default"
        value = setting.default.format(home=settings.home())
        if setting.name == "CCLAKE_HOST":
            value = settings.host()
        elif setting.name == "MONGO_URI":
            value = settings.mongo_uri()
    shown = "***" if given and setting.is_secret else settings.mask(value)
    return Value(setting.name, shown, origin, setting.meaning)


def _given(dotenv: Path | None) -> dict[str, str]:
    """Return the text after each name in the file, with quotes and comments."""
    if not dotenv or not dotenv.is_file():
        return {}
    lines = dotenv.read_text(encoding="utf-8").splitlines()
    pairs = [
        line.strip().removeprefix("export ").partition("=")
        for line in lines
        if "=" in line and not line.lstrip().startswith("#")
    ]
    return {name.strip(): value.strip() for name, _, value in pairs}


def environ_or(name: str, default: str) -> str:
    """Return an environment variable, or a default if it is unset or empty."""
    return os.environ.get(name) or default
