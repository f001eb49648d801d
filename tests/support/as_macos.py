"""Run tools without what only Linux has, as far as Linux can pretend to be macOS.

`sys.platform` says darwin, names that macOS lacks are missing from `os`, `fcntl` and
`select`, `/proc` can't be opened, and inotify ends the process.
"""

import ctypes
import fcntl
import importlib.metadata
import os
import select
import socket
import sys
import sysconfig
import urllib.request
from pathlib import Path

from harness import BIN

# What Python's documentation calls unavailable on macOS.
MISSING = {
    os: (
        "O_DIRECT", "O_PATH", "O_TMPFILE", "copy_file_range", "eventfd", "fdatasync",
        "getrandom", "memfd_create", "pidfd_open", "pipe2", "posix_fadvise",
        "posix_fallocate", "sched_getaffinity", "setresuid", "splice", "unshare",
    ),
    fcntl: ("F_GETPIPE_SZ", "F_SETPIPE_SZ"),
    select: ("epoll",),
    socket: ("SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK"),
}  # fmt: skip
FULL_SYNC = 51
NEVER = ("inotify_init1", "malloc_trim", "name_to_handle_at", "prctl")


def shims(folder: Path, *tools: str) -> Path:
    """Write a script of each tool's name that runs it so; return their folder."""
    folder.mkdir()
    for tool in tools:
        script = folder / tool
        script.write_text(
            f"#!{BIN / 'python'}\n"
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            f"import as_macos; as_macos.run({tool!r})\n"
        )
        script.chmod(0o755)
    return folder


def run(tool: str) -> None:
    """Run a tool in this process."""
    for module, names in MISSING.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    sysconfig.get_config_vars()  # of modules that are named after the platform
    setattr(fcntl, "F_FULLFSYNC", FULL_SYNC)  # noqa: B010
    sys.platform = "darwin"
    sys.addaudithook(_refuse)
    sys.argv[0] = str(BIN / tool)
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name=tool)
    entry.load()()


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and str(arguments[0]).startswith("/proc/"):
        raise FileNotFoundError(arguments[0])
    if event == "ctypes.dlsym" and arguments[1] in NEVER:
        os.write(2, f"as_macos: {arguments[1]} was called\n".encode())
        os._exit(99)


assert ctypes
assert urllib.request
