"""Check that HTML made of log text has only tags, attributes and links that we allow."""

from html.parser import HTMLParser

TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "li", "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead",
    "tr", "ul", "i", "ins", "dl", "dt", "dd", "small", "div", "details", "summary",
    "section",
}  # fmt: skip
ATTRIBUTES = {
    "href",
    "title",
    "rel",
    "class",
    "start",
    "tabindex",
    "role",
    "aria-label",
    "data-n",
}


class Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= ATTRIBUTES, attrs
        self.links += [value or "" for name, value in attrs if name == "href"]


def checked(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    assert checker.tags <= TAGS
    for link in checker.links:
        assert link.lower().startswith(("http://", "https://", "mailto:")), link
    return checker
