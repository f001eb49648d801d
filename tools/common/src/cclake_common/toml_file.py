"""Read a file of settings that a person writes, and name the line of a mistake."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from cclake_common.failure import Failure

T = TypeVar("T")


class Mistake(ValueError):
    """An error in a file, as one sentence.

    Args:
        what: What is wrong.
        key: The key that it is about; "" for a whole table.
        table: The name of its list of tables; "" for a key above them.
        number: Which table of the list, from 1.
    """

    def __init__(
        self, what: str, key: str = "", table: str = "", number: int = 1
    ) -> None:
        super().__init__(what)
        self.key, self.table, self.number = key, table, number


def read(path: Path, parse: Callable[[dict[str, Any]], T], hint: str) -> T:
    """Read a TOML file, and return its content as parsed by a function.

    Args:
        path: The file.
        parse: Called with its content; raises `Mistake`.
        hint: Where the format is described.

    Raises:
        Failure: The file does not exist, cannot be read, or is wrong.
    """
    import tomllib  # most commands do not need it

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Failure(f"{path} does not exist", hint, code=2) from None
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", code=2) from error
    except ValueError as error:
        raise Failure(f"{path} is not UTF-8", hint, code=2) from error
    try:
        return parse(tomllib.loads(text))
    except Mistake as mistake:
        line = _line(text, mistake)
        at = f"{path}, line {line}" if line else f"{path}"
        raise Failure(f"{at}: {mistake}", hint, code=2) from None
    except (ValueError, RecursionError) as error:  # has the line
        raise Failure(f"{path} is not TOML: {error}", hint, code=2) from None


def tables(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the tables `[[name]]` of a file.

    Raises:
        Mistake: It is not a list of tables.
    """
    some = found.get(name, [])
    if not isinstance(some, list) or not all(isinstance(one, dict) for one in some):
        raise Mistake(f"{name} is not a list of tables: [[{name}]]", name)
    return some


def refuse_others(
    found: dict[str, Any], known: Iterable[str], table: str = "", number: int = 1
) -> None:
    """Refuse unknown keys.

    Raises:
        Mistake: There is one.
    """
    for key in found:
        if key not in known:
            raise Mistake(f"unknown key {key!a}", key, table, number)


def is_line(value: object) -> bool:
    """Return whether a value is a text of one line that is not blank."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _line(text: str, mistake: Mistake) -> int:
    """Return the number of the line of a mistake; 0 if it is not found."""
    name = re.escape(mistake.table)
    head = re.compile(rf"\s*\[\[\s*[\"']?{name}[\"']?\s*\]\]")
    key = re.compile(rf"\s*\[*\s*[\"']?{re.escape(mistake.key)}[\"']?\s*[\].=]")
    passed, begin = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        if mistake.table and head.match(line):
            passed += 1
            begin = number if passed == mistake.number else begin
        if passed > mistake.number:
            break
        if (passed == mistake.number or not mistake.table) and key.match(line):
            return number if mistake.key else begin
    return begin
