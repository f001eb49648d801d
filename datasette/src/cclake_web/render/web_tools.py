"""Render searches and fetches of the web as titles with links."""

import re
from typing import Any
from urllib.parse import urlsplit

from cclake_archive.json_text import loads
from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import plural, squeeze
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import plain
from cclake_web.render.view import Fields, View, output, result_of, text_in

MOST = 60  # maximum number of links that are listed
LONGEST = 30_000  # maximum characters of a page that was read
_PULL = re.compile(r"/(?:pull|pulls|merge_requests|pull-requests)/(\d{1,12})/?$")
_LINKS = re.compile(r"^Links: (\[.*\])$", re.MULTILINE)
_FRAME = re.compile(
    r"^(?:Web search results for query:.*|Links: \[.*\]|REMINDER: You MUST.*)$",
    re.MULTILINE,
)


def link(address: str, title: str = "") -> Markup:
    """Return a link to an http or https address of a log, or else its text."""
    title = title.strip() or address
    if not is_web(address):
        words = title if title == address else f"{title} ({address})"
        return plain(squeeze(words, 400))
    made = Markup('<a href="{}" rel="noopener noreferrer nofollow">{}</a>')
    return made.format(address, plain(squeeze(title, 200)))


def is_web(address: str) -> bool:
    """Return whether an address is of http or https and has a host."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    is_plain = address.isprintable() and " " not in address
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_plain


def pull_request(text: str) -> Markup | None:
    """Return a link to a pull request, or None if the text has no address."""
    address = text.rpartition(" ")[2]
    if not is_web(address):
        return None
    number = _PULL.search(address)
    return link(address, f"PR #{number[1]}" if number else "Pull request")


def search(call: Call, given: Fields) -> View:
    """Return a search: what was asked, a link for each result, and the answer."""
    asked = text_in(given, "query")
    links, answer = _results(call)
    rows = [
        Markup("<li>{} <small>{}</small></li>").format(link(url, title), _host(url))
        for title, url in links[:MOST]
    ]
    body = Markup('<ol class="links">{}</ol>').format(Markup("").join(rows))
    if len(links) > MOST:
        body += Markup('<p class="cut">{} more</p>').format(len(links) - MOST)
    if call.is_error or not (links or answer):
        body = output(call)
    elif answer:
        shown = markdown(answer[:LONGEST])
        body += Markup('<div class="md">{}</div>').format(shown)
    count = f" · {plural(len(links), 'result')}" if links else ""
    return View("globe", "Web search", squeeze(asked, 120) + count, body)


def fetch(call: Call, given: Fields) -> View:
    """Return a page that was read: its address, the question, and the answer."""
    url = text_in(given, "url")
    asked = text_in(given, "prompt")
    found = result_of(call)
    facts = [str(found.get("code") or ""), text_in(found, "codeText")]
    size = found.get("bytes")
    if isinstance(size, int) and not isinstance(size, bool):
        facts.append(f"· {plural(size, 'byte')}")
    body = Markup('<p class="path">{} <span class="quiet">{}</span></p>').format(
        link(url), plain(" ".join(filter(None, facts)))
    )
    if asked:
        body += Markup('<p class="asked">{}</p>').format(plain(asked))
    text = call.result.text if call.result else ""
    if call.is_error or not text.strip():
        body += output(call)
    else:
        body += Markup('<div class="md">{}</div>').format(markdown(text[:LONGEST]))
    return View("globe", "Web page", squeeze(url, 120), body)


def _results(call: Call) -> tuple[list[tuple[str, str]], str]:
    """Return the titles and addresses of the results, and the text beside them."""
    results = result_of(call).get("results")
    if isinstance(results, list) and results:
        links = [pair for one in results for pair in _pairs(_content(one))]
        said = [one for one in results if isinstance(one, str)]
        return links, "\n\n".join(said)
    text = call.result.text if call.result else ""
    found = _LINKS.findall(text)
    links = [pair for one in found for pair in _pairs(loads(one))]
    return links, _FRAME.sub("", text).strip()


def _content(result: Any) -> Any:
    return result.get("content") if isinstance(result, dict) else None


def _pairs(listed: Any) -> list[tuple[str, str]]:
    items = listed if isinstance(listed, list) else []
    found = [one for one in items if isinstance(one, dict)]
    return [(text_in(one, "title"), text_in(one, "url")) for one in found]


def _host(address: str) -> Markup:
    host = urlsplit(address).hostname if is_web(address) else ""
    return plain(squeeze(host or "", 60))
