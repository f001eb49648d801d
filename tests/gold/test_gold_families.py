"""Who owns what several sessions have, and where records without a session belong."""

from pathlib import Path

import pytest
from families import sid
from gold import one, query

OWN = """
select left(s.session_id, 4), left(s.parent_session_id, 4), s.relation, m.prompts,
    m.api_responses
from marts.dim_sessions as s join marts.agg_session_metrics as m using (session_id)
"""


@pytest.mark.parametrize(
    ("session", "parent", "relation", "prompts"),
    [
        ("c0c0", None, None, 3),
        ("b0b0", "c0c0", "fork", 1),
        ("a0a0", "b0b0", "fork", 1),
        ("c1c1", None, None, 4),
        ("a1a1", "c1c1", "copy", 1),
        ("b1b1", "c1c1", "copy", 1),
        ("c2c2", None, None, 3),
        ("a2a2", "c2c2", "copy", 1),
        ("c3c3", None, None, 3),
        ("a3a3", "c3c3", "background", 1),
        ("c4c4", None, None, 4),
        ("a4a4", "c4c4", "background", 1),
        ("c7c7", None, None, 3),
        ("b7b7", "c7c7", "fork", 1),
        ("a7a7", "c7c7", "copy", 1),
        ("c8c8", None, None, 1),
        ("a8a8", "c8c8", "copy", 1),
        ("c9c9", None, None, 1),
    ],
)
def test_the_original_owns_what_its_copies_repeat(
    histories: Path,
    session: str,
    parent: str | None,
    relation: str | None,
    prompts: int,
) -> None:
    found = one(histories, OWN + " where s.session_id = ?", sid(session))
    assert found == (session, parent, relation, prompts, prompts)


def test_marks_that_contradict_each_other_make_no_circle(histories: Path) -> None:
    found = query(
        histories, OWN + " where left(s.session_id, 4) in ('a5a5', 'c5c5') order by 1"
    )
    assert found == [("a5a5", "c5c5", "fork", 1, 1), ("c5c5", None, None, 4, 3)]


def test_a_marked_fork_owns_nothing_of_what_is_older(histories: Path) -> None:
    """The session between the two is in no file; they share messages, not entries."""
    found = query(
        histories,
        "select left(session_id, 4), left(parent_session_id, 4), relation, api_responses"
        " from marts.dim_sessions join marts.agg_session_metrics using (session_id)"
        " where left(session_id, 4) in ('a6a6', 'c6c6') order by 1",
    )
    assert found == [("a6a6", "f6f6", "fork", 2), ("c6c6", None, None, 3)]


def test_a_branch_begins_when_it_was_branched(histories: Path) -> None:
    started = one(
        histories,
        "select f.started_at > o.ended_at from marts.dim_sessions as f"
        " join marts.dim_sessions as o on o.session_id = f.parent_session_id"
        " where f.session_id = ?",
        sid("b0b0"),
    )
    assert started == (True,)


def test_records_without_a_session_belong_to_that_of_their_file(
    histories: Path,
) -> None:
    found = query(
        histories,
        OWN + " where left(s.session_id, 1) in ('d', 'e') order by 1",
    )
    assert found == [
        ("d0d0", None, None, 3, 3),
        ("d1d1", None, None, 1, 0),
        ("d2d2", None, None, 2, 0),
    ]
    titles = one(
        histories,
        "select title from marts.dim_sessions where session_id = ?",
        sid("d0d0"),
    )
    assert titles == ("A short one",)


def test_the_audit_of_the_desktop_has_its_time(histories: Path) -> None:
    found = one(
        histories,
        "select strftime(started_at, '%d %H:%M:%S') from marts.dim_sessions where session_id = ?",
        sid("d1d1"),
    )
    assert found == ("01 00:00:00",)
