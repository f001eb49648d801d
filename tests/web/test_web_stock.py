"""Secrets on Datasette's own pages: tables, rows, canned queries and SQL."""

import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sample import GITHUB_TOKEN, MAIN, sample
from webface import Web, serving

pytest_plugins = ("webfixtures",)

SECRET = GITHUB_TOKEN[4:]
HAS_IT = "select text from thread_blocks where text like '%the key is%'"
TABLE = "/conversations/thread_blocks"
WHERE = "text__contains=the+key+is"
WITH_SQL = f"/conversations{{}}?sql={quote(HAS_IT)}"
PATHS = (
    f"{TABLE}?{WHERE}", f"{TABLE}.json?{WHERE}",
    *(f"{TABLE}.json?{WHERE}&_shape={s}" for s in ("objects", "array", "arrays")),
    f"{TABLE}.json?{WHERE}&_shape=array&_nl=on", f"{TABLE}.json?{WHERE}&_json=text",
    f"{TABLE}.csv?{WHERE}", f"{TABLE}.csv?{WHERE}&_stream=1", f"{TABLE}.csv?_stream=1",
    f"{TABLE}.csv?{WHERE}&_dl=1", f"{TABLE}?{WHERE}&_facet=text",
    f"{TABLE}.json?{WHERE}&_facet=text", f"{TABLE}?{WHERE}&_sort=text",
    WITH_SQL.format(""), WITH_SQL.format(".json"), WITH_SQL.format(".csv"),
    WITH_SQL.format(".json") + "&_shape=array&_nl=on",
    f"/conversations.json?sql={quote(HAS_IT.replace('text from', 'cast(text as blob) from'))}",
    f"/conversations.json?sql={quote('select group_concat(text) from thread_blocks')}",
    f"/conversations.json?sql={quote('select json_group_array(text) from thread_blocks')}",
    f"/conversations.json?sql={quote('select text as t union ' + HAS_IT).replace('text%20as%20t', '1')}",
    "/conversations/prompts_about?words=key", "/conversations/prompts_about.json?words=key",
    "/conversations/prompts_about.csv?words=key",
    "/conversations/search_documents?_search=key", "/conversations/search_documents.json?_search=key",
    "/conversations/search_fts.json?_shape=array",
)  # fmt: skip


def row_of(web: Web) -> str:
    sql = quote("select rowid from thread_blocks where text like '%the key is%'")
    return str(web.get(f"/conversations.json?sql={sql}").json()["rows"][0][0])


@pytest.mark.parametrize("path", PATHS)
def test_secrets_are_masked_on_datasettes_own_pages(web: Web, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 200, answer.text[:500]
    assert SECRET not in answer.text
    assert binascii.b2a_base64(SECRET.encode()).decode()[:20] not in answer.text
    if "fts" not in path:
        assert "ghp_••" in answer.text.replace("\\u2022", "•") or "cast" in path


def test_a_row_is_masked_and_revealed_on_request(web: Web) -> None:
    row = row_of(web)
    for ending in ("", ".json"):
        path = f"{TABLE}/{row}{ending}"
        assert SECRET not in web.get(path).text
        assert SECRET in web.get(f"{path}?_reveal=1").text
    page = web.get(f"{TABLE}?{WHERE}").text
    assert "/-/login" not in page  # without a password or a team
    link = re.search(r'href="([^"]+_reveal=1)">Reveal secrets', page)
    assert link
    assert SECRET in web.get(link[1].replace("&amp;", "&")).text
    assert SECRET not in web.get(f"{TABLE}?{WHERE}").text
    assert SECRET not in web.get(f"{TABLE}.csv?{WHERE}&x_reveal=1").text
    assert SECRET in web.get(f"{TABLE}.csv?{WHERE}&_stream=1&_reveal=1").text


def test_images_leave_datasette_as_they_are(web: Web) -> None:
    rows = web.get("/conversations/image_data.json?_shape=array").json()
    assert rows[0]["data"]["$base64"]


def test_sql_that_takes_a_secret_apart_is_not_masked(web: Web) -> None:
    """Show what masking of results can't do, as the documentation says."""
    sql = quote(HAS_IT.replace("text from", "hex(text) from"))
    (row,) = web.get(f"/conversations.json?sql={sql}").json()["rows"]
    assert SECRET in bytes.fromhex(row[0]).decode()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("closed")
    sample().write(folder / "exports" / "conversations.db")
    with serving(folder / "exports", folder / "log", CCLAKE_WEB_REVEAL="no") as served:
        yield served


def test_where_nothing_may_be_revealed_nobody_runs_sql_of_their_own(
    closed: Web,
) -> None:
    for path in (
        WITH_SQL.format(""), WITH_SQL.format(".json"), WITH_SQL.format(".csv"),
        f"{TABLE}.json?{WHERE}", f"{TABLE}/1", f"{TABLE}/1.json", f"{TABLE}.csv?_stream=1",
        "/conversations/dim_sessions.json?first_prompt__startswith=The",
        "/conversations/search_documents.json?_search=key", "/conversations/search_fts.json",
        "/conversations/search_fts_data.json", "/conversations/image_data.json",
        "/conversations/fct_messages.json?_where=exists(select+1)",
    ):  # fmt: skip
        for reveal in ("", "_reveal=1"):
            answer = closed.get(path + ("&" if "?" in path else "?") + reveal)
            allowed = answer.status_code == 200 and "_where" in path
            assert answer.status_code == 403 or allowed, path
            assert SECRET not in answer.text
            if allowed:
                assert "not allowed" in answer.text, path
    for path in ("/conversations/fct_api_responses.json", "/conversations/agg_session_metrics",
                 "/conversations/prompts_about?words=key", "/conversations"):  # fmt: skip
        answer = closed.get(f"{path}{'&' if '?' in path else '?'}_reveal=1")
        assert answer.status_code == 200, path
        assert SECRET not in answer.text
    links = re.findall(
        r'href="(/conversations/[^"]+)">SQL', closed.get("/dashboard?period=30").text
    )
    assert len(links) == 13
    assert {closed.get(link).status_code for link in links} == {200}
    assert SECRET not in closed.get(f"/session/{MAIN}?reveal=1").text
    assert SECRET not in closed.get(f"/session/{MAIN}/export.md?reveal=1").text


def test_what_a_page_read_for_one_visitor_is_masked_for_the_next(
    tmp_path: Path,
) -> None:
    sample().write(tmp_path / "exports" / "conversations.db")
    with serving(tmp_path / "exports", tmp_path / "log") as web:
        for _ in range(12):  # more than there are connections
            assert SECRET in web.get(f"{TABLE}.json?{WHERE}&_reveal=1").text
            assert SECRET not in web.get(f"{TABLE}.json?{WHERE}").text


def test_datasettes_pages_have_our_header_and_groups(web: Web) -> None:
    for path in (
        "/conversations",
        "/conversations/dim_sessions",
        "/conversations/days",
    ):
        text = web.get(path).text
        assert '<html lang="en">' in text, path
        assert 'aria-current="page"' in text, path
        assert "<h3" not in text, path
    text = web.get("/conversations").text
    order = [text.index(f"<h2>{one}</h2>") for one in ("Facts", "Sums", "Dimensions")]
    assert order == sorted(order)
    assert text.count('href="/conversations/fct_tool_calls"') == 1
    assert (
        f'<a href="/session/{MAIN}">' in web.get("/conversations/thread_entries").text
    )


def test_an_unknown_address_has_our_colours_too(web: Web) -> None:
    answer = web.get("/no/such/page")
    assert answer.status_code == 404
    styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', answer.text)
    assert [name.rpartition("/")[2] for name in styles[1:]] == [
        "theme.css",
        "stock.css",
    ]
    assert all(web.get(address).status_code == 200 for address in styles)
    assert "Nothing is at this address" in answer.text
    assert "<script" not in answer.text and "style=" not in answer.text


def test_a_query_is_plotted_from_its_address(web: Web) -> None:
    sql = quote(
        "select 'a' as name, 3 as n union select 'b', 4.5 union select 'c', null"
    )
    for kind, shape in (("bar", "<rect"), ("line", "<polyline")):
        text = web.get(f"/conversations?sql={sql}&_plot={kind}&_x=name&_y=n").text
        figure = text.partition('<figure class="plotted">')[2].partition("</figure>")[0]
        assert shape in figure
        assert ">b</text>" in figure
        assert '<input type="hidden" name="sql"' in text
    assert "is a number" in web.get(f"/conversations?sql={sql}&_plot=bar&_y=name").text
    assert "<figure" not in web.get(f"/conversations?sql={sql}&_plot=pie").text


def test_what_is_plotted_is_only_text(web: Web) -> None:
    attack = "<img src=x onerror=window.pwned=1>"
    sql = quote(f"""select '{attack}' as "{attack}", 1e308 * 10 as n, '{attack}' as session_id
        union all select 'x', 'nan', 'y' union all select null, -5, null""")
    for query in (
        "_plot=bar&_y=n",
        "_plot=line&_y=n",
        "_plot=bar",
        f"_plot=bar&_x={quote(attack)}",
    ):
        answer = web.get(f"/conversations?sql={sql}&{query}")
        assert answer.status_code == 200
        assert "<img src=x" not in answer.text
