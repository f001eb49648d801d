"""Talk to the supervisord of this data directory, or start one."""

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cclake_common import settings
from cclake_common.failure import TRY_LATER, Failure
from cclake_common.stop import die_with_parent
from supervisor.xmlrpc import SupervisorTransport

# The address of a unix socket holds 108 bytes on Linux, 104 on macOS.
SOCKET_PATH_LIMIT = 100
ALREADY_STARTED = 60
SHUTDOWN_STATE = 6
AGAIN_SECONDS = 15.0
STOP_SECONDS = 180.0


@dataclass(frozen=True)
class Process:
    """One supervised process as supervisord sees it."""

    name: str
    state: str
    description: str
    pid: int


def repository() -> Path:
    """The checkout: the folder that holds `supervisord.conf`.

    Raises:
        Failure: The tools do not run from a checkout.
    """
    for folder in Path(__file__).resolve().parents:
        if (folder / "supervisord.conf").is_file():
            return folder
    raise Failure("supervisord.conf not found", "Run from a checkout of cclake.")


def socket_path() -> Path:
    """Where the supervisord of this data directory listens."""
    path = settings.home() / "supervisor.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"cclake-{os.getuid()}-{digest}.sock"


def _end_with_parent() -> None:
    die_with_parent(signal.SIGTERM)


class Supervisor:
    """The supervisord of the data directory `CCLAKE_HOME`.

    Args:
        foreground: One that is started is a child of this process, and stops all in
            order when this process dies.
    """

    def __init__(self, foreground: bool = False) -> None:
        self._foreground = foreground
        self._child: subprocess.Popen[bytes] | None = None
        transport = SupervisorTransport(serverurl=f"unix://{socket_path()}")
        self._rpc: Any = xmlrpc.client.ServerProxy("http://localhost", transport)

    def running(self) -> bool:
        """Whether it listens; also while it shuts down."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(socket_path()))
        except OSError:
            return False
        return True

    def start_daemon(self) -> None:
        """Start supervisord and wait until it answers.

        Raises:
            Failure: It does not come up.
        """
        home = settings.home()
        (home / "logs").mkdir(parents=True, exist_ok=True)
        root = repository()
        environment = os.environ | {
            "CCLAKE_HOME": str(home),
            "CCLAKE_SOCKET": str(socket_path()),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        }
        command = [sys.executable, "-m", "supervisor.supervisord"]
        command += ["-c", str(root / "supervisord.conf")]
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                [*command, *(["--nodaemon", "--silent"] if self._foreground else [])],
                env=environment,
                cwd=root,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # Ctrl-C is for this process
                preexec_fn=_end_with_parent if self._foreground else None,
            )
            deadline = time.monotonic() + 15
            while not self.running():
                if child.poll() or time.monotonic() > deadline:
                    said.seek(0)
                    words = said.read().decode(errors="replace").strip()
                    raise Failure(
                        f"supervisord does not start: {words[-500:]}",
                        f"See {home / 'logs' / 'supervisord.log'}.",
                    )
                time.sleep(0.05)
        if self._foreground:
            self._child = child
        else:
            child.wait()  # it has left a daemon behind

    def ended(self, seconds: float) -> bool:
        """Whether a supervisord that is a child of this process ends in this time."""
        try:
            return self._child is None or self._child.wait(seconds) is not None
        except subprocess.TimeoutExpired:
            return False

    def last(self) -> None:
        """Wait for the end of a supervisord that is a child of this process.

        Raises:
            Failure: It was killed, or has failed.
        """
        if self._child and (code := self._child.wait()):
            raise Failure(
                f"supervisord has died ({code})", "`just up` starts it again."
            )

    def processes(self) -> list[Process]:
        """All processes in the order of their priority.

        Raises:
            Failure: It is stopping.
        """
        try:
            found = self._rpc.supervisor.getAllProcessInfo()
        except (xmlrpc.client.Error, OSError, http.client.HTTPException) as error:
            raise _stopping(error) from None
        return [
            Process(info["name"], info["statename"], info["description"], info["pid"])
            for info in found
        ]

    def start(self, name: str) -> None:
        """Start a process and wait until it has stayed up for its first seconds.

        Raises:
            Failure: It ends at once; the last lines of its log are in the message.
        """
        try:
            self._rpc.supervisor.startProcess(name, True)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == ALREADY_STARTED or self._comes_up_again(name):
                return
            raise Failure(
                f"{name} does not stay up: {self.last_words(name)}",
                f"Its log: just logs {name}",
            ) from None

    def _comes_up_again(self, name: str) -> bool:
        """Whether a process that asked to be started again, by its code, now runs."""
        deadline = time.monotonic() + AGAIN_SECONDS
        while time.monotonic() < deadline:
            info = self._rpc.supervisor.getProcessInfo(name)
            if info["statename"] == "RUNNING":
                return True
            if info["statename"] == "BACKOFF" and info["exitstatus"] != TRY_LATER:
                return False
            time.sleep(0.2)
        return False

    def stop(self, name: str) -> None:
        """Stop a process and wait for it."""
        self._rpc.supervisor.stopProcess(name, True)

    def last_words(self, name: str) -> str:
        """The last lines of the log of a process, on one line."""
        log = settings.home() / "logs" / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return " | ".join(line.strip() for line in lines[-3:]) or "it said nothing"

    def shutdown(self) -> None:
        """Stop all processes in reverse order, then supervisord, and wait.

        Raises:
            Failure: It still runs after three minutes.
        """
        try:
            self._rpc.supervisor.shutdown()
        except (xmlrpc.client.Error, OSError, http.client.HTTPException) as error:
            _stopping(error)  # somebody else has asked it to; wait for that
        deadline = time.monotonic() + STOP_SECONDS
        while self.running():
            if time.monotonic() > deadline:
                raise Failure("the stack did not stop in time", "See: just logs")
            time.sleep(0.1)


def _stopping(error: Exception) -> Failure:
    """What to say where supervisord is about to end.

    Raises:
        Fault: It says another thing.
    """
    if isinstance(error, xmlrpc.client.Fault) and error.faultCode != SHUTDOWN_STATE:
        raise error
    return Failure(
        "cclake is stopping just now", "Wait for its end, then try again.", TRY_LATER
    )
