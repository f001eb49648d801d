"""Where the cards stand: from left to right, a new row when one is full."""

from dataclasses import dataclass

from cclake_metabase.model import COLUMNS, Card


@dataclass(frozen=True)
class Place:
    """A card's place in Metabase's grid, in grid units."""

    card: Card
    row: int
    col: int


def places(cards: tuple[Card, ...]) -> list[Place]:
    """Place cards in their order; a row is as high as its highest card."""
    placed: list[Place] = []
    row = col = height = 0
    for card in cards:
        if col + card.width > COLUMNS:
            row, col, height = row + height, 0, 0
        placed.append(Place(card, row, col))
        col += card.width
        height = max(height, card.height)
    return placed
