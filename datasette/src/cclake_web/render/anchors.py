"""Write the addresses of messages, lines and images in a thread."""

from functools import lru_cache
from urllib.parse import quote, urlencode

from cclake_archive.live.images import PREFIX
from cclake_common.kept import Kept
from markupsafe import Markup

from cclake_web.data.blocks import Entry
from cclake_web.render.icons import icon
from cclake_web.render.safe import plain


def tools(entry: Entry, session_id: str) -> Markup:
    """Return both links of a message."""
    key = quote(entry.key, safe="")
    here = f"/session/{_part(session_id)}?at={key}#e-{key}"
    line = f"/raw/{quote(entry.doc_id, safe='')}" if entry.doc_id else ""
    raw = f'<a href="{line}" {_ABOUT_LINE}>{icon("braces")}</a>' if line else ""
    keep = f"/keep?session={_part(session_id)}&amp;entry={key}"
    name = "keep starred" if entry.kept and entry.kept.starred else "keep"
    star = f'<a class="{name}" href="{keep}" {_ABOUT_KEEP}>'
    # Quoted parts and our own words need no escaping.
    return Markup(
        f'<span class="tools">{star}{icon("star")}</a>'
        f'<a class="perma" href="{here}" {_ABOUT_LINK}>'
        f"{icon('link')}</a>{raw}</span>"
    )


def kept_line(kept: Kept, linked: bool = True) -> Markup:
    """Return the star, the labels and the note of a session or a message.

    Args:
        kept: What is kept.
        linked: Whether a label leads to the sessions that have it.
    """
    parts = [icon("star")] if kept.starred else []
    for label in kept.labels:
        link = Markup('<a class="label" href="/?{}">{}</a>')
        text = Markup('<span class="label">{}</span>')
        words = plain(label)
        query = urlencode({"label": label})
        parts.append(link.format(query, words) if linked else text.format(words))
    if kept.note:
        note = Markup('<span class="note-of">{}</span>')
        parts.append(note.format(plain(kept.note)))
    return Markup('<p class="kept">{}</p>').format(Markup("").join(parts))


def image_address(key: str) -> str:
    """Return the address of an image, in the export or in its line."""
    if not key.startswith(PREFIX):
        return f"/image/{quote(key, safe='')}"
    doc_id, _, number = key.removeprefix(PREFIX).partition(":")
    return f"/line-image/{doc_id}/{number}"


# A link without text has its title as its name.
_ABOUT_KEEP = 'title="Star, labels and note"'
_ABOUT_LINK = 'title="Link to this message"'
_ABOUT_LINE = 'title="The line in the log"'


@lru_cache(maxsize=64)
def _part(text: str) -> str:
    return quote(text, safe="")
