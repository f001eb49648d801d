"""The work of each model: responses, and items of the responses that have several."""

_COLUMNS = """
    response_key, session_id, project_key, host, usage_final, responded_at,
    input_tokens, output_tokens, cache_write_tokens, cache_read_tokens, cost_usd,
    is_priced, model_name as model, model as logged_model
"""
# A response is counted once, where `is_response` holds; a model that has several items
# of one response is counted once, where `is_first_of_model` holds.
PARTS = f"""(
    select {_COLUMNS}, true as is_response, true as is_first_of_model,
        not is_priced as is_first_unpriced
    from marts.fct_api_responses where price_parts < 2
    union all
    select {_COLUMNS}, is_response, is_first_of_model, is_first_unpriced
    from marts.fct_response_items
)"""
MODEL = "concat_ws(' ', t.model, t.logged_model)"
# The same with all columns of a response; an item takes those that it lacks from its
# response.
FULL_PARTS = """(
    select * from marts.fct_api_responses where price_parts < 2
    union all by name
    select items.*, responses.request_id, responses.entry_key, responses.sessions,
        responses.is_from_progress, responses.price_parts
    from marts.fct_response_items as items
    join marts.fct_api_responses as responses using (response_key)
)"""
