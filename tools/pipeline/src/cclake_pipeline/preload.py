"""Load the libraries of a tool, then wait for its arguments and run it.

Imports take most of a small run, so they are done while another stage runs. The
arguments come as one line of JSON on stdin; without them the process ends. The console
script of the tool runs in this process.
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
    """Load libraries, wait for arguments, and run the tool."""
    script, *libraries = sys.argv[1:]
    gc.set_threshold(100_000)  # imports create many objects and no garbage
    for name in libraries:
        with suppress(ImportError):  # the tool reports it better
            importlib.import_module(name)
    line = sys.stdin.readline()
    if line:
        sys.argv = [script, *json.loads(line)]
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
