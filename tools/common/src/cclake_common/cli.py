"""The application of a tool, and the options that several tools share."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

DATABASE = "claude_logs"
"""The default of `MongoDb`."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
MongoUri = Annotated[
    str | None,
    typer.Option(
        "--mongo-uri",
        envvar="MONGO_URI",
        show_default="the private mongod",
        help="Address of MongoDB.",
    ),
]
MongoDb = Annotated[
    str,
    typer.Option("--mongo-db", envvar="MONGO_DB", help="Name of the database."),
]
ThisHost = Annotated[
    str | None,
    typer.Option(
        envvar="CCLAKE_HOST",
        show_default="the machine's name",
        help="Name of this machine.",
    ),
]
BufferPath = Annotated[
    Path | None,
    typer.Option(
        "--sqlite-path",
        envvar="SQLITE_PATH",
        show_default="$CCLAKE_HOME/buffer.db",
        help="The buffer's file.",
    ),
]
Warehouse = Annotated[
    str | None,
    typer.Option(
        "--warehouse",
        envvar="ICEBERG_WAREHOUSE_PATH",
        show_default="$CCLAKE_HOME/iceberg",
        help="Folder or s3:// address of the lake.",
    ),
]
CatalogType = Annotated[
    str | None,
    typer.Option(
        envvar="ICEBERG_CATALOG_TYPE", show_default="sql", help="sql or rest."
    ),
]
CatalogUri = Annotated[
    str | None,
    typer.Option(
        envvar="ICEBERG_CATALOG_URI",
        show_default="catalog.db in the warehouse",
        help="Address of the REST catalog.",
    ),
]
DuckDb = Annotated[
    Path | None,
    typer.Option(
        "--duckdb",
        envvar="DUCKDB_PATH",
        show_default="$CCLAKE_HOME/analytics.duckdb",
        help="The DuckDB file with the loaded rows and gold.",
    ),
]
ExportDir = Annotated[
    Path | None,
    typer.Option(
        "--export-dir",
        envvar="EXPORT_DIR",
        show_default="$CCLAKE_HOME/exports",
        help="Folder of the exports.",
    ),
]


class _Group(TyperGroup):
    """Lists commands with their whole first sentence, which typer would cut."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        found = [
            (name, self.get_command(ctx, name)) for name in self.list_commands(ctx)
        ]
        rows = [
            (name, command.get_short_help_str(limit=500))
            for name, command in found
            if command and not command.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def make_app(text: str | None = None, **settings: Any) -> typer.Typer:
    """Return an application whose help is plain text.

    Args:
        text: Help of the application; else that of its callback.
        settings: Further arguments of `typer.Typer`.
    """
    if text:
        settings["help"] = text
    return typer.Typer(
        cls=_Group,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )
