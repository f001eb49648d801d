"""Read the rules of the accounts for the pages."""

import sys
from functools import lru_cache
from pathlib import Path

from cclake_common import accounts
from cclake_common.accounts import NO_RULES, Accounts
from cclake_common.failure import Failure


def rules_of(path: Path) -> Accounts:
    """Return the rules; none if there is no file, or a wrong one, which is logged."""
    try:
        status = path.stat()
    except OSError:
        return NO_RULES
    return _read(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=1)
def _read(path: Path, _state: tuple[int, int, int]) -> Accounts:
    try:
        return accounts.load(path)
    except Failure as failure:
        print(f"web: {failure}", file=sys.stderr)
        return NO_RULES
