"""Turn entries into items: texts, calls, marks and notices."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cclake_archive.live.blocks import Block
from cclake_common.kept import Kept
from markupsafe import Markup

from cclake_web.data.blocks import Call, Entry
from cclake_web.deadline import check
from cclake_web.formatting import model_name, one_line
from cclake_web.render.agents import Notice, notices
from cclake_web.render.cuts import folded_markdown
from cclake_web.render.elements import elements
from cclake_web.render.hooks import hook
from cclake_web.render.safe import visible
from cclake_web.render.system_lines import compaction, system_line
from cclake_web.render.tool_view import view
from cclake_web.render.view import View, pre

Nest = Callable[[Call], object]  # gives the thread of the subagent that a call started
_TAG = re.compile(r"</?(?:command-[a-z]+|local-command-[a-z]+|bash-[a-z]+)>")
_WRAPPER = re.compile(r"\s*<([\w-]+)")
# Shown only with "everything".
EMPTY = Markup("")
QUIET = {"meta", "attachment", "title", "other", "system"}
_NOTICES = {
    "command": "terminal", "interrupt": "warn", "notification": "clock",
    "meta": "braces", "attachment": "link", "title": "edit", "other": "braces",
    "system": "braces", "label": "edit", "unreadable": "warn",
}  # fmt: skip
_QUEUED = {
    "queued_prompt": "Queued while working", "unsent_prompt": "Typed, but not sent",
}  # fmt: skip
_LABELS = {
    "custom-title": "Title", "tag": "Tag", "agent-name": "Agent",
    "pr-link": "Pull request",
}  # fmt: skip


@dataclass
class Item:
    """A visible part of a thread.

    Attributes:
        kind: text, thinking, call, image, queued, error, compact, summary,
            notice or model.
        entry: Its entry.
        html: Its content as safe HTML.
        label: The text of its summary line.
        nested: The thread of the subagent that a call started.
        number: Its place among the items of its entry; -1 if it is not one of them.
        later: The address of its folded content, if the page does not have it.
        is_bad: Whether it tells of a failure that is not one of Claude's calls.
        kept: Star, labels and note of its entry, if they are shown with it.
    """

    kind: str
    entry: Entry
    html: Markup = EMPTY
    label: str = ""
    icon: str = ""
    block: Block | None = None
    call: Call | None = None
    view: View | None = None
    nested: Any = None
    failed: bool = False
    is_bad: bool = False
    number: int = -1
    later: str = ""
    images: list[str] = field(default_factory=list)
    kept: Kept | None = None

    @property
    def first(self) -> bool:
        """Whether it has the anchor of its entry."""
        return self.number == 0


def items_of(
    entry: Entry, calls: dict[str, Call], nest: Nest, everything: bool
) -> list[Item]:
    """Return the items of an entry; none for a result, which its call shows."""
    if entry.kind in QUIET and (ran := hook(entry)):
        return [_of_notice(entry, ran, "hook")] if ran.failed or everything else []
    if entry.kind in QUIET and not _is_compaction(entry) and not everything:
        return []
    if _is_compaction(entry):
        label = compaction(entry) or _words(entry) or "Conversation compacted"
        return [Item("compact", entry, label=label)]
    if entry.kind == "compact_summary":
        return [
            Item(
                "summary",
                entry,
                _markdown(entry, _text(entry)),
                "Summary so far",
            )
        ]
    if entry.kind == "api_error":
        return [Item("error", entry, label=_words(entry), icon="warn", failed=True)]
    if entry.kind in _QUEUED:
        label = _QUEUED[entry.kind]
        return [Item("queued", entry, _markdown(entry, _text(entry)), label)]
    if entry.kind in _NOTICES:
        return _notice(entry)
    check()
    found = (_item(entry, block, calls, nest) for block in entry.blocks)
    return [item for item in found if item]


def _item(
    entry: Entry, block: Block, calls: dict[str, Call], nest: Nest
) -> Item | None:
    if block.kind == "tool_use":
        call = calls.get(block.tool_use_id) or Call(block, entry)
        keys = [image.image_key for image in call.images if image.image_key]
        nested = nest(call)
        call.is_nested = nested is not None
        return Item(
            "call", entry, call=call, view=view(call), nested=nested,
            failed=call.is_error, images=keys,
        )  # fmt: skip
    if block.kind == "tool_result":
        if entry.kind != "tool_result" or block.tool_use_id in calls:
            return None
        return Item("notice", entry, pre(block.text), "Result without a call", "tool")
    if block.kind == "image":
        loose = entry.kind != "tool_result" and block.image_key
        return Item("image", entry, images=[block.image_key]) if loose else None
    if block.kind == "compaction":
        return Item(
            "summary",
            entry,
            _markdown(entry, block.text),
            "Summary so far",
        )
    if block.kind == "context":
        tag = _WRAPPER.match(block.text)
        label = f"Context: {one_line(tag[1].replace('_', ' ') if tag else '', 40)}"
        return Item("notice", entry, pre(block.text), label, "braces")
    if block.kind == "thinking":
        return Item(
            "thinking",
            entry,
            _markdown(entry, block.text),
            "Thinking",
            "think",
        )
    if block.kind == "text":
        said = block.text.strip()
        return Item("text", entry, _markdown(entry, block.text)) if said else None
    label = f"{one_line(block.kind, 40)}: {one_line(block.text, 80)}"
    return Item("notice", entry, pre(block.text), label, "file")


def _notice(entry: Entry) -> list[Item]:
    text = _text(entry)
    sign = _NOTICES[entry.kind]
    if entry.kind == "notification" and (found := notices(text)):
        return [_of_notice(entry, one, sign) for one in found]
    fields = dict(reversed(elements(text)))
    if "command-name" in fields:
        given = fields.get("command-args", "").strip()
        label = f"{fields['command-name'].strip()} {given}".strip()
        return [Item("notice", entry, label=one_line(label, 300), icon=sign)]
    text = _TAG.sub("", text).strip()
    if entry.kind == "label":
        words = f"{_LABELS.get(entry.type, entry.type)}: {text or 'none'}"
        return [Item("notice", entry, label=one_line(words, 400), icon=sign)]
    if entry.kind == "unreadable":
        said = "A record that could not be read: its line is in the archive"
        return [Item("notice", entry, label=said, icon=sign)]
    if entry.kind == "interrupt":
        return [Item("notice", entry, label="Interrupted by the user", icon=sign)]
    if not text and entry.kind == "command":
        return []
    line = one_line(text, 140)
    label = line or entry.subtype or entry.kind
    if entry.kind == "system" and (said := system_line(entry)):
        label = one_line(said, 300)
    elif entry.kind in QUIET:
        label = f"{entry.subtype or entry.kind}: {label}"
    body = pre(text) if visible(text) != line else EMPTY
    return [Item("notice", entry, body, label, sign)]


def _of_notice(entry: Entry, notice: Notice, icon: str) -> Item:
    return Item("notice", entry, notice.body, notice.label, icon, is_bad=notice.failed)


def model_change(entry: Entry, before: str) -> Item:
    """Return a mark where the model changes."""
    label = f"{model_name(before)} → {model_name(entry.model)}"
    return Item("model", entry, label=label, icon="spark")


def _is_compaction(entry: Entry) -> bool:
    return entry.kind == "system" and (
        "compact" in entry.subtype or _text(entry).startswith("Conversation compacted")
    )


def _text(entry: Entry) -> str:
    return "\n\n".join(b.text for b in entry.blocks if b.kind == "text" and b.text)


def _words(entry: Entry) -> str:
    return one_line(_text(entry), 400)


def _markdown(entry: Entry, text: str) -> Markup:
    return folded_markdown(text, entry.doc_id)
