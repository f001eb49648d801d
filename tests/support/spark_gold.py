"""Gold of a chain on the other engine, in the environment of that engine."""

import subprocess

from chain import Chain
from gold import REPOSITORY
from harness import BIN, PATIENCE

PYTHON = REPOSITORY / ".spark" / "bin" / "python"


def compare(chain: Chain) -> "subprocess.CompletedProcess[str]":
    """Build gold of a chain's bronze on Spark, and compare it with that in DuckDB."""
    return subprocess.run(
        [REPOSITORY / "spark" / "run", "compare"],
        env=chain.env | {"CCLAKE_EXTRACT": str(BIN / "extract")},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
