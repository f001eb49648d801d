"""Log text as HTML: whatever it is, only what we allow comes out."""

import re
from html import unescape
from pathlib import Path

import duckdb
import pytest
from cclake_archive.live.blocks import Block
from cclake_common.search import CLOSE, OPEN, whole_marks
from cclake_common.words import alone, text_of, words_of
from cclake_web import formatting
from cclake_web.data.blocks import Entry
from cclake_web.downloads.markdown import body
from cclake_web.render.code import clip, lexer_for
from cclake_web.render.cuts import CHARS, LINES, LONGEST, folded_markdown
from cclake_web.render.diff import (
    MAX_LINES,
    SHOWN,
    Hunk,
    diff_html,
    difference,
    patch_hunks,
)
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import visible
from cclake_web.render.terminal import screen
from cclake_web.render.view import pre, source
from harmless import checked
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import Markup
from sample import VECTORS

REPOSITORY = Path(__file__).parents[2]
PIECES = st.lists(
    st.one_of(st.sampled_from([*VECTORS, "```", "`", "[", "](", "<", ">", "|", "\n", "* ", "#", "$", "$$", "\\(", "\\)", "\\[", "\\]", "- [ ] ", "```mermaid\n"]),
              st.text(max_size=20)),
    max_size=12,
).map("".join)  # fmt: skip


def checked_html(html: str) -> str:
    """Return the text of HTML that has only what we allow, with its classes."""
    checked(html)
    return unescape(html)


@given(PIECES)
def test_markdown_of_any_text_has_only_harmless_tags_and_links(text: str) -> None:
    checked(markdown(text))


@pytest.mark.parametrize("text", VECTORS)
def test_no_known_attack_comes_through(text: str) -> None:
    assert not checked(markdown(text)).tags & {
        "script",
        "img",
        "svg",
        "iframe",
        "form",
        "style",
    }


def test_markdown_reads_well() -> None:
    html = markdown(
        "# T\n\n**b** `c`\n\n```python\ndef f(): ...\n```\n\n|a|b|\n|-|-:|\n|1|2|\n"
    )
    for part in (
        "<strong>b</strong>",
        "<code>c</code>",
        'class="nf"',
        'class="right"',
        "<h1>",
    ):
        assert part in html


@pytest.mark.parametrize(
    "formula",
    ["$E = mc^2$", "\\(a*b*c\\)", "$$x_1\\,y_1$$", "\\[a_1 * b_1 * c\\]", "$$\n- a_1*b*c\n= \\frac{1}{2}\n$$"],
)  # fmt: skip
def test_a_formula_is_left_alone(formula: str) -> None:
    lines = formula.replace("\n", "\n> ")
    for text in (formula, f"Before\n{formula}\nafter.", f"> {lines}"):
        html = checked_html(markdown(text))
        assert formula in html
        assert 'class="math"' in html


@pytest.mark.parametrize(
    "text",
    [
        "costs $5 or $10_000",
        "$FOO_BAR and $BAZ_X",
        "${A}_${B}",
        "a$b_c$d",
        "\\$x_1$ y",
        "$$ lone _a_",
    ],
)
def test_money_and_variables_are_no_formulas(text: str) -> None:
    assert 'class="math"' not in markdown(text)


def test_tasks_have_boxes() -> None:
    html = markdown(
        "- [x] done **b**\n- [ ] open\n- [link](https://a.example) no\n- [y] no"
    )
    assert '<li class="task"><span class="box done">☑</span> done <strong>' in html
    assert '<li class="task"><span class="box open">☐</span> open' in html
    assert html.count('class="task"') == 2


def test_what_scrolls_can_be_focused_and_a_diagram_is_labelled() -> None:
    html = markdown(
        "|a|b|\n|:-:|-|\n|1|2|\n\n```mermaid\ngraph TD\n```\n\n```py\nx\n```"
    )
    assert (
        '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>' in html
    )
    assert '<td class="center">' in html
    assert html.count('<pre tabindex="0">') == 2
    assert html.count("Source of a Mermaid diagram") == 1


def test_a_remote_image_becomes_a_label() -> None:
    html = markdown("![a cat](https://evil.example/cat.png)")
    assert "evil.example" not in html
    assert "image: a cat" in html


def test_links_of_the_log_tell_nothing_to_the_other_side() -> None:
    assert 'rel="noopener noreferrer nofollow"' in markdown("https://example.org/x")


@given(st.text())
def test_nothing_invisible_is_left_in_visible_text(text: str) -> None:
    for character in visible(text):
        assert (
            character in "\n\t"
            or character.isprintable()
            or character.isspace()
            or ord(character) > 0x2FF
            or character == "\xad"
        )
        assert character not in "\u202e\u2066\u200b\ufeff\x00\x1b\x7f"


def test_terminal_colours_are_dropped_and_controls_shown() -> None:
    assert (
        visible("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07")
        == "red link"
    )
    assert visible("a\x00b\x07c\x7f\u202ed\r\ne") == "a␀b␇c␡‹U+202E›d\ne"


@given(st.text(), st.integers(1, 5), st.integers(1, 50))
def test_a_clipped_text_is_its_beginning(text: str, lines: int, chars: int) -> None:
    shown, left = clip(text, lines, chars)
    assert text.startswith(shown)
    assert len(shown) + left == len(text)
    assert shown.count("\n") < lines or not left
    assert len(shown) <= chars


def test_a_language_is_known_by_the_files_ending() -> None:
    assert lexer_for("/a/b/x.PY") is lexer_for("other.py")
    assert lexer_for("no.such-ending") is None


@given(st.text(), st.text())
def test_a_difference_is_safe_and_holds_both_sides(old: str, new: str) -> None:
    hunk = difference(old, new)
    checked(diff_html([hunk]))
    if old != new:
        before = [line[1:] for line in hunk.lines if line[0] in " -"]
        assert set(before) <= set(old.split("\n"))
        assert hunk.count("+") or hunk.count("-")


def test_a_change_is_marked_to_the_word() -> None:
    lines = ["-return total", "+return total + 1", " done"]
    html = diff_html([Hunk(lines, 1, 1)])
    assert html.count("<ins>") == 1
    assert "+ 1</ins>" in html
    assert "<del>" not in html


def test_lines_of_a_change_have_the_numbers_of_their_side() -> None:
    first = Hunk([" a", "-b", "+c", "+d", " e"], 10, 10)
    second = Hunk([" z", "\\ No newline at end of file"], 40, 41)
    html = diff_html([first, second])
    numbers = re.findall(r'<span class="(\w+)" data-n="(\d+)">', html)
    assert numbers == [
        ("same", "10"), ("del", "11"), ("add", "11"), ("add", "12"), ("same", "13"),
        ("same", "41"),
    ]  # fmt: skip
    assert "27 unchanged lines" in html
    assert "data-n" not in diff_html([difference("a", "b")])


def test_a_long_difference_is_folded_and_not_lost() -> None:
    html = diff_html([Hunk([f"+line {n}" for n in range(900)], 0, 1)])
    shown, _, folded = html.partition("<details")
    assert shown.count('class="add"') == SHOWN
    assert f"{900 - SHOWN} more lines" in folded
    assert html.count('class="add"') == 900


def test_a_very_long_difference_is_shown_in_folds_up_to_its_limit() -> None:
    html = diff_html([Hunk([f"+line {n}" for n in range(12_000)], 0, 1)])
    assert html.count('class="add"') == 12_000
    assert html.count("<details") == 3
    assert "line of the log" not in html
    cut = diff_html([Hunk([f"+{n}" for n in range(MAX_LINES + 30)], 0, 1)], "abc")
    assert cut.count('class="add"') == MAX_LINES
    assert '>30 more lines <a class="to-line" href="/raw/abc">' in cut


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from(["lines", "newStart", "oldStart", "x"]), inner, max_size=3)))  # fmt: skip
def test_a_patch_may_have_any_shape(patch: object) -> None:
    hunks = patch_hunks(patch)
    assert all(isinstance(hunk.new, int) for hunk in hunks)
    checked(diff_html(hunks))


ESCAPES = st.sampled_from(
    ["\x1b[31m", "\x1b[0m", "\x1b[38;5;208m", "\x1b[48;2;1;2;3m", "\x1b[7;9m", "\x9b1m",
     "\x1b[2K\r", "\r", "\b", "\x1b[1G", "\x1b]8;;javascript:x\x07", "\x1b[", "\x1b",
     "\x1b[38;2m", "\x1b[38:2m", "\x1b[58::;:5m", "\x1b[99999999999m", "\x1b[4:3m", "\n", "\x1b[1A", "\x1b(0"]
)  # fmt: skip


@given(st.lists(ESCAPES | st.sampled_from(VECTORS) | st.text(max_size=9)).map("".join))
def test_output_of_any_terminal_is_harmless(text: str) -> None:
    shown = screen(text)
    html = shown.html()
    assert checked(html).tags <= {"span"}
    assert set(re.findall(r'class="([^"]*)"', html)) <= {
        classes for _, _, classes in shown.runs
    }
    assert not set("\x1b\x9b\r\x08") & set(html)
    # In parts it is the same text, wherever it is cut.
    middle = len(shown.text) // 2
    parts = shown.html(0, middle) + shown.html(middle)
    assert Markup(parts).striptags() == Markup(html).striptags()


@pytest.mark.parametrize(
    ("output", "html"),
    [
        ("\x1b[31mred\x1b[0m plain", '<span class="t-red">red</span> plain'),
        ("\x1b[1;4mx\x1b[22;24my", '<span class="t-bold t-under">x</span>y'),
        ("\x1b[38;5;208ma\x1b[m\x1b[38;2;10;200;120mb",
         '<span class="t-yellow">a</span><span class="t-green">b</span>'),
        ("\x1b[38:2::255:0:0ma\x1b[48:5:2mb",
         '<span class="t-red">a</span><span class="t-red on-green">b</span>'),
        ("\x1b[58;5;31;4:3ma\x1b[4:0mb", '<span class="t-under">a</span>b'),
        ("\x1b[41mx", '<span class="on-red">x</span>'),
        ("\x1b[2K\rprogress 10%\rprogress 100%\ndone", "progress 100%\ndone"),
        ("10%\r\x1b[32m100%\r\n", '<span class="t-green">100%</span>\n'),
        ("kept\r", "kept"),
        ("a\x1b[1Gb", "b"),
        ("wor\bld", "wold"),
        ("abc\b\b\x1b[1md\b\be", '<span class="t-bold">e</span>'),
        ("10%\r\r\r\n", "10%\n"),
        ("two\r\nlines", "two\nlines"),
        ("\x1b[8m<b>seen</b>", "&lt;b&gt;seen&lt;/b&gt;"),
    ],
)  # fmt: skip
def test_colours_and_the_last_state_of_a_line_are_shown(output: str, html: str) -> None:
    assert screen(output).html() == html


@pytest.mark.parametrize("output", ["\r" * 400_000, "x" * 200_000 + "\b" * 200_000])
def test_a_line_that_is_overwritten_without_end_takes_no_time(output: str) -> None:
    assert screen(f"{output}\rdone").text == "done"


def test_words_that_are_all_the_same_take_no_time() -> None:
    hunks = [Hunk(["-" + "a " * 450, "+" + "a b " * 250])] * 100
    assert "<del>" not in diff_html(hunks)


def test_a_download_has_the_last_state_of_a_line() -> None:
    result = Block("tool_result", "\x1b[32m10%\r100%\x1b[0m\n")
    entry = Entry("k", "tool_result", 1, blocks=[result])
    assert "".join(body([entry])) == "\nResult:\n\n```\n100%\n\n```\n"


def test_what_is_long_is_folded_and_complete() -> None:
    numbers = "\n".join(map(str, range(1, 2001)))
    html = pre(numbers)
    shown, _, folded = html.partition("<details")
    assert shown.count("\n") == LINES - 1
    assert "1,940 more lines" in folded
    assert Markup(html).striptags().endswith("2000")
    assert "<details" not in pre("\n".join("x" * (LINES + 5)))
    assert "1,000 more characters" in pre("x" * (CHARS + 1000))
    assert "5 more characters" in pre("x" * (LONGEST + 5), line="abc")
    assert 'href="/raw/abc"' in pre("x" * (LONGEST + 5), line="abc")


@example("\x1b]8;;javascript:a\x07" + "b" * 426, "x.py")  # a fold cuts a sequence
@given(PIECES, st.sampled_from(["x.py", "x.md", "x.html", "x.no", "x.sh"]))
def test_code_is_complete_with_its_colours(text: str, name: str) -> None:
    html = source(text * 20, name, first=1)
    checked(html)
    shown = re.findall("(?s)<code>(.*?)</code>", html)
    whole = "\n".join(unescape(re.sub("<[^>]*>", "", one)) for one in shown)
    assert whole.replace("\n", "") == (
        visible(text * 20).replace("\n", "") if text.strip() else ""
    )


def test_a_string_that_is_folded_in_the_middle_keeps_its_colour() -> None:
    html = source('"""\n' + "words\n" * 100 + '"""', "x.py")
    assert html.partition("<details")[2].count('class="sd">words') == 41


def test_the_rest_of_a_very_long_text_is_folded() -> None:
    text = "start\n\n```py\n" + "x = 1\n" * 4000 + "```\n\n**end**" + " word" * 9000
    html = folded_markdown(text, "abc")
    checked(html.partition('<a class="to-line"')[0])
    shown, _, folded = html.partition("<details")
    assert shown.count("\n") > 1900
    assert '<pre tabindex="0"><code>x = 1' in folded
    assert "<strong>end</strong>" in folded
    assert 'href="/raw/abc"' in folded
    assert folded_markdown("*short*") == markdown("*short*")


def test_lines_of_code_are_numbered_in_the_fold_as_well() -> None:
    html = source("\n".join(f"x = {n}" for n in range(100)), "x.py", first=41)
    first, second = re.findall(r'data-n="([^"]*)"', html)
    assert first.split() == [str(n) for n in range(41, 41 + LINES)]
    assert second.split() == [str(n) for n in range(41 + LINES, 141)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (999, "999"), (9999, "9,999"), (12_345, "12.3k"),
     (4_200_000, "4.2M"), (7_000_000_000, "7B")],
)  # fmt: skip
def test_counts_are_short(value: float | None, text: str) -> None:
    assert formatting.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "$0.00"),
        (0.001, "<$0.01"),
        (2.1504, "$2.15"),
        (1234.5, "$1,234"),
    ],
)
def test_money_is_plain(value: float | None, text: str) -> None:
    assert formatting.money(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.25, "250ms"),
        (8, "8s"),
        (130, "2m 10s"),
        (3600, "1h"),
        (190_000, "2d 4h"),
    ],
)
def test_durations_have_two_parts_at_most(value: float | None, text: str) -> None:
    assert formatting.duration(value) == text


@pytest.mark.parametrize(
    ("model", "name"),
    [("claude-sonnet-4-5-20250929", "sonnet 4.5"), ("claude-opus-4-20250514", "opus 4"),
     ("claude-opus-4-6 (Bedrock us)", "opus 4.6 (Bedrock us)"), ("glm-4.6", "glm-4.6"),
     ("claude-3-5-haiku", "haiku 3.5"), (None, "")],
)  # fmt: skip
def test_models_have_short_names(model: str | None, name: str) -> None:
    assert formatting.model_name(model) == name


def test_one_line_has_no_marks_but_a_command_keeps_them() -> None:
    assert formatting.one_line("## **Fix** the\n`parser`") == "Fix the parser"
    assert formatting.squeeze("ls **/*.py\n | wc") == "ls **/*.py | wc"


def test_words_are_those_of_gold() -> None:
    macro = (REPOSITORY / "dbt/macros/search_words.sql").read_text()
    (characters,) = re.findall(r"search_alone\(\) -%}\s+(\S+)\s+{%- endmacro", macro)
    query = f"""select i from range(1, 1114112) as t (i)
        where i not between 55296 and 57343
        and regexp_matches(chr(i::integer), '[{characters}]')"""
    with duckdb.connect() as db:
        found = {number for (number,) in db.execute(query).fetchall()}
    every = (n for n in range(1, 0x110000) if not 0xD800 <= n < 0xE000)
    assert found == {number for number in every if alone().match(chr(number))}


@pytest.mark.parametrize(
    "text",
    ["", "plain", "数据", "a数据b", "数🚀a", "🚀", "ok✅ok", "ข้อมูล x", "数\u200b据"],
)
def test_words_stand_apart_and_read_as_before(text: str) -> None:
    words = words_of(text)
    assert text_of(words) == text.replace("\u200b", "")
    for part in words.split("\u200b"):
        assert not alone().search(part) or len(part) == 1
    assert (words == text) == (not alone().search(text))


@pytest.mark.parametrize(
    ("letters", "signs"),
    [
        ("हिन्द", "ी"),
        ("தமிழ", "்"),
        ("❤", "\ufe0f"),
        ("1", "\ufe0f\u20e3"),
        ("cafe", "\u0301"),
    ],
)
def test_a_mark_holds_the_signs_of_its_last_letter(letters: str, signs: str) -> None:
    found = whole_marks(f"a {OPEN}{letters}{CLOSE}{signs} {OPEN}b{CLOSE}c")
    assert found == f"a {OPEN}{letters}{signs}{CLOSE} {OPEN}b{CLOSE}c"
