"""Points where a test can make the process die as by kill -9."""

import os


def point(name: str) -> None:
    """Die at once when `CCLAKE_FAULT` names this point."""
    if os.environ.get("CCLAKE_FAULT") == name:
        os._exit(137)
