"""Show and find what the user typed, and the context that others added."""

from pathlib import Path

import pytest
import talk
from gold import one, query


@pytest.fixture
def gold(histories: Path) -> Path:
    return histories


def shown(gold: Path, session: str) -> list[tuple[str, str, str]]:
    """Return the blocks of a session in order, with the kinds of entry and block."""
    return query(
        gold,
        "select e.message_kind, b.block_kind, b.text from marts.thread_entries as e"
        " join marts.thread_blocks as b on b.session_id = e.owner_session_id"
        " and b.entry_key = e.entry_key where e.session_id = ?"
        " order by e.position, b.block_no",
        session,
    )


def found(gold: Path, word: str) -> list[tuple[str, str]]:
    """Return the sessions and kinds of block that hold a word."""
    return query(
        gold,
        "select session_id, block_kind from marts.search_documents"
        " where contains(text, ?) order by search_id",
        word,
    )


def metrics(gold: Path, session: str, *columns: str) -> tuple[object, ...]:
    return one(
        gold,
        f"select {', '.join(columns)} from marts.dim_sessions"
        " join marts.agg_session_metrics using (session_id) where session_id = ?",
        session,
    )


def test_what_an_ide_adds_is_context_and_not_a_word_of_the_user(gold: Path) -> None:
    assert metrics(gold, "ide", "title", "first_prompt", "prompts") == (
        "why does the build fail?",
        "why does the build fail?",
        3,
    )
    assert [kind for kind, *_ in shown(gold, "ide")] == ["prompt"] * 5 + [
        "meta", "prompt", "prompt", "answer",
    ]  # fmt: skip
    said = [text.strip() for _, kind, text in shown(gold, "ide") if kind == "text"]
    assert said == [
        "why does the build fail?", "and now?", "what is this?", "A brace is missing.",
    ]  # fmt: skip
    assert ("ide", "context") in found(gold, "notes.md")


def test_prompts_that_were_taken_back_are_shown_and_found(gold: Path) -> None:
    kinds = [(kind, text) for kind, _, text in shown(gold, "queue")]
    assert kinds == [
        ("prompt", "begin"),
        ("prompt", "this was sent"),
        ("unsent_prompt", "taken back zebra"),
        ("unsent_prompt", "and this one"),
        ("answer", "Yes."),
    ]
    assert found(gold, "zebra") == [("queue", "text")]
    assert metrics(gold, "queue", "prompts", "turns") == (2, 2)


def test_words_that_only_the_queue_has_are_the_title(gold: Path) -> None:
    assert metrics(gold, "only-queued", "title", "title_source", "active_s", "turns") == (
        "hello quokka", "queued", 0, 0,
    )  # fmt: skip
    assert ("only-queued", "text") in found(gold, "quokka")


@pytest.mark.parametrize(
    "word", ["First numbat", "Second numbat", "wombat", "bilby", "potoroo"]
)
def test_labels_are_shown_once_and_found(gold: Path, word: str) -> None:
    assert found(gold, word) == [("labels", "text")]
    assert metrics(gold, "labels", "title") == ("Second numbat",)


@pytest.mark.parametrize(
    ("word", "kind"),
    [("aardvark", "tool_result"), ("pangolin", "tool_result"), ("axolotl", "tool_result"),
     ("ibis", "tool_result"), ("jackal", "tool_result"), ("kudu", "tool_result"),
     ("plain text", "tool_result"), ("tarsier", "compaction")],
)  # fmt: skip
def test_text_inside_of_newer_blocks_is_found(gold: Path, word: str, kind: str) -> None:
    assert found(gold, word) == [("blocks", kind)]
    assert found(gold, "JVBERg") == []


def test_hooks_count_once_wherever_they_are_told_of(gold: Path) -> None:
    assert metrics(gold, "hooks", "hook_runs") == (6,)


def test_a_user_record_without_content_is_not_a_turn(gold: Path) -> None:
    assert metrics(gold, "blank", "turns", "prompts") == (3, 3)


def test_spellings_of_a_folder_are_one_project(gold: Path) -> None:
    paths = dict(
        query(
            gold,
            "select session_id, project_path from marts.dim_sessions"
            " join marts.dim_projects using (project_key)",
        )
    )
    assert {name: paths[f"folder-{name}"] for name in talk.FOLDERS} == {
        "drive": "C:/Repos/App", "mounted": "C:/Repos/App", "long": "C:/Repos/App",
        "tree": "C:/Repos/App", "sub": "C:/Repos/App/web", "twice": "C:/Repos/App",
        "share": "//nas/team/App", "slashed": "//nas/team/App", "unc": "//nas/team/App",
        "wsl": "/home/me/app", "old_wsl": "/home/me/app", "plain": "/home/me/app",
    }  # fmt: skip
    assert paths["no-cwd"] == "-home-me-app"


def test_lines_that_gold_does_not_read_are_named(gold: Path) -> None:
    named = one(gold, "select source_file, reason, is_response from marts.unread_lines")
    assert named == (
        ".claude/projects/-home-me-app/ide.jsonl", "not JSON: unexpected end of data", True,
    )  # fmt: skip
