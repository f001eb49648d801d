"""The value of every setting of the stack, and where it comes from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cclake_common import settings
from cclake_common.failure import Failure

from cclake_stack.known import SETTINGS, Setting


@dataclass(frozen=True)
class Value:
    """The value of a setting now, safe to print, and its origin."""

    name: str
    value: str
    origin: str
    meaning: str


ROLES = {
    "all": ("flusher", "ingest", "web", "pipeline"),
    "ship": ("flusher", "ingest"),
    "serve": ("web", "pipeline"),
}
"""The processes of a role, in the order of their start."""


def values(dotenv: Path, environ: Mapping[str, str] = os.environ) -> list[Value]:
    """All settings with their present values; passwords are masked.

    Args:
        dotenv: The `.env` file that just has loaded; it may be missing.
        environ: The environment.
    """
    in_dotenv = _given(dotenv)
    return [
        _value(setting, environ, in_dotenv)
        for setting in (*SETTINGS, *_others(environ))
    ]


def role() -> str:
    """What this machine does: `CCLAKE_ROLE`, or `all`.

    Raises:
        Failure: It is none of the roles, or it is one of a team without its MongoDB.
    """
    found = environ_or("CCLAKE_ROLE", "all")
    if found not in ROLES:
        raise Failure(f"CCLAKE_ROLE is {found!r}", f"Set it to {', '.join(ROLES)}.")
    if found != "all" and not environ_or("MONGO_URI", ""):
        raise Failure(
            f"the role {found} needs the MongoDB of your team",
            "Set MONGO_URI to it.",
        )
    return found


def port(name: str, default: int) -> int:
    """The port in an environment variable.

    Raises:
        Failure: It is no port.
    """
    given = os.environ.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or int(given) > 65535:
        raise Failure(f"{name} is {given!r}", "Set it to a port: 1 to 65535.")
    return int(given)


def _others(environ: Mapping[str, str]) -> list[Setting]:
    """What is set beyond the settings: options of single tools, and slips."""
    known = {setting.name for setting in SETTINGS}
    return [
        Setting(name, "", "not one of the stack: an option of a tool, if any")
        for name in sorted(environ)
        if name.startswith("CCLAKE_") and name not in known
    ]


def _value(
    setting: Setting, environ: Mapping[str, str], in_dotenv: Mapping[str, str]
) -> Value:
    given = environ.get(setting.name)
    if given:
        # What the environment has wins over the file.
        written = in_dotenv.get(setting.name, "")
        same = written.strip("\"'") == given or any(s in written for s in "$\\#")
        origin = ".env" if written and same else "environment"
        value = given
    else:
        origin = "default"
        value = setting.default.format(home=settings.home())
        if setting.name == "CCLAKE_HOST":
            value = settings.host()
        elif setting.name == "MONGO_URI":
            value = settings.mongo_uri()
    shown = "***" if given and setting.is_secret else settings.mask(value)
    return Value(setting.name, shown, origin, setting.meaning)


def _given(dotenv: Path) -> dict[str, str]:
    """What stands in the file behind each name, with its quotes and comments."""
    if not dotenv.is_file():
        return {}
    lines = dotenv.read_text(encoding="utf-8").splitlines()
    pairs = [
        line.strip().removeprefix("export ").partition("=")
        for line in lines
        if "=" in line and not line.lstrip().startswith("#")
    ]
    return {name.strip(): value.strip() for name, _, value in pairs}


def environ_or(name: str, default: str) -> str:
    """The value of an environment variable, or a default when unset or empty."""
    return os.environ.get(name) or default
