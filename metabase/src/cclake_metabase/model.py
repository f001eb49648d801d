"""Read dashboards from TOML files, one for each dashboard."""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cclake_common.failure import Failure

COLUMNS = 24
"""Width of Metabase's grid."""

FILTERS = {
    "since": ("From", "date"),
    "until": ("To", "date"),
    "project": ("Project", "text"),
    "host": ("Host", "text"),
    "model": ("Model", "text"),
}
"""The filters that a query may name as `{{name}}`: their label and their type."""

CHARTS = frozenset(("bar", "line", "area", "combo", "row"))
DISPLAYS = CHARTS | {"scalar", "pie", "table"}
TAG = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LISTS = ("x", "y", "money", "percent")
_FOLDER = Path(__file__).with_name("dashboards")


@dataclass(frozen=True)
class Card:
    """One question: a query and how to draw its rows.

    Attributes:
        name: Its title, unique among the cards of all dashboards.
        display: The kind of chart.
        sql: The query, in SQLite's dialect over the tables of the export.
        width: Number of columns of the grid, of 24.
        height: Number of rows of the grid.
        description: The text behind the question mark beside the title.
        x: Columns of the result along the axis; a second one splits the series.
        y: Columns of the result that are measured.
        stack: How to stack the series: `stacked` or `normalized`.
        money: Columns in US dollars.
        percent: Columns that are shares from 0 to 1.
        titles: Header, by column.
        links: Path of the pages, with `{{column}}` in it, by column.
    """

    name: str
    display: str
    sql: str
    width: int
    height: int
    description: str = ""
    x: tuple[str, ...] = ()
    y: tuple[str, ...] = ()
    stack: str = ""
    money: tuple[str, ...] = ()
    percent: tuple[str, ...] = ()
    titles: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    @property
    def filters(self) -> list[str]:
        """Return the filters that its query names, in their usual order."""
        named = set(TAG.findall(self.sql))
        return [name for name in FILTERS if name in named]

    @property
    def columns(self) -> set[str]:
        """Return every column of the result that its settings name."""
        linked = {name for path in self.links.values() for name in TAG.findall(path)}
        named = {*self.x, *self.y, *self.money, *self.percent}
        return named | set(self.titles) | set(self.links) | linked


@dataclass(frozen=True)
class Dashboard:
    """A page of cards."""

    name: str
    description: str
    cards: tuple[Card, ...]

    @property
    def filters(self) -> list[str]:
        """Return the filters of its cards."""
        return [
            name for name in FILTERS if any(name in card.filters for card in self.cards)
        ]


def load(folder: Path | None = None) -> list[Dashboard]:
    """Read all dashboards of a folder, or the built-in ones.

    Raises:
        Failure: A file is not a valid dashboard.
    """
    files = sorted((folder or _FOLDER).glob("*.toml"))
    if not files:
        raise Failure(f"no dashboards in {folder}", "Name a folder of .toml files.")
    dashboards = [_read(path) for path in files]
    names = Counter(card.name for each in dashboards for card in each.cards)
    if twice := [name for name, count in names.items() if count > 1]:
        raise Failure(f"several cards have the same name: {', '.join(twice)}")
    return dashboards


def _read(path: Path) -> Dashboard:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        cards = tuple(_card(each) for each in raw["cards"])
        return Dashboard(raw["name"], raw["description"], cards)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise Failure(f"{path.name}: {error}") from error


def _card(raw: dict[str, Any]) -> Card:
    lists = {name: tuple(raw[name]) for name in _LISTS if name in raw}
    card = Card(**(raw | lists))
    if card.display not in DISPLAYS:
        raise ValueError(f"{card.name}: no display {card.display!r}")
    if not 1 <= card.width <= COLUMNS:
        raise ValueError(f"{card.name}: width {card.width} is not 1 to {COLUMNS}")
    if unknown := set(TAG.findall(card.sql)) - set(FILTERS):
        raise ValueError(f"{card.name}: unknown filters {sorted(unknown)}")
    if card.display in CHARTS | {"pie"} and not (card.x and card.y):
        raise ValueError(f"{card.name}: {card.display} needs x and y")
    return card
