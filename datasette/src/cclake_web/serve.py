"""Serve the pages on loopback: Datasette with its settings for them."""

import os
import sys
from pathlib import Path
from typing import NoReturn

USAGE = """\
Usage: datasette/serve [DATASETTE OPTIONS]

  Read, search and understand your conversations in the browser.

  Serves the newest export on loopback. If there is none yet, the pages wait
  for it. Options are passed to `datasette serve` (see its --help).

  Try:

      datasette/serve                      # http://127.0.0.1:3000/
      WEB_PORT=4000 datasette/serve
      CCLAKE_ALLOWED_HOSTS=lake.example datasette/serve

Environment:
  WEB_PORT                  The port. [default: 3000]
  EXPORT_DIR                The folder of the export conversations.db.
                            [default: $CCLAKE_HOME/exports]
  CCLAKE_ALLOWED_HOSTS      More host names that the pages answer to.
  CCLAKE_WEB_PASSWORD_HASH  Hash of the password that the pages ask for (user:
                            me); `datasette hash-password` prints it.
  CCLAKE_WEB_TOKEN          yes: open the pages only at a secret address, which
                            `just up` and `just status` print. [default: no]
  CCLAKE_WEB_TEAM           yes: the pages are for the users of team.toml, each of
                            whom reads their own sessions. [default: no]
  CCLAKE_WEB_REVEAL         no: visitors can neither reveal secrets nor run
                            their own SQL. [default: yes]
  CCLAKE_DBT_DIR            The dbt project, for the descriptions of tables.
  MONGO_URI, MONGO_DB       MongoDB, for lines that are not published yet.
"""
SETTINGS = {
    "suggest_facets": "off",
    "allow_download": "off",
    "default_allow_sql": "on",
    "sql_time_limit_ms": "5000",
    "num_sql_threads": "4",
    "max_csv_mb": "0",
    "default_cache_ttl": "0",
}


def command(options: list[str]) -> list[str]:
    """Return the command line of Datasette.

    The plugin opens the export, now or when it appears.
    """
    return [
        str(Path(sys.executable).with_name("datasette")),
        "serve",
        *("--metadata", str(Path(__file__).with_name("metadata.yaml"))),
        *("--host", "127.0.0.1", "--port", os.environ.get("WEB_PORT") or "3000"),
        *(part for item in SETTINGS.items() for part in ("--setting", *item)),
        *options,
    ]


def main() -> NoReturn:
    """Become Datasette, or print the usage."""
    options = sys.argv[1:]
    if options[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        sys.exit(0)
    there = command(options)
    os.execv(there[0], there)


if __name__ == "__main__":
    main()
