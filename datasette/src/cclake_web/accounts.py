"""Read the rules of the accounts for the pages."""

import sys
from functools import lru_cache
from pathlib import Path

from cclake_common import accounts
from cclake_common.accounts import NO_RULES, Accounts
from cclake_common.failure import Failure


def rules_of(path: Path) -> tuple[Accounts, str]:
    """Return the rules, or no rules and what is wrong with the file."""
    try:
        status = path.stat()
    except OSError:
        return NO_RULES, ""
    return _read(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=1)
def _read(path: Path, _state: tuple[int, int, int]) -> tuple[Accounts, str]:
    try:
        return accounts.load(path), ""
    except Failure as failure:
        print(f"web: {failure}", file=sys.stderr)
        return NO_RULES, str(failure)
