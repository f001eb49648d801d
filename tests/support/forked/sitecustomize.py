"""Let the server of `forkserver.py` do the work of this process, if it is a tool.

Python imports this module at its start, where PYTHONPATH names this folder.
"""

import os
import sys

TOOLS = {
    "backup", "buffer", "datasette", "dbt", "extract", "flusher", "load", "metabase", "pipeline", "publish",
    "recall", "report", "restore", "stack", "tailer", "verify",
}  # fmt: skip
SUPPORT = {"dbt_steps.py", "rest_catalog.py"}
SIGNALS = (1, 2, 10, 12, 15, 28)


def is_tool(arguments: list[str]) -> bool:
    """Return whether a command line is that of a tool of this environment."""
    if len(arguments) > 1 and arguments[0] == "-m":
        return arguments[1].startswith("cclake_pipeline.")
    folder, _, name = arguments[0].rpartition("/") if arguments else ("", "", "")
    if name in SUPPORT:
        return True
    if name not in TOOLS:
        return False
    ours = os.path.dirname(sys.executable)  # noqa: PTH120, starts quicker
    return os.path.realpath(folder) == os.path.realpath(ours)


def hand_over(folder: str, arguments: list[str]) -> None:
    """Let the server do the work, and end as it ends; return if there is no server."""
    import array
    import json
    import signal
    import socket

    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(f"{folder}/socket")
    except OSError:
        return
    files = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208, starts quicker
        try:
            if os.get_inheritable(int(name)):
                files.append(int(name))
        except OSError:  # that of the listing
            continue
    umask = os.umask(0)
    names = ("encoding", "errors", "line_buffering", "write_through")
    streams = {
        name: stream and {each: getattr(stream, each) for each in names}
        for name, stream in (
            ("stdin", sys.stdin), ("stdout", sys.stdout), ("stderr", sys.stderr),
        )
    }  # fmt: skip
    request = {
        "arguments": arguments,
        "cwd": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
        "files": files,
        "streams": streams,
        "umask": umask,
    }
    text = json.dumps(request).encode()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: connection.send(bytes([number])))
    connection.sendmsg([len(text).to_bytes(8)], [rights])
    connection.sendall(text)
    for number in files:
        os.close(number)
    if not (answer := connection.recv(4)):
        os.write(2, b"the server of forks has ended\n")
        os._exit(70)
    status = int.from_bytes(answer)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


if (folder := os.environ.get("TEST_FORKS")) and is_tool(sys.orig_argv[1:]):
    hand_over(folder, sys.orig_argv[1:])
