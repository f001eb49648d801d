"""Render Markdown as safe HTML, without raw HTML, images and relative links."""

from collections.abc import Sequence
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from cclake_web.render.code import LONGEST_FENCE, colour, lexer_named
from cclake_web.render.safe import plain, visible

LONGEST = 200_000  # maximum characters; a longer text is shown as plain text
LONGEST_LINKED = 8_000  # maximum characters in which bare addresses become links
_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "li", "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th",
    "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title"}, "code": {"class"}, "span": {"class"}, "ol": {"start"},
    "td": {"class"}, "th": {"class"},
}  # fmt: skip


class _Renderer(RendererHTML):
    def image(
        self,
        tokens: Sequence[Token],
        idx: int,
        options: OptionsDict,
        env: EnvType,
    ) -> str:
        """Return a label instead of an image, which must not be fetched."""
        label = tokens[idx].content or str(tokens[idx].attrGet("src") or "")
        return f'<span class="no-image">image: {escape(label)}</span>'


def _highlight(code: str, language: str, _attrs: str) -> str:
    known = lexer_named(language) if len(code) <= LONGEST_FENCE else None
    return str(colour(code, known))


def _make(links: bool) -> MarkdownIt:
    options = {"html": False, "linkify": links, "breaks": True, "highlight": _highlight}
    made = MarkdownIt("commonmark", options, renderer_cls=_Renderer)
    made.enable(["table", "strikethrough", "linkify"])
    if made.linkify:
        made.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    return made


_LINKING, _PLAIN = _make(links=True), _make(links=False)


def markdown(text: str) -> Markup:
    """Render the markdown of a message; safe for any input."""
    if len(text) > LONGEST:
        return Markup('<p class="raw-text">{}</p>').format(plain(text))
    return _rendered(text)


@lru_cache(maxsize=2048)
def _rendered(text: str) -> Markup:
    # Looking for bare addresses can take quadratic time.
    made = _LINKING if len(text) <= LONGEST_LINKED else _PLAIN
    clean = nh3.clean(
        # Alignment is a style attribute, which our policy forbids.
        made.render(visible(text)).replace(
            ' style="text-align:right"', ' class="right"'
        ),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )
    # What scrolls can be reached by keys; a text has no tag of its own any more.
    return Markup(clean.replace("<pre>", '<pre tabindex="0">'))
