"""Render what Claude asks the user to decide: plans and questions."""

from typing import Any

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import one_line, squeeze
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import plain
from cclake_web.render.view import (
    Fields,
    View,
    objects_in,
    output,
    rejection,
    result_of,
    text_in,
)

LONGEST_PLAN = 40_000  # maximum characters
MOST = 20  # maximum number of questions, and of options of one
_TICKED, _OPEN = "☑", "☐"


def plan(call: Call, given: Fields) -> View:
    """Return a plan, once, with the user's decision."""
    text = text_in(result_of(call), "plan") or text_in(given, "plan")
    heading = next((line for line in text.splitlines() if line.strip(" #")), "")
    body = Markup('<div class="md">{}</div>').format(markdown(text[:LONGEST_PLAN]))
    said = rejection(call)
    if said is not None:
        outcome = "rejected"
        body += _decided("Rejected", said)
    elif call.result and not call.is_error:
        outcome = "approved"
        edited = "edited by user" in call.result.text[:400]
        body += _decided("Approved", "with changes by the user" if edited else "")
    else:
        outcome = ""
        body += output(call)
    return View("list", "Plan", one_line(heading, 120), body, outcome)


def _decided(what: str, said: str) -> Markup:
    words = f"{what}: {said}" if said else what
    made = Markup('<p class="decided {}">{}</p>')
    return made.format(what.lower(), plain(words[:4000]))


def questions(call: Call, given: Fields) -> View:
    """Return questions with their options, the chosen ones ticked."""
    listed = objects_in(given, "questions")
    found = result_of(call)
    answers = found.get("answers")
    notes = found.get("annotations")
    parts = [
        _question(one, _of(answers, one), _of(notes, one)) for one in listed[:MOST]
    ]
    body = Markup("").join(parts)
    said = rejection(call)
    if said is not None:
        body += _decided("Rejected", said)
    elif not all(_of(answers, one) for one in listed) or not listed:
        body += output(call)
    first = text_in(listed[0], "question") if listed else ""
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    outcome = "" if said is None else "rejected"
    return View("question", "Question", squeeze(first, 120) + more, body, outcome)


def _of(given: Any, question: Fields) -> Any:
    return given.get(text_in(question, "question")) if isinstance(given, dict) else None


def _question(question: Fields, answer: Any, note: Any) -> Markup:
    listed = objects_in(question, "options")[:MOST]
    labels = [text_in(one, "label") for one in listed]
    chosen, own = _chosen(answer, labels)
    rows = [_option(text_in(one, "description"), label, label in chosen)
            for one, label in zip(listed, labels, strict=True) if label]  # fmt: skip
    if own:
        rows.append(_option("other", own, True))
    words = text_in(note, "notes")
    made = Markup('<div class="ask-of"><p>{}</p><ul class="options">{}</ul>{}</div>')
    return made.format(
        plain(text_in(question, "question")),
        Markup("").join(rows),
        Markup('<p class="cut">{}</p>').format(plain(words)) if words else "",
    )  # fmt: skip


def _option(about: str, label: str, is_chosen: bool) -> Markup:
    made = Markup('<li class="{}"><i role="img" aria-label="{}">{}</i>{}{}</li>')
    more = Markup('<span class="quiet"> {}</span>').format(plain(about))
    return made.format(
        "chosen" if is_chosen else "",
        "chosen" if is_chosen else "not chosen",
        _TICKED if is_chosen else _OPEN,
        plain(label),
        more if about else "",
    )


def _chosen(answer: Any, labels: list[str]) -> tuple[set[str], str]:
    """Return the labels that were chosen, and what was answered in own words.

    Several choices may be one text, joined by commas, which labels may have, too.
    """
    given = answer if isinstance(answer, list) else [answer]
    left = [one for one in given if isinstance(one, str) and one.strip()]
    chosen, own = set[str](), []
    longest_first = sorted(filter(None, labels), key=len, reverse=True)
    for text in left:
        rest = text.strip()
        for _ in labels:  # a text names each of them once
            match = next((one for one in longest_first if _begins(rest, one)), "")
            if not match:
                break
            chosen.add(match)
            rest = rest[len(match) :].lstrip(", ")
        if rest:
            own.append(rest)
    return chosen, ", ".join(own)


def _begins(text: str, label: str) -> bool:
    return text == label or text.startswith(f"{label},")
