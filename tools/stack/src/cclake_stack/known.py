"""Every setting of the stack: its name, its default and what it means."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """One setting; the default may name the data directory as `{home}`."""

    name: str
    default: str
    meaning: str
    is_secret: bool = False


SETTINGS = (
    Setting("CCLAKE_HOME", "~/.claude-sync", "data directory"),
    Setting("CLAUDE_DIR", "~/.claude/projects", "folders to archive, ':' between"),
    Setting(
        "CCLAKE_ROLE", "all", "all; ship: only archive; serve: only lake and pages"
    ),
    Setting("CCLAKE_HOST", "", "this machine's name in every record"),
    Setting("MONGO_URI", "", "your MongoDB; empty: the private mongod"),
    Setting("MONGO_DB", "claude_logs", "database"),
    Setting("MONGOD", "", "the mongod to run; empty: the first that is found"),
    Setting("SQLITE_PATH", "{home}/buffer.db", "the buffer"),
    Setting("CCLAKE_BUFFER_MAX_MB", "", "reading pauses while the buffer holds more"),
    Setting("CCLAKE_MIN_FREE_MB", "256", "reading pauses while the disk has less"),
    Setting("CCLAKE_REST_SECONDS", "30", "rest of a last line without newline"),
    Setting("CCLAKE_SIDE_FILES", "true", "archive tool results and meta files too"),
    Setting("SYNC_INTERVAL_MS", "5000", "longest wait before a batch is sent"),
    Setting("BATCH_SIZE", "1000", "documents in a batch at most"),
    Setting("HEALTH_PORT", "9090", "health and metrics"),
    Setting("PIPELINE_PORT", "9091", "health and metrics of the pipeline; 0: none"),
    Setting("WEB_PORT", "3000", "pages"),
    Setting("CCLAKE_WEB_REVEAL", "yes", "no: masked secrets stay masked"),
    Setting("CCLAKE_WEB_TOKEN", "no", "yes: the pages open only at a secret address"),
    Setting("CCLAKE_WEB_PASSWORD_HASH", "", "password of the pages", is_secret=True),
    Setting("CCLAKE_ALLOWED_HOSTS", "", "further host names of the pages"),
    Setting("DBT_DOCS_PORT", "8686", "dbt documentation"),
    Setting("METABASE_PORT", "3001", "Metabase, if you have it"),
    Setting("PREFECT_PORT", "4200", "Prefect, if you want it"),
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
        "OAuth2 client id and secret, ':' between",
        is_secret=True,
    ),
    Setting("ICEBERG_CATALOG_TOKEN", "", "or a bearer token", is_secret=True),
    Setting("ICEBERG_CATALOG_SCOPE", "catalog", "scope of the token to ask for"),
    Setting(
        "ICEBERG_CATALOG_OAUTH2_SERVER_URI", "", "who gives tokens; empty: the catalog"
    ),
    Setting("ICEBERG_CATALOG_SIGV4", "", "AWS service to sign requests for: glue, …"),
    Setting(
        "ICEBERG_CATALOG_HEADERS",
        "",
        "the catalog's own headers: NAME=VALUE,…",
        is_secret=True,
    ),
    Setting("ICEBERG_CA_FILE", "", "certificates that catalog and S3 are trusted by"),
    Setting("ICEBERG_NAMESPACE", "analytics", "namespace"),
    Setting("ICEBERG_TABLE_NAME", "conversations", "table"),
    Setting("ICEBERG_S3_ENDPOINT", "", "S3 server other than AWS"),
    Setting("ICEBERG_S3_REGION", "", "its region"),
    Setting("ICEBERG_S3_ACCESS_KEY_ID", "", "its key"),
    Setting("ICEBERG_S3_SECRET_ACCESS_KEY", "", "and secret", is_secret=True),
    Setting("EXPORT_DIR", "{home}/exports", "exports for readers"),
    Setting("PIPELINE_INTERVAL_S", "300", "longest wait between pipeline runs"),
    Setting("CCLAKE_TIMEZONE", "local", "time zone of the days of reports"),
)
