"""Declare the keys and indexes of the SQLite export.

Every join and every sort of the readers has its index, and no index is without a query
(`tests/web/test_web_indexes.py`): an index over random keys costs every publication a
page of the disk for each row. An index is created if the export has the table and all
of the columns.
"""

import re
from hashlib import blake2b

# Tables with a primary key; one of integers is SQLite's own row number.
PRIMARY_KEYS = {"export_info": "name", "thread_blocks": "search_id"}
# The table whose rows full-text search finds, and the columns that it needs.
SEARCHED = "thread_blocks"
SEARCHED_COLUMNS = (
    "search_id", "session_id", "entry_key", "block_no", "block_kind", "text",
    "tool_name", "tool_input", "words", "project_key", "result_tool", "error_kind",
)  # fmt: skip

# Not a table of gold, but a view that decodes images.
IMAGE_DATA = "create table image_data (image_key TEXT PRIMARY KEY, data BLOB)"

# Tables that dbt rebuilds session by session, and the column that names the session.
BY_SESSION = {
    "agg_call_quarters": "session_id",
    "agg_message_quarters": "session_id",
    "agg_response_quarters": "session_id",
    "agg_session_metrics": "session_id",
    "agg_turn_metrics": "session_id",
    "dim_sessions": "session_id",
    "fct_api_responses": "session_id",
    "fct_file_operations": "session_id",
    "fct_messages": "session_id",
    "fct_tool_calls": "session_id",
    "thread_blocks": "session_id",
    "thread_entries": "session_id",
}

# (table, columns or expressions over them).
INDEXES: tuple[tuple[str, str], ...] = (
    ("dim_sessions", "session_id"),
    # All that a search reads to find the sessions of a project or a model.
    ("dim_sessions", "project_key, started_at, models, session_id"),
    ("dim_sessions", "parent_session_id"),
    ("dim_sessions", "started_at"),
    # The order of the list.
    ("dim_sessions", "coalesce(ended_at, started_at, ''), session_id"),
    ("dim_projects", "project_key"),
    ("dim_agents", "session_id, agent_id"),
    ("agg_session_metrics", "session_id"),
    ("agg_turn_metrics", "session_id, turn_number"),
    ("agg_turn_metrics", "cost_usd, started_at, session_id, turn_number"),
    ("agg_call_quarters", "session_id"),
    ("agg_message_quarters", "session_id"),
    ("agg_response_quarters", "session_id"),
    # All columns that the dashboard reads, so that it need not read the rows.
    (
        "agg_response_quarters",
        "quarter_no, project_key, host, git_branch, model, is_sidechain, api_responses,"
        " cost_usd, total_tokens, unpriced_responses, session_id, max_context_tokens,"
        " model_responses, final_responses, uncounted_responses, input_tokens,"
        " output_tokens, cache_write_tokens, cache_read_tokens",
    ),
    (
        "agg_call_quarters",
        "tool_name, error_kind, quarter_no, project_key, host, git_branch, model,"
        " calls, durations, session_id",
    ),
    ("agg_message_quarters", "quarter_no, conversation_messages, session_id"),
    ("agg_daily_model_cost", "date_day, model, project_key, host"),
    ("agg_hourly_activity", "date_day, hour_of_day, project_key"),
    ("agg_cache_efficiency", "date_day, model, project_key"),
    ("agg_code_changes", "date_day, project_key, file_extension"),
    ("agg_usage_blocks", "block_start"),
    ("fct_messages", "session_id, entry_key"),
    ("thread_entries", "session_id, position"),
    ("thread_entries", "session_id, entry_key"),
    ("thread_entries", "session_id, agent_id, position"),
    ("thread_blocks", "session_id, entry_key, block_no"),
    ("thread_blocks", "tool_use_id"),
    ("thread_blocks", "image_key"),
    ("images", "image_key"),
    ("fct_api_responses", "message_id"),
    ("fct_response_items", "response_key"),
    ("fct_api_responses", "session_id, responded_at"),
    ("fct_api_responses", "responded_at"),
    ("fct_tool_calls", "tool_use_id"),
    ("fct_tool_calls", "session_id, called_at"),
    ("fct_file_operations", "session_id"),
    # All columns that the page of files reads, so that it need not read the rows.
    (
        "fct_file_operations",
        "file_path, operation, called_at, session_id, lines_added, lines_removed,"
        " is_error",
    ),
    ("fct_file_operations", "file_name, file_path"),
)


# Emoji are words, too; by default only letters and numbers are.
_EMOJI = "".join(
    chr(number)
    for first, last in (
        *((0x231A, 0x231B), (0x23E9, 0x23FA), (0x2600, 0x26FF), (0x2702, 0x2712)),
        *((0x2714, 0x2714), (0x2716, 0x2716), (0x271D, 0x271D), (0x2721, 0x2721)),
        *((0x2728, 0x2728), (0x2733, 0x2734), (0x2744, 0x2744), (0x2747, 0x2747)),
        *((0x274C, 0x274C), (0x274E, 0x274E), (0x2753, 0x2757), (0x2763, 0x2764)),
        *((0x2795, 0x2797), (0x27A1, 0x27A1), (0x27B0, 0x27B0), (0x27BF, 0x27BF)),
        *((0x2B05, 0x2B07), (0x2B1B, 0x2B1C), (0x2B50, 0x2B50), (0x2B55, 0x2B55)),
        *((0x1F1E6, 0x1F1FF), (0x1F300, 0x1F6FF), (0x1F7E0, 0x1F7EB)),
        *((0x1F90C, 0x1F9FF), (0x1FA70, 0x1FAFF)),
    )
    for number in range(first, last + 1)
)
_TEXT = """case when b.block_kind = 'tool_use' then b.tool_name || ' ' || b.tool_input
    else b.text end"""
# What a block is, as words that no text has: its kind, project, tool and failure.
_MARKS = """'k' || replace(b.block_kind, '_', '')
    || ' p' || hex(coalesce(b.project_key, ''))
    || iif(coalesce(b.tool_name, b.result_tool) is null, '',
        ' t' || hex(coalesce(b.tool_name, b.result_tool)))
    || iif(b.error_kind is null, '', ' e e' || hex(b.error_kind))"""
# The index over the texts of `thread_blocks`, by the words that gold has for them.
# With marks in it, SQLite need not read a block to know whether a search wants it.
SEARCH = (
    f"""create view search_texts as
    select b.search_id, coalesce(b.words, {_TEXT}) as text, {_MARKS} as marks
    from {SEARCHED} as b where trim({_TEXT}) <> ''""",
    f"""create virtual table search_fts using fts5(
    text, marks, content="search_texts", content_rowid=search_id,
    tokenize="unicode61 remove_diacritics 2 tokenchars '{_EMOJI}'")""",
)
# Views of gold that are views in both exports, too, as they hold texts of other tables.
VIEWS = {
    "search_documents": f"""
    select b.search_id, b.session_id, b.entry_key, b.block_no, b.block_kind,
        m.message_kind, m.said_at, m.project_key, m.host, {_TEXT} as text, b.words
    from {SEARCHED} as b
    join fct_messages as m on m.session_id = b.session_id and m.entry_key = b.entry_key
    where trim({_TEXT}) <> ''""",
}


def layout() -> str:
    """Return a digest of all declarations."""
    declared = repr((PRIMARY_KEYS, IMAGE_DATA, BY_SESSION, INDEXES, SEARCH, VIEWS))
    return blake2b(declared.encode(), digest_size=8).hexdigest()


def columns_of(index: str) -> tuple[str, ...]:
    """Return the names of the columns of one declared index."""
    return tuple(re.findall(r"\b[a-z_]+\b(?!\()", index))
