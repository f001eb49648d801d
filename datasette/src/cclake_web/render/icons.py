"""Draw icons, so that no font needs the glyphs."""

from functools import cache, lru_cache
from importlib import resources

from markupsafe import Markup


@cache
def _paths() -> dict[str, str]:
    text = resources.files(__package__).joinpath("icons.txt").read_text("utf-8")
    pairs = (line.partition(" ") for line in text.splitlines())
    return {name: path for name, _, path in pairs}


@lru_cache(maxsize=64)
def icon(name: str) -> Markup:
    """Return an icon by name, in the colour and size of the text around it."""
    path = _paths().get(name) or _paths()["tool"]
    return Markup(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">'
        f"{path}</svg>"
    )
