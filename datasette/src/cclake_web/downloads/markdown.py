"""Write a thread as Markdown that reads well as plain text."""

import re
from collections.abc import Iterable, Iterator

from cclake_archive.live.blocks import Block
from cclake_common.kept import Kept

from cclake_web.data.blocks import Entry
from cclake_web.data.sessions import Row
from cclake_web.downloads.records import line
from cclake_web.formatting import model_names, money, one_line
from cclake_web.render.safe import visible
from cclake_web.render.terminal import screen

LONGEST = 20_000  # maximum characters of the output of a tool
_TICKS = re.compile(r"`+")
_HEADS = {
    "prompt": "You", "queued_prompt": "You, while it worked", "answer": "Claude",
    "compact_summary": "Summary of what went before", "api_error": "API error",
    "interrupt": "Interrupted", "command": "Command",
    "unsent_prompt": "You, not sent", "label": "Label",
    "unreadable": "A record that could not be read",
}  # fmt: skip


def head(session: Row) -> str:
    """Return the title and the properties of the session."""
    title = one_line(session["title"] or session["first_prompt"], 200)
    facts = (
        ("Session", f"`{session['session_id']}`"),
        ("Project", session["project_path"] or session["project_key"]),
        ("Branch", session["git_branch"]), ("Host", session["host"]),
        ("Models", model_names(session["models"])),
        ("From", session["started_at"]), ("To", session["ended_at"]),
        ("Cost", money(session["cost_usd"])),
        ("Starred", "yes" if session.get("starred") else ""),
        ("Labels", ", ".join(session.get("labels") or ())),
        ("Note", session.get("note")),
    )  # fmt: skip
    lines = [f"- {name}: {one_line(str(value), 300)}" for name, value in facts if value]
    return f"# {title or 'Session'}\n\n" + "\n".join(lines) + "\n"


def body(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield each entry that the page shows."""
    speaker = ""
    for entry in entries:
        parts = [visible(text) for b in entry.blocks if (text := _block(b))]
        if entry.kind in ("tool_result", "answer") or entry.kind in _HEADS:
            who = _HEADS.get(entry.kind, speaker)
            if entry.agent_id:
                who = f"Subagent {one_line(entry.agent_id, 80)}"
            if (parts and who != speaker) or (parts and entry.kind == "prompt"):
                yield f"\n## {who}\n"
                speaker = who
            for text in parts:
                yield f"\n{text}\n"
            if parts and entry.kept:
                yield f"\n> {_kept(entry.kept)}\n"


def _kept(kept: Kept) -> str:
    words = ("★" if kept.starred else "", ", ".join(kept.labels), kept.note)
    return one_line(" · ".join(filter(None, words)), 2000)


def fenced(text: str, language: str = "") -> str:
    """Return a text in a fence that its content can't close."""
    longest = max((len(run) for run in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    cut = f"\n… {len(text) - LONGEST:,} more characters" if len(text) > LONGEST else ""
    return f"{fence}{language}\n{text[:LONGEST]}{cut}\n{fence}"


def _block(block: Block) -> str:
    if block.kind in ("text", "compaction"):
        return block.text.strip()
    if block.kind == "context":
        return f"Context:\n\n{fenced(block.text.strip())}"
    if block.kind == "thinking" and block.text.strip():
        quoted = block.text.strip().replace("\n", "\n> ")
        return f"> *Thinking:* {quoted}"
    if block.kind == "tool_use":
        name = one_line(block.tool_name, 80) or "tool"
        return f"**{name}**\n\n{fenced(line(block.input), 'json')}"
    if block.kind == "tool_result" and block.text.strip():
        word = "Failed:" if block.is_error else "Result:"
        return f"{word}\n\n{fenced(screen(block.text).text)}"
    if block.kind == "document" and block.text.strip():
        return f"*[document]*\n\n{fenced(block.text)}"
    return f"*[{block.kind}]*" if block.kind in ("image", "document") else ""
