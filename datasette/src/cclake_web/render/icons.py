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
    """Return an icon by name, in the colour and size of the text around it.

    The page needs `icon_sheet`, which has the drawing once for all places.
    """
    known = name if name in _paths() else "tool"
    return Markup(
        f'<svg class="icon" aria-hidden="true"><use href="#i-{known}"/></svg>'
    )


@cache
def icon_sheet() -> Markup:
    """Return the drawings of all icons, which show nothing by themselves."""
    drawn = "".join(
        f'<symbol id="i-{name}" viewBox="0 0 16 16">{path}</symbol>'
        for name, path in _paths().items()
    )
    return Markup(f'<svg class="icon-sheet" aria-hidden="true">{drawn}</svg>')
