"""Group a thread into cards: the prompt, folded work, and the answer of a turn."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cclake_common.kept import Kept
from cclake_common.times import moment

from cclake_web.data.blocks import Call, Entry
from cclake_web.data.thread import Sums
from cclake_web.formatting import duration, model_name, money, no_cost, plural
from cclake_web.render.items import Item, Nest, items_of, model_change
from cclake_web.render.tasks import name_tasks

PROMPTS = ("prompt", "agent_prompt")  # by a person, or by the caller of the agent
STARRED = ("text", "call")  # items that can be starred, beside prompts


@dataclass
class Card:
    """A turn as the page shows it.

    Attributes:
        turn: Its number; 0 is what comes before the first prompt.
        asked: The prompt, with its images.
        lead: Commands and notices before the first step.
        work: The steps, folded.
        answer: The text at the end.
        sums: Tokens, money, calls and errors of the turn; None if they are shown
            elsewhere.
        continued: Whether its prompt is on an earlier page.
    """

    turn: int
    asked: list[Item] = field(default_factory=list)
    lead: list[Item] = field(default_factory=list)
    work: list[Item] = field(default_factory=list)
    answer: list[Item] = field(default_factory=list)
    sums: Sums | None = None
    seconds: float | None = None
    continued: bool = False
    open: bool = False
    first: Entry | None = None

    @property
    def empty(self) -> bool:
        """Whether it shows nothing."""
        return not (self.asked or self.lead or self.work or self.answer)

    @property
    def calls(self) -> int:
        """The number of tool calls in it."""
        return sum(item.kind == "call" for item in self.work)

    @property
    def errors(self) -> int:
        """The number of failed calls and API errors in it."""
        return sum(item.failed for item in self.work)

    @property
    def line(self) -> list[str]:
        """The text of the folded line."""
        words = [plural(self.calls, "call")] if self.calls else []
        if not words:
            kinds = {item.kind for item in self.work}
            words = ["Thinking"] if kinds <= {"thinking"} else ["Steps"]
        if self.sums and self.sums.responses:
            cost = self.sums.known_cost
            words.append(no_cost(self.sums.unpriced) if cost is None else money(cost))
        if self.seconds and self.seconds >= 1:
            words.append(duration(self.seconds))
        return words

    @property
    def models(self) -> str:
        """The models that answered."""
        return ", ".join(sorted(map(model_name, self.sums.models))) if self.sums else ""


def cards_of(
    entries: Iterable[Entry],
    calls: dict[str, Call],
    *,
    nest: Nest,
    sums: dict[int, Sums] | None = None,
    everything: bool = False,
) -> list[Card]:
    """Group the entries of a page into cards.

    Args:
        entries: In order.
        calls: Every call that they make, by id.
        nest: Gives the thread of the subagent that a call started.
        sums: By turn.
        everything: Whether system lines are shown.
    """
    cards: list[Card] = []
    model = ""
    name_tasks(calls)
    for entry in entries:
        if not cards or entry.turn != cards[-1].turn:
            cards.append(Card(entry.turn, sums=(sums or {}).get(entry.turn)))
            cards[-1].first = entry
            cards[-1].continued = entry.turn > 0 and entry.kind not in PROMPTS
        card = cards[-1]
        if entry.kind == "answer" and entry.model and entry.model != "<synthetic>":
            if model and entry.model != model:
                card.work.append(model_change(entry, model))
            model = entry.model
        for number, item in enumerate(items_of(entry, calls, nest, everything)):
            item.number = number
            asked = entry.kind in PROMPTS and not card.work
            if asked and item.kind == "notice":  # context beside the text
                card.lead.append(item)
            else:
                (card.asked if asked else card.work).append(item)
        _time(card, entry)
    for card in cards:
        _part_answer(card)
    return [card for card in cards if not card.empty]


def keep(cards: Iterable[Card], kept: Mapping[str, Kept]) -> None:
    """Give the messages of cards the stars, labels and notes that they have."""
    seen: set[str] = set()
    for card in cards if kept else ():
        for item in (*card.asked, *card.lead, *card.work, *card.answer):
            key = item.entry.key
            item.entry.kept = kept.get(key)
            # An entry has several items: the first of those that have a star shows it.
            is_prompt = bool(card.asked) and item is card.asked[0]
            if (is_prompt or item.kind in STARRED) and key not in seen:
                item.kept = item.entry.kept
                seen.add(key)
            for nested in item.nested.threads if item.nested else ():
                keep(nested.cards or (), kept)


def _time(card: Card, entry: Entry) -> None:
    begin = moment(card.first.said_at) if card.first else None
    end = moment(entry.said_at)
    if begin and end:
        card.seconds = max(card.seconds or 0.0, (end - begin).total_seconds())


def _part_answer(card: Card) -> None:
    """Split a turn into work and the answer, which follows the last step."""
    # A call with its thinking is a step.
    steps = [n for n, item in enumerate(card.work) if item.kind in ("call", "thinking")]
    end = steps[-1] + 1 if steps else 0
    card.work, card.answer = card.work[:end], card.work[end:]
    while card.work and card.work[0].kind in ("notice", "model", "summary", "compact"):
        card.lead.append(card.work.pop(0))
    shown = any(item.kind in ("text", "error", "image") for item in card.answer)
    card.open = bool(card.work) and not shown
