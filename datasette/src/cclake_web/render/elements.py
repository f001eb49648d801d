"""Find the elements of a text in time that is linear in its length."""

import re
from bisect import bisect_left
from collections import defaultdict

TAG = re.compile(r"<(/?)([a-z][a-z_-]{0,40})>")


def elements(text: str, tag: re.Pattern[str] = TAG) -> list[tuple[str, str]]:
    """Return the names and contents of the outermost elements of a text, in order.

    An expression from one tag to the other would read the rest of the text for each
    tag that is not closed.

    Args:
        text: The text.
        tag: Matches a tag; its groups are the slash of a closing one and the name.
    """
    tags = list(tag.finditer(text))
    closing: dict[str, list[re.Match[str]]] = defaultdict(list)
    for one in tags:
        if one[1]:
            closing[one[2]].append(one)
    found = []
    end = 0
    for one in tags:
        if one[1] or one.start() < end:
            continue
        closed = closing[one[2]]
        place = bisect_left(closed, one.end(), key=lambda match: match.start())
        if place < len(closed):
            found.append((one[2], text[one.end() : closed[place].start()]))
            end = closed[place].end()
    return found
