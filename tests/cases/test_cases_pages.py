"""The words of the pages about plans, questions, tasks, hooks, agents and the web."""

import html
import re

import pytest
from cases import Cases
from webface import Web

PLANS = "0c0828dd-05b8-ac24-f607-c5821a8c700c"
TOOLS = "00bd8c96-8c56-3c27-52d5-469142b3044f"
REVIEW = "87eb98b8-f791-1344-f0b4-2c266f00acd9"
RUN = "3b656b49-4613-54e5-9172-7d9c8f5aed8b"
WHOLE = "/export.html"  # folded content, too, which a page may load on demand
AGENTS = "b0b0d208-5b21-2de4-3917-2a53d4604bc7"


@pytest.fixture(scope="module")
def read(pages: Web) -> "Reader":
    return Reader(pages)


class Reader:
    """The words of a page, and those of the lines that summarise its folds."""

    def __init__(self, pages: Web) -> None:
        self.pages = pages

    def html(self, session: str, query: str = "") -> str:
        answer = self.pages.get(f"/session/{session}{query}")
        assert answer.status_code == 200
        return answer.text

    def words(self, session: str, query: str = "") -> str:
        return words(self.html(session, query))

    def summaries(self, session: str, query: str = "") -> list[str]:
        text = self.html(session, query)
        return [words(one) for one in re.findall(r"(?s)<summary>(.*?)</summary>", text)]


def test_a_run_of_a_workflow(read: "Reader", lake_of_cases: Cases) -> None:
    """Its subagents stand in the call that started it, and its result with them."""
    sql = """select workflow_name, status, agents, total_tokens, tool_use_id, result
        from marts.dim_workflow_runs"""
    ((name, status, agents, tokens, called, result),) = lake_of_cases.query(sql)
    assert (name, status, agents, tokens) == ("deep-research", "completed", 2, 6000)
    assert result == "the only copy of the final report numbat"
    sql = "select tool_use_id, depth, workflow_run_id from marts.dim_agents where session_id = ?"
    assert lake_of_cases.query(sql, RUN) == [(called, 1, "wf_ab12")] * 2
    text = read.words(RUN)
    assert "completed · 2 agents · 6,000 tokens · phases: scout" in text
    assert "agent says judge quokka" in read.words(RUN, WHOLE)
    assert "Result the only copy of the final report numbat" in text
    assert "Other subagents" not in text
    assert "Workflow deep-research $0.07 5s" in read.summaries(RUN)
    assert "Subagent agent prompt judge workflow-subagent $0.03" in read.summaries(RUN)


def test_a_compaction_and_a_pull_request(read: "Reader") -> None:
    text = read.html(REVIEW)
    assert "Compacted automatically: 167k → 22k tokens, 41 s" in text
    assert (
        '<a href="https://github.com/me/x/pull/12"'
        ' rel="noopener noreferrer nofollow">PR #12</a>'
    ) in text


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_plans_and_questions(read: "Reader") -> None:
    text = read.words(PLANS)
    assert text.count("in batches of 1000") == 1
    assert "Rejected: Too big, smaller steps please" in text
    assert "☐ Postgres (Recommended) What the team knows ☑ SQLite One file" in text
    assert "☑ Auth login ☐ Search fts ☑ Export csv" in text
    summaries = read.summaries(PLANS)
    assert "Plan Migration plan approved 7s" in summaries
    assert "Plan Second plan rejected 7s" in summaries
    assert "Task #1 Write migration · to do → in progress 7s" in summaries
    assert "Tasks 0 of 1 done 7s" in summaries


def test_the_web_and_other_servers(read: "Reader") -> None:
    text = read.html(TOOLS)
    for address in ("https://duckdb.org/docs/merge", "https://duckdb.org/blog"):
        assert f'<a href="{address}" rel="noopener noreferrer nofollow">' in text
    summaries = read.summaries(TOOLS)
    assert "Web search duckdb merge into 2026 · 2 results 7s" in summaries
    assert "github · create_issue A bug 7s" in summaries
    assert "Tool search select:mcp__slack__send · 1 tool 7s" in summaries
    assert "body ## Steps 1. a 2. b labels" in read.words(TOOLS, WHOLE)


def test_hooks_and_notices(read: "Reader") -> None:
    text = read.html(REVIEW)
    assert "Background command &#34;npm test&#34; completed (exit code 0)" in text
    assert "&lt;status&gt;" not in text
    summaries = read.summaries(REVIEW)
    assert "Hook PreToolUse:Bash · exit code 1, 40ms: guard.py" in summaries
    assert "Hook Stop · 1 error, 812ms: ~/.claude/hooks/lint.sh" in summaries
    assert not any("black -q" in one for one in summaries)
    every = read.summaries(REVIEW, "?all=1")
    assert "Hook PostToolUse:Edit · exit code 0, 120ms: black -q" in every
    assert "The turn took 3m 3s, 12 messages" in read.words(REVIEW, "?all=1")


def test_agents_in_the_background(read: "Reader") -> None:
    text = read.html(AGENTS)
    assert "<h2>Report of Explore</h2>" in text
    assert "<strong>fine</strong>" in text
    summaries = read.summaries(AGENTS)
    assert "Subagent general-purpose Check the docs in the background 7s" in summaries
    assert 'Agent "Check the docs" completed' in summaries
