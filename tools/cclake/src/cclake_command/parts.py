"""Find the tools that are installed beside this one."""

import sys
from importlib.metadata import entry_points
from pathlib import Path

STACK = {
    "up": "Start everything, archive all logs, build the lake, serve the pages",
    "down": "Stop everything",
    "status": "Show processes, the last pipeline run and what needs attention",
    "logs": "Show the end of the logs",
    "config": "Show every setting and where its value comes from",
    "web": "Serve the pages only",
    "dbt": "Run dbt on the gold project",
    "docs": "Serve the documentation of all tables",
    "validate": "Run the tests of gold, and reconcile the totals",
}
"""Commands of `stack` that need no name of a tool before them."""


def tools() -> dict[str, str]:
    """Return the installed tools of cclake by name, each with its description."""
    found = {
        script.name: script.dist.metadata["Summary"]
        for script in entry_points(group="console_scripts")
        if script.dist and script.dist.name.startswith("cclake-")
    }
    return dict(sorted(found.items()))


def path(tool: str) -> Path:
    """Return the path of the script of a tool."""
    return Path(sys.executable).with_name(tool)
