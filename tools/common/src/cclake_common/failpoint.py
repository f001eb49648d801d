"""Let a test kill the process at a named point."""

import os


def failpoint(name: str) -> None:
    """Exit at once, as after kill -9, if `CCLAKE_FAULT` names this point."""
    if os.environ.get("CCLAKE_FAULT") == name:
        os._exit(137)
