"""Log text as HTML: whatever it is, only what we allow comes out."""

import re
from pathlib import Path

import duckdb
import pytest
from cclake_common.search import CLOSE, OPEN, whole_marks
from cclake_common.words import ALONE, text_of, words_of
from cclake_web import formatting
from cclake_web.render.code import clip, lexer_for
from cclake_web.render.diff import diff_html, diff_lines, patch_hunks
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import visible
from harmless import checked
from hypothesis import given
from hypothesis import strategies as st
from sample import VECTORS

REPOSITORY = Path(__file__).parents[2]
PIECES = st.lists(
    st.one_of(st.sampled_from([*VECTORS, "```", "`", "[", "](", "<", ">", "|", "\n", "* ", "#"]),
              st.text(max_size=20)),
    max_size=12,
).map("".join)  # fmt: skip


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
    checked(diff_html(diff_lines(old, new)))


def test_a_change_is_marked_to_the_word() -> None:
    html = diff_html(["-return total", "+return total + 1", " done"])
    assert html.count("<ins>") == 1
    assert "+ 1</ins>" in html
    assert "<del>" not in html


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from(["lines", "newStart", "x"]), inner, max_size=3)))  # fmt: skip
def test_a_patch_may_have_any_shape(patch: object) -> None:
    for start, lines in patch_hunks(patch):
        assert isinstance(start, int)
        checked(diff_html(lines))


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
    (alone,) = re.findall(r"search_alone\(\) -%}\s+(\S+)\s+{%- endmacro", macro)
    query = f"""select i from range(1, 1114112) as t (i)
        where i not between 55296 and 57343
        and regexp_matches(chr(i::integer), '[{alone}]')"""
    with duckdb.connect() as db:
        found = {number for (number,) in db.execute(query).fetchall()}
    every = (n for n in range(1, 0x110000) if not 0xD800 <= n < 0xE000)
    assert found == {number for number in every if ALONE.match(chr(number))}


@pytest.mark.parametrize(
    "text",
    ["", "plain", "数据", "a数据b", "数🚀a", "🚀", "ok✅ok", "ข้อมูล x", "数\u200b据"],
)
def test_words_stand_apart_and_read_as_before(text: str) -> None:
    words = words_of(text)
    assert text_of(words) == text.replace("\u200b", "")
    for part in words.split("\u200b"):
        assert not ALONE.search(part) or len(part) == 1
    assert (words == text) == (not ALONE.search(text))


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
