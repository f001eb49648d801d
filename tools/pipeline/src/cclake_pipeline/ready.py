"""A tool with its libraries loaded, waiting for its arguments.

Its imports are most of a small run, and need nothing of the run: they are made while
another stage works. The arguments come as one line of JSON on stdin; without them it
ends. All else is the tool's own: its console script runs in this process.
"""

import gc
import importlib
import json
import runpy
import sys
from contextlib import suppress

LIBRARIES = {
    "extract": ("typer", "pymongo", "pyiceberg.catalog.sql", "pyarrow.parquet"),
    "load": ("typer", "duckdb"),
    "publish": ("typer", "duckdb"),
}


def main() -> None:
    """Load libraries, wait for arguments, and be the tool."""
    script, *libraries = sys.argv[1:]
    gc.set_threshold(100_000)  # imports make many objects and no garbage
    for name in libraries:
        with suppress(ImportError):  # the tool says it better
            importlib.import_module(name)
    line = sys.stdin.readline()
    if line:
        sys.argv = [script, *json.loads(line)]
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
