"""Write the addresses of messages, lines and images in a thread."""

from functools import lru_cache
from urllib.parse import quote

from markupsafe import Markup

from cclake_web.data.blocks import Entry
from cclake_web.live.images import PREFIX, address
from cclake_web.render.icons import icon


def tools(entry: Entry, session_id: str) -> Markup:
    """Return both links of a message."""
    key = quote(entry.key, safe="")
    here = f"/session/{_part(session_id)}?at={key}#e-{key}"
    line = f"/raw/{quote(entry.doc_id, safe='')}" if entry.doc_id else ""
    raw = f'<a href="{line}" {_ABOUT_LINE}>{icon("braces")}</a>' if line else ""
    # Quoted parts and our own words need no escaping.
    return Markup(
        f'<span class="tools"><a class="perma" href="{here}" {_ABOUT_LINK}>'
        f"{icon('link')}</a>{raw}</span>"
    )


def image_address(key: str) -> str:
    """Return the address of an image, in the export or in its line."""
    return address(key) if key.startswith(PREFIX) else f"/image/{quote(key, safe='')}"


_ABOUT_LINK = 'title="Link to this message" aria-label="Link to this message"'
_ABOUT_LINE = 'title="The line in the log" aria-label="The line in the log"'


@lru_cache(maxsize=64)
def _part(text: str) -> str:
    return quote(text, safe="")
