"""Start and control the supervisord of this data directory."""

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

NOT_RUNNING = 70
SHUTDOWN_STATE = 6
MAX_RESTARTS = 6
# supervisord kills processes that do not stop; this is longer than all its waits.
STOP_SECONDS = 330.0


class Unreachable(Failure):
    """supervisord has ended, or does not answer."""


@dataclass(frozen=True)
class Process:
    """One supervised process as supervisord sees it."""

    name: str
    state: str
    description: str
    pid: int


def socket_path() -> Path:
    """Return the socket of the supervisord of this data directory."""
    return settings.socket_path("supervisor.sock")


def _end_with_parent() -> None:
    die_with_parent(signal.SIGTERM)


class Supervisor:
    """The supervisord of the data directory `CCLAKE_HOME`.

    Args:
        foreground: Start supervisord as a child of this process, which stops everything
            in order when this process dies.
    """

    def __init__(self, foreground: bool = False) -> None:
        self._foreground = foreground
        self._child: subprocess.Popen[bytes] | None = None
        self._transport = SupervisorTransport(serverurl=f"unix://{socket_path()}")
        self._rpc: Any = xmlrpc.client.ServerProxy("http://localhost", self._transport)

    def running(self) -> bool:
        """Return whether it listens; it also does so while it shuts down."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(socket_path()))
        except OSError:
            return False
        return True

    def start_daemon(self) -> None:
        """Start supervisord and wait until it answers.

        Raises:
            Failure: It does not start.
        """
        home = settings.home()
        (home / "logs").mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "CCLAKE_HOME": str(home),
            "CCLAKE_SOCKET": str(socket_path()),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        }
        command = [sys.executable, "-m", "supervisor.supervisord"]
        command += ["-c", str(Path(__file__).with_name("supervisord.conf"))]
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                [*command, *(["--nodaemon", "--silent"] if self._foreground else [])],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # Ctrl-C must reach only this process
                preexec_fn=_end_with_parent if self._foreground else None,
            )
            # supervisord listens before it becomes a daemon.
            while not self.running():
                if child.poll() is not None and not self.running():
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
            child.wait()  # the daemon keeps running

    def ended(self, seconds: float) -> bool:
        """Return whether a supervisord that is our child ends within a time."""
        try:
            return self._child is None or self._child.wait(seconds) is not None
        except subprocess.TimeoutExpired:
            return False

    def wait_for_end(self) -> None:
        """Wait for the end of a supervisord that is a child of this process.

        Raises:
            Failure: It was killed, or it failed.
        """
        if self._child and (code := self._child.wait()):
            raise Failure(
                f"supervisord has died ({code})", "Run `just up` to start it again."
            )

    def processes(self) -> list[Process]:
        """Return all processes in the order of their priority.

        Raises:
            Failure: supervisord is stopping.
        """
        try:
            found = self._ask("getAllProcessInfo")
        except xmlrpc.client.Fault as fault:
            raise _stopping(fault) from None
        return [
            Process(info["name"], info["statename"], info["description"], info["pid"])
            for info in found
        ]

    def start(self, *names: str) -> None:
        """Start processes together, and wait until each has run for some seconds.

        Raises:
            Failure: One has ended; the last lines of its log are in the message.
        """
        try:
            for name in names:
                self._request_start(name)
            failed = [name for name in names if not self._comes_up(name)]
        except xmlrpc.client.Fault as fault:
            raise _stopping(fault) from None
        if failed:
            raise Failure(
                f"{failed[0]} does not stay up: {self.log_tail(failed[0])}",
                f"Its log: just logs {failed[0]}",
            )

    def _request_start(self, name: str) -> None:
        """Request the start of a process without waiting; see `_comes_up`."""
        try:
            self._ask("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == SHUTDOWN_STATE:
                raise

    def _comes_up(self, name: str) -> bool:
        """Return whether a process runs; wait while it is restarted on its request."""
        starts = set[int]()
        while len(starts) < MAX_RESTARTS:
            info = self._ask("getProcessInfo", name)
            starts.add(info["start"])
            if info["statename"] == "RUNNING":
                return True
            if info["statename"] == "BACKOFF" and info["exitstatus"] != TRY_LATER:
                return False
            if info["statename"] in ("FATAL", "STOPPED", "STOPPING"):
                return False
            time.sleep(0.2)
        return False

    def stop(self, name: str) -> None:
        """Stop a process and wait for it, unless it has ended already."""
        try:
            self._ask("stopProcess", name, True)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in (NOT_RUNNING, SHUTDOWN_STATE):
                raise

    def _ask(self, method: str, *arguments: object) -> Any:
        """Call a method of supervisord.

        Raises:
            Unreachable: It has ended, or its answer is not valid.
            Fault: It refuses the call.
        """
        try:
            return getattr(self._rpc.supervisor, method)(*arguments)
        except (
            OSError,
            http.client.HTTPException,
            xmlrpc.client.ProtocolError,
        ) as error:
            raise Unreachable(
                f"supervisord does not answer: {error or type(error).__name__}",
                "Run `just up` to start it again.",
            ) from None
        finally:
            self._transport.close()

    def log_tail(self, name: str) -> str:
        """Return the last lines of the log of a process, on one line."""
        log = settings.home() / "logs" / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return " | ".join(line.strip() for line in lines[-3:]) or "its log is empty"

    def shutdown(self) -> None:
        """Stop all processes in reverse order, then supervisord, and wait.

        Raises:
            Failure: It still runs after the time that all its processes may take.
        """
        try:
            self._ask("shutdown")
        except xmlrpc.client.Fault as fault:
            _stopping(fault)  # another process has asked for it; wait for that
        except Unreachable:
            pass  # it has just ended
        deadline = time.monotonic() + STOP_SECONDS
        while self.running():
            if time.monotonic() > deadline:
                raise Failure("the stack did not stop in time", "See `just logs`.")
            time.sleep(0.1)


def _stopping(fault: xmlrpc.client.Fault) -> Failure:
    """Return the failure for a supervisord that is shutting down.

    Raises:
        Fault: The fault has another cause.
    """
    if fault.faultCode != SHUTDOWN_STATE:
        raise fault
    return Failure(
        "cclake is stopping", "Wait until it has stopped, then try again.", TRY_LATER
    )
