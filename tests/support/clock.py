"""A clock that can jump, for processes that are started with libfaketime."""

from pathlib import Path

_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")


def faketime() -> Path | None:
    """Return the path of libfaketime; None if it is not installed."""
    for folder in map(Path, _PLACES):
        for found in sorted(folder.glob("**/libfaketimeMT.so.1")):
            return found
    return None


class Clock:
    """A wall clock that can be set at any time; the monotonic one goes on, as it does.

    Attributes:
        environ: Variables for the processes that live by it.
    """

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "clock"
        self.jump(0)
        self.environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, seconds: int) -> None:
        """Set it so many seconds off the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)
