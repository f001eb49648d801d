"""Place cards in the grid from left to right, with a new row when one is full."""

from dataclasses import dataclass

from cclake_metabase.model import COLUMNS, Card


@dataclass(frozen=True)
class Place:
    """A card's place in Metabase's grid, in grid units."""

    card: Card
    row: int
    col: int


def places(cards: tuple[Card, ...]) -> list[Place]:
    """Place cards in order; a row is as high as its highest card."""
    placed: list[Place] = []
    row = col = height = 0
    for card in cards:
        if col + card.width > COLUMNS:
            row, col, height = row + height, 0, 0
        placed.append(Place(card, row, col))
        col += card.width
        height = max(height, card.height)
    return placed
