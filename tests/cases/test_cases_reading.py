"""Output of tools and changes of files, as the thread page shows them."""

import re

import pytest
from cases import Cases
from webface import Web

TERMINAL = "be5f2cf0-4155-5f15-a858-5708fe2ec96f"
EDITS = "6baaad3f-c185-6519-021e-33d658de2777"


@pytest.fixture(scope="module")
def terminal(pages: Web) -> str:
    return pages.get(f"/session/{TERMINAL}").text


@pytest.fixture(scope="module")
def edits(pages: Web) -> str:
    return pages.get(f"/session/{EDITS}").text


def call(page: str, words: str) -> str:
    """Return the HTML of the call whose summary line has these words."""
    calls = page.split('<details class="call')[1:]
    (found,) = [one for one in calls if words in one.partition("</summary>")[0]]
    return found


def test_colours_are_classes_and_a_line_has_its_last_state(terminal: str) -> None:
    tests = call(terminal, "Run the tests")
    assert '<span class="t-green">.</span><span class="t-red">F</span>' in tests
    assert '<span class="t-yellow">orange 256</span>' in tests
    assert "progress 100%" in tests
    assert "progress 10%" not in tests
    assert "style=" not in tests


def test_a_long_output_unfolds_to_its_last_line(terminal: str, pages: Web) -> None:
    numbers = call(terminal, "seq 1 2000")
    if left_out := re.search(r'<a href="(/session/[^"]+/part/[^"]+)"', numbers):
        numbers = pages.get(left_out[1]).text
    folded = numbers.partition('<details class="rest-of"')[2]
    assert "1,940 more lines</summary>" in folded
    assert "\n2000" in folded


def test_reads_and_edits_have_the_numbers_of_their_lines(edits: str) -> None:
    assert '<i data-n="1\n2\n3"></i>' in call(edits, "parser.py · 3 lines")
    assert '<span class="del" data-n="12"><i>-</i>' in call(edits, "style.css")
    assert "You changed it before it was applied." in call(edits, "style.css")


def test_a_failed_edit_was_not_applied_and_has_no_counts(edits: str) -> None:
    (failed,) = re.findall(
        r'<details class="call failed refused".*?</details>', edits, re.DOTALL
    )
    line = failed.partition("</summary>")[0]
    assert ">not applied<" in line
    assert "+" not in line.partition('class="about"')[2].partition("</span>")[0]
    assert "<tool_use_error>" not in failed
    assert "tool_use_error" not in failed
    assert "String to replace not found" in failed


def test_a_changed_cell_of_a_notebook_is_a_cell(edits: str) -> None:
    notebook = call(edits, "a.ipynb")
    assert 'class="cell-of">cell c3 · changed<' in notebook
    assert "df.head()" in notebook


def test_a_call_that_the_user_rejected_says_so(
    lake_of_cases: Cases, pages: Web
) -> None:
    (session,) = [
        one["session_id"] for one in lake_of_cases.sessions("pages").values()
        if one["title"] == "Review of PR 12"
    ]  # fmt: skip
    rejected = call(pages.get(f"/session/{session}").text, "rm -rf build")
    assert ">rejected by you<" in rejected.partition("</summary>")[0]
    assert "STOP what you are doing" not in rejected


def test_markdown_of_an_answer(pages: Web) -> None:
    text = pages.get("/session/a890b11b-800b-f177-132a-6d2ea54c7cbb").text
    assert '<span class="math">\\(a^2+b^2\\)</span>' in text
    assert "e^{-x^2}\\,dx" in text
    assert "☑</span> done task" in text
    assert "Source of a Mermaid diagram" in text
    assert '<div class="wide" tabindex="0"' in text
