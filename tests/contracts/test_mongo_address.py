"""Every tool that uses MongoDB reports an invalid address in one sentence."""

import os
import subprocess
from pathlib import Path

import pytest
from harness import BIN, PATIENCE

ADDRESSES = [
    "mongodb://me:se@cret@db.example:70000/",
    "mongodb://me:secret@127.0.0.1/?tls=true&tlsCAFile=/nope",
    "mongodb://[::1",
]
TOOLS = [
    "extract",
    "verify",
    "restore --out out",
    "backup save saved",
    "pipeline run",
    "flusher checkpoints",
]


@pytest.mark.parametrize("tool", TOOLS)
def test_an_invalid_address_is_one_sentence(tmp_path: Path, tool: str) -> None:
    for address in ADDRESSES:
        name, *arguments = tool.split()
        done = subprocess.run(
            [BIN / name, *arguments],
            cwd=tmp_path,
            env=os.environ | {"MONGO_URI": address, "CCLAKE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 1, (address, done.stderr)
        assert "cannot be used as MONGO_URI" in done.stderr
        assert len(done.stderr.splitlines()) == 2
        assert "cret" not in done.stderr
