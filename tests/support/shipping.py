"""Log files into MongoDB, by the real tools."""

import os
import sqlite3
import subprocess
from pathlib import Path

from harness import BIN, PATIENCE, free_port, wait_for


def ship(folder: Path) -> None:
    """Bring every file of a folder into MongoDB with the real tools."""
    tailer = subprocess.run(
        [BIN / "tailer", "--once"],
        env=os.environ | {"CLAUDE_DIR": str(folder)},
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    append = [str(BIN / "buffer"), "append"]
    subprocess.run(append, input=tailer.stdout, timeout=PATIENCE, check=True)
    ready = os.environ | {"HEALTH_PORT": str(free_port())}
    flusher = subprocess.Popen([BIN / "flusher", "run"], env=ready)
    try:
        wait_for(lambda: not queued(), "everything is delivered")
        flusher.terminate()
        assert flusher.wait(PATIENCE) == 0
    finally:
        flusher.kill()
        flusher.wait(PATIENCE)


def queued() -> int:
    with sqlite3.connect(os.environ["CCLAKE_HOME"] + "/buffer.db") as buffer:
        found: int = buffer.execute("select count(*) from queue").fetchone()[0]
    buffer.close()
    return found
