"""Build a made-up account with the habits of real logs."""

from pathlib import Path

import independent_count
import pytest
from account import PNG, sid
from gold import one, query


def models_of(database: Path) -> list[str]:
    """Return the names of all staging models, views included."""
    found = query(
        database,
        "select table_name from information_schema.tables"
        " where table_schema = 'staging' order by all",
    )
    return [name for (name,) in found]


def test_the_whole_build_passes_its_own_tests(gold_account: Path) -> None:
    assert one(gold_account, "select count(*) > 0 from marts.fct_messages") == (True,)


def test_every_staging_model_has_rows_of_the_real_chain(gold_account: Path) -> None:
    """A model that only made-up rows could fill would be empty for every user."""
    models = [table for table in models_of(gold_account) if table.startswith("stg_")]
    assert len(models) >= 7
    empty = [
        model
        for model in models
        if one(gold_account, f"select count(*) from staging.{model}") == (0,)
    ]
    assert empty == []


def test_every_response_equals_the_other_count(
    gold_account: Path, account_logs: Path
) -> None:
    rows = query(
        gold_account,
        "select response_key, coalesce(input_tokens, 0), coalesce(output_tokens, 0),"
        " coalesce(cache_write_tokens, 0), coalesce(cache_read_tokens, 0)"
        " from marts.fct_api_responses",
    )
    names = independent_count.COUNTERS
    found = {key: dict(zip(names, tokens, strict=True)) for key, *tokens in rows}
    assert found == independent_count.count(account_logs)


def test_copies_stand_in_the_thread_of_their_session_and_in_no_sum(
    gold_account: Path,
) -> None:
    for session, shared in ((sid("b"), 11), (sid("c"), 7)):
        copied = query(
            gold_account,
            "select is_copy, count(*) from marts.thread_entries"
            " where session_id = ? group by is_copy order by is_copy",
            session,
        )
        assert copied == [(False, 2), (True, shared)]
        shown = one(
            gold_account,
            "select count(distinct e.entry_key) from marts.thread_entries as e"
            " join marts.thread_blocks as b on b.session_id = e.owner_session_id"
            " and b.entry_key = e.entry_key where e.session_id = ?",
            session,
        )
        assert shown == (2 + shared,)
        own = one(
            gold_account,
            "select messages, api_responses from marts.agg_session_metrics where session_id = ?",
            session,
        )
        assert own == (2, 1)


def test_sessions_know_what_they_were_made_from(gold_account: Path) -> None:
    rows = query(
        gold_account,
        "select session_id, parent_session_id, relation from marts.dim_sessions"
        " where relation is not null order by 1",
    )
    assert rows == [(sid("b"), sid("a"), "resume"), (sid("c"), sid("a"), "fork")]


def test_titles_come_from_the_summary_of_any_file(gold_account: Path) -> None:
    titles = dict(
        query(gold_account, "select session_id, title from marts.dim_sessions")
    )
    assert titles[sid("a")] == "Mend the door"
    assert titles[sid("d")] == "Send three agents"
    assert titles[sid("e")] == "old times"


def test_positions_are_dense_and_turns_follow_prompts(gold_account: Path) -> None:
    gaps = query(
        gold_account,
        "select session_id from marts.thread_entries group by session_id"
        " having min(position) <> 1 or max(position) <> count(*)",
    )
    assert gaps == []
    turns = query(
        gold_account,
        "select message_kind, turn_number from marts.thread_entries"
        " where session_id = ? and message_kind = 'prompt' order by position",
        sid("a"),
    )
    assert turns == [("prompt", 1), ("prompt", 2), ("prompt", 3)]


def test_agents_are_linked_to_their_calls_in_every_layout(gold_account: Path) -> None:
    rows = query(
        gold_account,
        "select tool_use_id, agent_id, parent_agent_id, depth from marts.dim_agents order by 1",
    )
    (old,) = [agent for call, agent, *_ in rows if call == "toolu_8"]
    assert rows == [
        ("toolu_5", "a1", None, 1),
        ("toolu_7", "a2", "a1", 2),
        ("toolu_8", old, None, 1),
    ]
    lost = one(
        gold_account,
        "select subagent_id from marts.fct_tool_calls where tool_use_id = 'toolu_6'",
    )
    assert lost == ("a3",)


def test_an_agent_has_the_type_of_its_call_or_of_its_meta_file(
    gold_account: Path,
) -> None:
    rows = query(
        gold_account,
        "select agent_id, agent_type from marts.dim_agents where agent_type is not null",
    )
    assert sorted(rows) == [("a1", "Explore"), ("a2", "Digger")]


def test_a_run_of_a_workflow_has_its_result_and_its_agents(gold_account: Path) -> None:
    rows = query(
        gold_account,
        "select session_id, workflow_run_id, tool_use_id, workflow_name, result"
        " from marts.dim_workflow_runs",
    )
    assert rows == [(sid("d"), "w1", None, "digging", '{"depth":[3]}')]
    agents = "select agent_id from marts.dim_agents where workflow_run_id = 'w1'"
    assert query(gold_account, agents) == [("a2",)]


def test_progress_records_count_where_the_agents_file_is_gone(
    gold_account: Path,
) -> None:
    rows = query(
        gold_account,
        "select message_id, output_tokens from marts.fct_api_responses where is_from_progress",
    )
    assert rows == [("msg_01l", 77)]


def test_an_image_is_known_once_and_shown_twice(gold_account: Path) -> None:
    """In a prompt and in a tool's result; what is no image of ours is none."""
    key, kind, size = one(
        gold_account, "select image_key, media_type, bytes from marts.images"
    )
    assert (kind, size) == ("image/png", len(PNG))
    assert one(gold_account, "select * from marts.image_data") == (key, PNG)
    shown = query(
        gold_account,
        "select block_kind from marts.thread_blocks where image_key = ?",
        key,
    )
    assert shown == [("image",), ("image",)]


def test_results_carry_no_ballast(gold_account: Path) -> None:
    heavy = query(
        gold_account,
        "select entry_key from marts.thread_blocks"
        " where result_json like '%originalFile%' or result_json like '%base64%'"
        " and block_kind = 'tool_result'",
    )
    assert heavy == []


@pytest.mark.parametrize(
    ("tool", "row"),
    [
        ("toolu_1", ("read", "py", 0, 0)),
        ("toolu_2", ("edit", "py", 2, 1)),
    ],
)
def test_changes_are_counted_from_the_patch(
    gold_account: Path, tool: str, row: tuple[object, ...]
) -> None:
    found = one(
        gold_account,
        "select operation, file_extension, lines_added, lines_removed"
        " from marts.fct_file_operations where tool_use_id = ?",
        tool,
    )
    assert found == row


def test_a_failed_call_tells_why_and_whether_it_was_tried_again(
    gold_account: Path,
) -> None:
    row = one(
        gold_account,
        "select is_error, error_kind, is_retried from marts.fct_tool_calls"
        " where tool_use_id = 'toolu_3'",
    )
    assert row == (True, "exit_code", True)


def test_an_unpriced_model_is_listed_and_counted_in_every_total(
    gold_account: Path,
) -> None:
    model = one(
        gold_account, "select is_priced from marts.dim_models where model = 'glm-9'"
    )
    assert model == (False,)
    session = one(
        gold_account,
        "select unpriced_responses, api_responses from marts.agg_session_metrics"
        " where session_id = ?",
        sid("a"),
    )
    assert session == (1, 6)
    (days,) = one(
        gold_account, "select sum(unpriced_responses) from marts.agg_daily_summary"
    )
    (facts,) = one(
        gold_account,
        "select count(*) from marts.fct_api_responses where not is_priced",
    )
    assert days == facts


def test_totals_are_the_same_in_every_aggregate(gold_account: Path) -> None:
    totals = {
        one(gold_account, f"select sum(total_tokens), sum(cost_usd) from marts.{table}")
        for table in (
            "fct_api_responses", "agg_session_metrics", "agg_turn_metrics",
            "agg_daily_summary", "agg_daily_model_cost", "agg_usage_blocks",
        )
    }  # fmt: skip
    assert len(totals) == 1


def test_history_tells_which_prompts_have_lost_their_transcript(
    gold_account: Path,
) -> None:
    rows = query(
        gold_account,
        "select prompt_text, has_transcript from marts.fct_history_prompts order by 1",
    )
    assert rows == [("fix the door", True), ("long gone", False)]


def test_half_a_surrogate_does_not_hide_a_line(gold_account: Path) -> None:
    rows = query(
        gold_account,
        "select text from marts.search_documents where text like 'lone%half'",
    )
    assert rows == [("lone \N{REPLACEMENT CHARACTER} half",)]


def test_search_numbers_rise_with_time(gold_account: Path) -> None:
    rows = query(
        gold_account,
        "select search_id, floor(epoch(said_at)) from marts.search_documents order by 1",
    )
    assert len(rows) > 9
    for number, second in rows:
        # As `first_number` of the search says; 0 is the least number with a time.
        assert number < 0 if second is None else number // 256 == second
