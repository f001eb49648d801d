"""Start tools by a fork of one process that has loaded their libraries.

Most of the time of a small run of a tool is the import of its libraries: 1 s for
`extract`, 2 s for dbt. With the variables of `environment()`, Python processes that are to
become a tool or a stage of the pipeline (`forked/sitecustomize.py`) hand their
arguments, environment and open files to this server. A process that it forks does the
work; the one that was started passes on signals, and ends as that one did.

Tests that kill a tool, or measure it, start it without this: `fault` is their mark.
"""

import array
import atexit
import fcntl
import gc
import importlib
import io
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tiny_dbt import make_project

VARIABLE = "TEST_FORKS"
CLIENT = Path(__file__).with_name("forked")
LIBRARIES = (
    # The thread that duckdb starts only gives memory back; forks work without it.
    "dbt.cli.main", "dbt.adapters.duckdb", "duckdb", "pyarrow.parquet",
    "pyiceberg.catalog.sql", "pymongo", "typer", "cclake_common.cli",
    "datasette.cli", "uvicorn", "cclake_web.plugin", "cclake_archive.client", "cclake_lake.catalog", "cclake_flusher.flusher",
    *(f"cclake_{tool}.cli" for tool in
      ("backup", "buffer", "extract", "flusher", "load", "pipeline", "recall",
       "metabase", "report", "restore", "stack", "tailer")),
)  # fmt: skip
MAX_FILES = 200
ABOVE = 500  # where files of the server are out of the way of a tool's


def prepare() -> Path:
    """Name a folder for the server to this process and its children; return it."""
    folder = Path(tempfile.mkdtemp(prefix="forks-"))
    (folder / "pid").write_text(str(os.getpid()))
    os.environ[VARIABLE] = str(folder)
    return folder


def environment() -> dict[str, str]:
    """Return the variables with which tools are forked; start the server if need be.

    Outside of pytest there are none.
    """
    if VARIABLE not in os.environ:
        return {}
    folder = Path(os.environ[VARIABLE])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "socket").exists():
            _start(folder)
    return {VARIABLE: str(folder), "PYTHONPATH": str(CLIENT)}


def _start(folder: Path) -> None:
    """Start the server; it ends with the process that named its folder."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen(128)
        number = listener.fileno()
        last = (folder / "pid").read_text()
        subprocess.Popen(
            [sys.executable, __file__, str(number), last],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "DO_NOT_TRACK": "1"},
            pass_fds=[number],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        ).returncode = 0  # nobody waits for its end


def main() -> None:
    """Fork a process for each request, until the process of pytest has ended."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    ended = os.pidfd_open(int(sys.argv[2]))
    for name in LIBRARIES:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        _use_dbt(Path(folder))
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        ready = select.select([listener, ended], [], [])[0]
        if ended in ready:
            return
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            os.close(ended)
            if (request := _serve(connection)) is not None:
                _become(*request)
            return
        connection.close()


def _use_dbt(folder: Path) -> None:
    """Run dbt once: what it derives from its own classes takes it two seconds."""
    from cclake_pipeline.dbt_worker import Worker

    os.environ["DBT_TARGET_PATH"] = os.environ["DBT_LOG_PATH"] = str(folder / "dbt")
    os.environ["DBT_STATIC_PARSER"] = "false"  # starts threads, which a fork lacks
    os.environ["DUCKDB_PATH"] = str(folder / "tiny.duckdb")
    project = make_project(folder, "select 1 as doc_id")
    worker = Worker(project, io.StringIO())
    options = ["--project-dir", str(project), "--profiles-dir", str(project)]
    worker.run(["build", "--quiet", *options])


def _reap(_number: int, _frame: FrameType | None) -> None:
    """Clear away the processes that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            continue


def _serve(connection: socket.socket) -> tuple[dict[str, Any], dict[int, int]] | None:
    """Watch over the process that does the work; return the request in that one."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    files = array.array("i")
    size = socket.CMSG_SPACE(MAX_FILES * files.itemsize)
    length, control, *_ = connection.recvmsg(8, size)
    for _level, _kind, data in control:
        files.frombytes(data[: len(data) - len(data) % files.itemsize])
    with connection.makefile("rb") as reader:
        request = json.loads(reader.read(int.from_bytes(length)))
    if not (worker := os.fork()):
        connection.close()
        return request, dict(zip(request["files"], files, strict=True))
    for number in files:
        os.close(number)
    ended = os.pidfd_open(worker)
    while True:
        ready = select.select([connection, ended], [], [])[0]
        if ended in ready:
            break
        passed_on = connection.recv(1)
        os.kill(worker, passed_on[0] if passed_on else signal.SIGKILL)
        if not passed_on:
            break
    _, status = os.waitpid(worker, 0)
    with suppress(OSError):  # it was killed
        connection.sendall(status.to_bytes(4))
    os._exit(0)


def _become(request: dict[str, Any], files: dict[int, int]) -> None:
    """Run the tool with the files and the environment of the process that asked."""
    above = {
        wanted: fcntl.fcntl(given, fcntl.F_DUPFD_CLOEXEC, ABOVE)
        for wanted, given in files.items()
    }
    for number in range(ABOVE):
        if number not in files:
            try:
                os.close(number)
            except OSError:
                continue
    for wanted, moved in above.items():
        os.dup2(moved, wanted)
        os.close(moved)
    # That of the server is out of reach: its pipe has been closed.
    vars(resource_tracker._resource_tracker).update(_fd=None, _pid=None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    random.seed()
    for number, (name, made) in enumerate(request["streams"].items()):
        stream = None
        if made:
            size = 0 if number and made["write_through"] else -1
            raw = open(number, "wb" if number else "rb", size, closefd=False)  # noqa: SIM115
            stream = io.TextIOWrapper(raw, **made)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    code: object = 0
    try:
        _run(*request["arguments"])
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    _end(code)


def _run(program: str, *arguments: str) -> None:
    sys.argv = list(arguments)
    if program == "-m":
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv.insert(0, program)
        runpy.run_path(program, run_name="__main__")


def _end(code: object) -> NoReturn:
    """End as Python does, but without freeing all objects, which takes a second."""
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    main()
