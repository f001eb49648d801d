"""Leave out folded content that would make a page heavy; it is loaded when unfolded."""

from collections.abc import Callable, Iterable
from typing import Any

from cclake_web.render.cards import Card
from cclake_web.render.items import Item

PAGE = 240_000  # characters of the cards of a page
FOLDED = 3_000  # characters of one folded content that may be on the page
ITEM = 500  # characters of the line of an item
LINKS = 600  # characters of the links beside a content
_FOLDED = ("call", "thinking", "summary", "notice")

Address = Callable[[Item], str]


def leave_out(cards: Iterable[Card], address: Address, room: int = PAGE) -> None:
    """Replace folded content that does not fit on a page by the address that loads it.

    What is always visible comes first, then folded content in the order of the page.
    Subagents without room are loaded as a whole.

    Args:
        cards: Of a page.
        address: Returns the address of the content of an item.
        room: Characters for all cards.
    """
    items = [item for card in cards for item in _all(card)]
    room -= sum(ITEM + (0 if _is_folded(item) else _size(item)) for item in items)
    for item in filter(_is_folded, items):
        size = _size(item)
        if size > FOLDED or size > room:
            item.later = address(item)
        else:
            room -= size
        for nested in _threads(item):
            room -= _nest(nested, address, room)


def _nest(nested: Any, address: Address, room: int) -> int:
    """Leave out a subagent that does not fit; else return the size of its cards."""
    size = _whole(nested.cards)
    if size > room:
        nested.cards = None
        return 0
    leave_out(nested.cards, address, size)
    return size


def _whole(cards: Iterable[Card]) -> int:
    size = 0
    for item in (item for card in cards for item in _all(card)):
        size += ITEM + _size(item)
        size += sum(_whole(nested.cards) for nested in _threads(item))
    return size


def _all(card: Card) -> list[Item]:
    return [*card.asked, *card.lead, *card.work, *card.answer]


def _threads(item: Item) -> list[Any]:
    found = item.nested.threads if item.nested else []
    return [nested for nested in found if nested.cards is not None]


def _is_folded(item: Item) -> bool:
    return item.kind in _FOLDED and item.number >= 0


def _size(item: Item) -> int:
    if item.view is None:
        return len(item.html) + LINKS
    # What is too large by itself is not drawn at all.
    size = item.view.size
    return (size if size > FOLDED else len(item.view.body)) + LINKS
