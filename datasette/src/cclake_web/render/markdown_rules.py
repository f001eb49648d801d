"""Extend Markdown: formulas are left alone, lists have task boxes."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

LONGEST = 1_000  # maximum characters of a formula within a paragraph
LINES = 100  # maximum lines of a formula
_INLINE = re.compile(
    rf"\$\$(?!\$).{{1,{LONGEST}}}?(?<!\\)\$\$"
    rf"|\$(?![\s$])[^$`\n]{{1,400}}?(?<![\s\\])\$(?![\w$({{])"
    rf"|\\\(.{{1,{LONGEST}}}?\\\)|\\\[.{{1,{LONGEST}}}?\\\]",
    re.DOTALL,
)
# Without one of these, Markdown would not change a formula between dollars anyway.
_FORMULA = re.compile(r"[\\^_={}]")
_ENDS = {"$$": "$$", "\\[": "\\]"}
_TASK = re.compile(r"\[([ xX])\](?:\s+|$)")


def extend(made: MarkdownIt) -> None:
    """Add these rules to a parser. Its renderer needs `math` and `math_block`."""
    made.inline.ruler.before("escape", "math", _math)
    made.block.ruler.before(
        "fence", "math_block", _math_block, {"alt": ["paragraph", "blockquote", "list"]}
    )
    made.core.ruler.after("inline", "tasks", _tasks)


def _math(state: StateInline, silent: bool) -> bool:
    start = state.src[state.pos]
    if start not in "$\\":
        return False
    before = state.src[state.pos - 1] if state.pos else " "
    found = _INLINE.match(state.src, state.pos, state.posMax)
    if not found or (start == "$" and (before.isalnum() or before in "$\\{")):
        return False
    if start == "$" and not _FORMULA.search(found[0]):
        return False
    if not silent:
        state.push("math", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _math_block(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    at = state.bMarks[first] + state.tShift[first]
    opening = state.src[at : at + 2]
    if opening not in _ENDS or state.is_code_block(first):
        return False
    for line in range(first, min(end, first + LINES)):
        from_ = at + 2 if line == first else state.bMarks[line]
        text = state.src[from_ : state.eMarks[line]].rstrip()
        if line > first and state.sCount[line] < state.blkIndent:
            return False
        if text.endswith(_ENDS[opening]) and (line > first or len(text) > 2):
            break
    else:
        return False
    if not silent:
        token = state.push("math_block", "", 0)
        token.content = state.getLines(first, line + 1, state.blkIndent, False)
        token.map = [first, line + 1]
    state.line = line + 1
    return True


def _tasks(state: StateCore) -> None:
    """Turn `[ ]` and `[x]` at the start of list items into boxes."""
    tokens = state.tokens
    for item, _, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if item.type != "list_item_open" or inline.type != "inline":
            continue
        children = inline.children or []
        found = _TASK.match(children[0].content) if children else None
        if found is None or children[0].type != "text":
            continue
        item.attrSet("class", "task")
        children[0].content = children[0].content[found.end() :]
        box = Token("task", "", 0, content="☐" if found[1] == " " else "☑")
        children.insert(0, box)
