"""rsyslog and syslog-ng with their MongoDB outputs, where their packages are at hand.

They conflict as Debian packages, so they are run from a folder into which both were
unpacked (`dpkg-deb -x`). Their limits on the length of a line are raised; with their
defaults they cut lines.
"""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from harness import Mongod, connect
from ingest_meter import Meter
from pymongo.collection import Collection

STALL_S, LIMIT_S = 10.0, 110.0

RSYSLOG = """
global(workDirectory="{state}" maxMessageSize="8m")
module(load="imfile" mode="inotify")
module(load="mmjsonparse")
module(load="ommongodb")
template(name="line" type="subtree" subtree="$!")
input(type="imfile" File="{root}/*/*.jsonl" Tag="log" ruleset="ship")
ruleset(name="ship") {{
  action(type="mmjsonparse" cookie="")
  action(type="ommongodb" uristr="{uri}" db="{database}" collection="lines"
         template="line")
}}
"""
SYSLOG_NG = """
@version: 3.38
options {{ log-msg-size(8388608); stats-freq(0); keep-hostname(yes); }};
source s {{
  wildcard-file(base-dir("{root}") filename-pattern("*.jsonl") recursive(yes)
    flags(no-parse) max-files(1000) log-iw-size(100000) follow-freq(1));
}};
parser p {{ json-parser(prefix("doc.")); }};
destination d {{
  mongodb(uri("{uri}/{database}") collection("lines")
    value-pairs(key("doc.*")));
}};
log {{ source(s); parser(p); destination(d); flags(flow-control); }};
"""


class Peer:
    """One of them: how it is configured and started."""

    def __init__(self, name: str, packages: Path) -> None:
        self.name, self.packages = name, packages
        self.config = {"rsyslog": RSYSLOG, "syslog-ng": SYSLOG_NG}[name]

    def command(self, config: Path, state: Path) -> list[str]:
        """The command line, in the foreground, with all its files in a folder."""
        usr = self.packages / "usr"
        if self.name == "rsyslog":
            modules = usr / "lib/x86_64-linux-gnu/rsyslog"
            return [
                *(f"{usr}/sbin/rsyslogd", "-n", "-f", str(config)),
                *("-i", f"{state}/pid", "-M", str(modules)),
            ]
        modules = usr / "lib/syslog-ng/3.38"
        return [
            *(f"{usr}/sbin/syslog-ng", "-F", "-f", str(config), "--no-caps"),
            *("-R", f"{state}/persist", "-c", f"{state}/control", "-p", f"{state}/pid"),
            f"--module-path={modules}",
        ]

    def backlog(
        self, mongod: Mongod, database: str, root: Path, state: Path, lines: int
    ) -> tuple[Meter, int]:
        """Ship a history; gives the cost and the number of documents that arrived."""
        state.mkdir(parents=True)
        config = state / "peer.conf"
        names = {"root": root, "state": state, "uri": mongod.uri, "database": database}
        config.write_text(self.config.format(**names))
        libraries = (
            "usr/lib/x86_64-linux-gnu",
            "lib/x86_64-linux-gnu",
            "usr/lib/syslog-ng",
        )
        paths = ":".join(str(self.packages / one) for one in libraries)
        assert mongod.process
        with (state / "log").open("wb") as log:
            process = subprocess.Popen(
                self.command(config, state),
                env=os.environ | {"LD_LIBRARY_PATH": paths},
                stdout=log,
                stderr=log,
            )
        try:
            with Meter(
                {"mongod": mongod.process.pid}, {self.name: process.pid}
            ) as meter:
                stalled = _wait(mongod, database, lines)
            meter.wall -= stalled
            return meter, _count(mongod, database)
        finally:
            process.terminate()
            process.wait(60)


def _wait(mongod: Mongod, database: str, lines: int) -> float:
    """Until all lines are there, or nothing has come for long; gives that time."""
    with connect(mongod.uri) as client:
        return _wait_with(client[database].lines, lines)


def _wait_with(collection: Collection[dict[str, Any]], lines: int) -> float:
    begin = moved = time.monotonic()
    seen = 0
    while time.monotonic() < begin + LIMIT_S:
        now = collection.estimated_document_count()
        if now >= lines:
            return 0.0
        if now > seen:
            seen, moved = now, time.monotonic()
        if time.monotonic() - moved > STALL_S:
            break
        time.sleep(0.02)
    return time.monotonic() - moved


def _count(mongod: Mongod, database: str) -> int:
    with connect(mongod.uri) as client:
        return int(client[database].lines.estimated_document_count())
