"""Find the fixtures, and the generator of the parity fixture."""

import subprocess
import sys
from pathlib import Path

from gold import REPOSITORY
from harness import PATIENCE

FIXTURES = REPOSITORY / "tests" / "fixtures"


def generate(root: Path, sessions: int, turns: int) -> None:
    """Write the synthetic history of the parity fixture."""
    script = FIXTURES / "parity" / "generate.py"
    command = [sys.executable, str(script), str(root), str(sessions), str(turns)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
