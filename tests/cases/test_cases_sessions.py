"""Cases of sessions: who owns what, titles, projects (tests/fixtures/cases/README.md)."""

from typing import Any

import pytest
from cases import OTHER_SESSION, Cases
from webface import Web

QUEUE_ONLY = "00000000-0000-4000-8000-000000001006"
IDE = "00000000-0000-4000-8000-000000001003"
BLOCKS = "5ea51578-6140-5f3c-9cef-59f871306b7b"
Session = dict[str, Any]


def check_owner(original: Session, fork: Session, relation: str) -> None:
    """The original owns its 3 prompts and their cost, the fork the one after them."""
    assert (original["parent_session_id"], original["relation"]) == (None, None)
    assert original["prompts"] == 3
    assert original["cost_usd"] == pytest.approx(0.00315)
    assert fork["parent_session_id"] == original["session_id"]
    assert fork["relation"] == relation
    assert fork["prompts"] == 1
    assert fork["cost_usd"] == pytest.approx(0.00105)


def test_branch_after_compact(lake_of_cases: Cases) -> None:
    sessions = lake_of_cases.sessions("branch-after-compact")
    fork = sessions["7a0238cd-b51d-5cae-b732-df08c68c0d29"]
    check_owner(sessions["b541d623-e8ff-5a55-a285-217b21fa667f"], fork, "fork")
    assert fork["started_at"] == "2026-11-03T10:00:05.000Z"


def test_moved_to_background(lake_of_cases: Cases) -> None:
    sessions = lake_of_cases.sessions("moved-to-background")
    check_owner(
        sessions["a4efb25c-9ad5-53d6-91f9-534a9b25f935"],
        sessions["3a56c3b4-5f5c-5d53-98d1-bcb14540aa10"],
        "background",
    )


@pytest.mark.parametrize(
    ("original", "fork", "relation"),
    [
        pytest.param(
            "fa9a0b83-ab67-57c8-89aa-7023e95b7ced",
            "0428dfda-046d-530a-8d49-b38b5b785d90",
            "fork",
            id="cli",
        ),
        pytest.param(
            "f639e206-31a2-5c49-8fca-952a37fafa1b",
            "0eda887b-1b32-5bfc-ae8c-38e3e6f66d37",
            "fork",
            id="sdk",
        ),
        pytest.param(
            "08b8d974-472d-5212-b621-ef6d24821c47",
            "f1108d71-2843-5224-969d-59614fb43c0f",
            "copy",
            id="plain",
        ),
    ],
)
def test_fork_owner(
    lake_of_cases: Cases, original: str, fork: str, relation: str
) -> None:
    """Whatever the names of the files sort like; plain has no mark of a fork."""
    sessions = lake_of_cases.sessions("fork-owner")
    check_owner(sessions[original], sessions[fork], relation)
    shown = lake_of_cases.exported(
        "select is_copy, count(*) as entries from thread_entries"
        " where session_id = ? group by 1 order by 1",
        fork,
    )
    assert [(row["is_copy"], row["entries"]) for row in shown] == [(0, 2), (1, 6)]


def test_ide_wrapper(lake_of_cases: Cases, pages: Web) -> None:
    """The wrapper is context: in no title, no prompt, no export."""
    (session,) = lake_of_cases.sessions("ide-wrapper").values()
    assert session["title"] == "why does the build fail?"
    assert session["first_prompt"] == "why does the build fail?"
    found = pages.get("/search", params={"q": "ide_opened_file"}).text
    assert f"/session/{IDE}" not in found


def test_queue_only_session(lake_of_cases: Cases, pages: Web) -> None:
    """The words of the user are the title, and are found."""
    (session,) = lake_of_cases.sessions("queue-only-session").values()
    assert (session["title"], session["active_s"]) == ("hello", 0)
    found = pages.get("/search", params={"q": "hello"}).text
    assert f"/session/{QUEUE_ONLY}" in found


def test_root_above_projects(lake_of_cases: Cases) -> None:
    """CLAUDE_DIR is a folder above .claude/projects, and no record has a cwd."""
    (project,) = lake_of_cases.exported(
        "select project_name from dim_projects join dim_sessions using (project_key)"
        " where session_id = ?",
        OTHER_SESSION,
    )
    assert project["project_name"] == "-home-me-alpha"


def test_records_without_session(lake_of_cases: Cases) -> None:
    """Records without an id belong to the session of the others in their file."""
    (session,) = lake_of_cases.sessions("records-without-session").values()
    assert session["title"] == "go on"


@pytest.mark.parametrize("word", ["aardvark", "axolotl", "tarsier", "capybara"])
def test_newer_blocks(pages: Web, word: str) -> None:
    """Text of documents and search results inside results, and of compactions."""
    assert word in pages.get(f"/session/{BLOCKS}?all=1").text
    hits = pages.get(
        "/search", params={"q": word, "text": "1", "tool_result": "1"}
    ).text
    assert f'class="hit" href="/session/{BLOCKS}' in hits


def test_workflow_run_agents(lake_of_cases: Cases) -> None:
    """Agents below subagents/workflows belong to the session."""
    (session,) = lake_of_cases.sessions("workflow-run").values()
    assert (session["subagents"], session["api_responses"]) == (2, 4)


def test_workflow_run_agent_types(lake_of_cases: Cases, pages: Web) -> None:
    """Their type comes from the meta.json beside their files, and is on the page."""
    ((session, _),) = lake_of_cases.sessions("workflow-run").items()
    sql = "select agent_id, agent_type from dim_agents where session_id = ?"
    agents = list(lake_of_cases.exported(sql, session))
    assert [agent["agent_type"] for agent in agents] == ["workflow-subagent"] * 2
    assert "<span>workflow-subagent</span>" in pages.get(f"/session/{session}").text
    own = pages.get(f"/session/{session}?agent={agents[0]['agent_id']}").text
    assert "Subagent workflow-subagent</span>" in own


def test_pages(lake_of_cases: Cases, pages: Web) -> None:
    """Every conversation can be read, has a title, and lets nothing run."""
    sessions = lake_of_cases.sessions("pages")
    assert len(sessions) == 16
    for session in sessions:
        answer = pages.get(f"/session/{session}?all=1")
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert 'href="javascript:' not in answer.text
