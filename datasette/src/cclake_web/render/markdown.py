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
from cclake_web.render.markdown_rules import extend
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
    "td": {"class"}, "th": {"class"}, "p": {"class"}, "pre": {"class"}, "li": {"class"},
}  # fmt: skip
_DIAGRAMS = {
    "mermaid": "Mermaid", "dot": "Graphviz", "graphviz": "Graphviz",
    "plantuml": "PlantUML", "puml": "PlantUML",
}  # fmt: skip
# Alignment is a style attribute, which our policy forbids.
_ALIGNED = tuple(
    (f' style="text-align:{side}"', f' class="{side}"') for side in ("right", "center")
)
# What scrolls can be reached by keys, and a table says what it is. A text has no tag
# of its own any more.
_WIDE = '<div class="wide" tabindex="0" role="group" aria-label="Table">'
_SCROLLING = (
    ("<pre>", '<pre tabindex="0">'),
    ('<pre class="math">', '<pre class="math" tabindex="0">'),
    ("<table>", f"{_WIDE}<table>"),
    ("</table>", "</table></div>"),
)


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

    def fence(
        self,
        tokens: Sequence[Token],
        idx: int,
        options: OptionsDict,
        env: EnvType,
    ) -> str:
        """Return code; of a diagram, which is not drawn, with a label."""
        shown = super().fence(tokens, idx, options, env)
        language = tokens[idx].info.strip().partition(" ")[0].lower()
        kind = _DIAGRAMS.get(language)
        label = f'<p class="source-of">Source of a {kind} diagram</p>' if kind else ""
        return label + shown

    def math(
        self,
        tokens: Sequence[Token],
        idx: int,
        options: OptionsDict,
        env: EnvType,
    ) -> str:
        """Return a formula as it was written."""
        return f'<span class="math">{escape(tokens[idx].content)}</span>'

    def math_block(
        self,
        tokens: Sequence[Token],
        idx: int,
        options: OptionsDict,
        env: EnvType,
    ) -> str:
        """Return a formula on lines of its own as it was written."""
        return f'<pre class="math">{escape(tokens[idx].content)}</pre>'

    def task(
        self,
        tokens: Sequence[Token],
        idx: int,
        options: OptionsDict,
        env: EnvType,
    ) -> str:
        """Return the box of a task."""
        kind = "done" if tokens[idx].content == "☑" else "open"
        return f'<span class="box {kind}">{tokens[idx].content}</span> '


def _highlight(code: str, language: str, _attrs: str) -> str:
    known = lexer_named(language) if len(code) <= LONGEST_FENCE else None
    return str(colour(code, known))


def _make(links: bool) -> MarkdownIt:
    options = {"html": False, "linkify": links, "breaks": True, "highlight": _highlight}
    made = MarkdownIt("commonmark", options, renderer_cls=_Renderer)
    made.enable(["table", "strikethrough", "linkify"])
    extend(made)
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
    html = made.render(visible(text))
    for style, name in _ALIGNED:
        html = html.replace(style, name)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )
    for tag, scrolling in _SCROLLING:
        clean = clean.replace(tag, scrolling)
    return Markup(clean)
