"""A short soak: everything is killed at random, 0 lost, 0 duplicated."""

import subprocess
import sys
from pathlib import Path

import pytest
from harness import PATIENCE

SOAK = Path(__file__).parents[1] / "support" / "soak.py"


@pytest.mark.fault
@pytest.mark.slow
def test_a_soak_of_six_kills_loses_and_repeats_nothing() -> None:
    done = subprocess.run(
        [sys.executable, SOAK, "--seconds", "0", "--kills", "6", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 lost, 0 unexpected, 0 damaged" in done.stdout
