"""Gold of a chain on the other engine, in the environment of that engine."""

import subprocess

from chain import Chain
from gold import REPOSITORY
from harness import BIN, PATIENCE

PYTHON = REPOSITORY / ".spark" / "bin" / "python"


def spark(chain: Chain, command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Build gold of a chain's bronze on Spark; or `compare` it with that in DuckDB."""
    return subprocess.run(
        [REPOSITORY / "spark" / "run", command],
        env=chain.env | {"CCLAKE_BIN": str(BIN)} | env,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
