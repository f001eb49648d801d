"""Process conventions shared by the tools: exits, signals, settings."""

import sys
from types import TracebackType


def _quiet(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


# Ctrl-C while a tool still imports its libraries is not a bug either.
sys.excepthook = _quiet
