"""Words as the full-text index has them: see the dbt macro `search_words`."""

import re
from functools import cache

SPACE = "\u200b"
# Characters that are words of their own: scripts without spaces, then emoji.
_SCRIPTS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_EMOJI = (
    "\u231a\u231b\u23e9-\u23fa\u2600-\u26ff\u2702-\u2712\u2714\u2716\u271d\u2721\u2728"
    "\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2757\u2763\u2764\u2795-\u2797\u27a1"
    "\u27b0\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff"
)


@cache
def alone() -> re.Pattern[str]:
    """Return the pattern of a character that is a word of its own.

    Compiling it takes as long as the other work of a search, so that waits until a text
    needs it.
    """
    return re.compile(f"[{_SCRIPTS}{_EMOJI}]")


@cache
def _before_others() -> re.Pattern[str]:
    return re.compile(f"([{_SCRIPTS}{_EMOJI}])([^{_SCRIPTS}{_EMOJI}{SPACE}])")


def words_of(text: object) -> str:
    """Return a text with zero-width spaces where the index has them.

    On the SQL page it is `search_words(text)`.
    """
    given = str(text or "")
    if given.isascii():
        return given
    apart = alone().sub(lambda found: SPACE + found[0], given)
    return _before_others().sub(rf"\1{SPACE}\2", apart)


def text_of(words: str) -> str:
    """Return the text that `words_of` was given, without any zero-width space."""
    return words.replace(SPACE, "")
