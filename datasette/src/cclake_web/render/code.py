"""Render source code with Pygments classes, and cut long texts."""

from functools import lru_cache

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound

from cclake_web.render.safe import plain, visible

_COMMON = (
    "py", "ts", "tsx", "js", "json", "md", "sh", "html", "css", "yml", "toml", "rs",
    "go", "java", "sql", "txt",
)  # fmt: skip
LONGEST = 20_000  # maximum characters of coloured code
LONGEST_FENCE = 4_000  # the same if the text names the language
_FORMAT = HtmlFormatter(nowrap=True)


@lru_cache(maxsize=256)
def lexer_named(name: str) -> Lexer | None:
    """Return the lexer of a language's name, or None."""
    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def lexer_for(filename: str) -> Lexer | None:
    """Return the lexer for a file's name, or None."""
    _, dot, ending = filename.rpartition(".")
    return _lexer_of(f"x.{ending.lower()}" if dot and ending else filename)


@lru_cache(maxsize=512)
def _lexer_of(filename: str) -> Lexer | None:
    try:
        return get_lexer_for_filename(filename, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=2048)
def _coloured(code: str, lexer: Lexer) -> str:
    return str(highlight(code, lexer, _FORMAT))


def colour(code: str, lexer: Lexer | None) -> Markup:
    """Return code as HTML, coloured if a lexer is known and it is not too long."""
    if lexer is None or len(code) > LONGEST:
        return plain(code)
    return Markup(_coloured(visible(code), lexer))


def warm() -> None:
    """Load lexers, so that the first page does not wait for them."""
    for name in _COMMON:
        colour("x = 1", lexer_for(f"x.{name}"))
    for name in ("python", "bash", "json", "typescript"):
        colour("x = 1", lexer_named(name))


def clip(text: str, lines: int = 60, chars: int = 8000) -> tuple[str, int]:
    """Return the first lines of a text, and the number of characters left out."""
    end = min(len(text), chars)
    at = -1
    for _ in range(lines):
        at = text.find("\n", at + 1, end)
        if at < 0:
            break
    else:
        end = at
    if end == chars < len(text):  # better at the end of a line
        end = max(text.rfind("\n", chars // 2, chars), 0) or chars
    return text[:end], len(text) - end
