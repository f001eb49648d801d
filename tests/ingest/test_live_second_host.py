"""Archive another machine over ssh; a real sshd on loopback stands in for it."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import BIN, Mongod, free_port, wait_for
from ledger import Ledger
from live import Live

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")

pytestmark = pytest.mark.skipif(
    not (SSHD and shutil.which("ssh")), reason="no ssh server is installed"
)


class Laptop:
    """A second host with its own name and logs, reached by ssh with a test key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "laptop" / "projects"
        self.logs.mkdir(parents=True)
        self.port = free_port()
        self.key = folder / "key"
        for name in ("key", "host_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name],
                check=True,
            )
        (folder / "authorized").write_bytes((folder / "key.pub").read_bytes())
        # sshd asks for its privilege separation folder when root starts it.
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.server = subprocess.Popen(
            [
                str(SSHD), "-D", "-e", "-f", "/dev/null",
                *("-p", str(self.port), "-h", str(folder / "host_key")),
                *("-o", "ListenAddress=127.0.0.1", "-o", "StrictModes=no"),
                *("-o", f"AuthorizedKeysFile={folder / 'authorized'}"),
                *("-o", f"PidFile={folder / 'sshd.pid'}"),
            ],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ssh(self, command: str) -> str:
        """Return the shell words that run a command on that host."""
        words = [
            "ssh", "-q", "-F", "/dev/null", "-p", str(self.port), "-i", str(self.key),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "BatchMode=yes", "127.0.0.1", command),
        ]  # fmt: skip
        return shlex.join(words)

    def answers(self) -> bool:
        command = self.ssh("true")
        return subprocess.run(command, shell=True, check=False).returncode == 0

    def tailer(self) -> str:
        """The README's tailer, with the name and the folder of this host."""
        there = f"env CCLAKE_HOST=laptop CLAUDE_DIR={shlex.quote(str(self.logs))}"
        return self.ssh(f"{there} {BIN}/tailer --follow --resume -")


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    made = Laptop(tmp_path)
    try:
        wait_for(made.answers, "sshd answers")
        yield made
    finally:
        made.server.kill()
        made.server.wait()


def test_another_machine_is_archived_over_ssh_beside_this_one(
    laptop: Laptop, tmp_path: Path, mongod: Mongod, mongo_db: str
) -> None:
    far = Ledger(laptop.logs, host="laptop")
    far.append(
        "-home-me-far/a.jsonl", *(b'{"type":"mode","n":%d}' % n for n in range(50))
    )
    with Live(tmp_path / "here", mongod.uri, MONGO_DB=mongo_db) as live:
        live.ledger.append("-home-me-near/b.jsonl", b'{"type":"mode","mode":"here"}')
        live.start()
        append = (
            f"exec buffer append < <(exec {laptop.tailer()}"
            " < <(buffer checkpoints --host laptop))"
        )
        for round_ in range(2):
            shipping = live.launch(["bash", "-c", append])
            try:
                wait_for(lambda: not far.missing(live.database), "the laptop's lines")
                far.append("-home-me-far/a.jsonl", b'{"round":%d}' % round_)
                wait_for(lambda: not far.missing(live.database), "a fresh line")
            finally:
                shipping.kill()
                shipping.wait()
        wait_for(lambda: not live.ledger.missing(live.database), "lines of here")
        hosts = live.database["conversations"].distinct("host")
        assert sorted(hosts) == ["laptop", "testhost"]
        far.expected |= live.ledger.expected
        far.assert_exact(live.database, live.buffer)
