"""Budgets and accounts on the pages, from the two files in the data directory."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest
from sample import sample
from webface import Web, serving

DASHBOARD = "/dashboard?period=all"
THIS_MONTH = """from agg_response_quarters
where quarter_no * 900 >= strftime('%s', 'now', 'start of month') + 0"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("money")
    sample().write(folder / "exports" / "conversations.db")
    home = folder / "home"
    home.mkdir()
    with serving(folder / "exports", folder / "web.log", CCLAKE_HOME=str(home)) as web:
        yield web
    assert '" 500 ' not in (folder / "web.log").read_text()


@pytest.fixture
def home(served: Web) -> Path:
    """Return the data directory of the server, without either file."""
    folder = served.exports.parent / "home"
    for name in ("budgets.toml", "accounts.toml"):
        (folder / name).unlink(missing_ok=True)
    return folder


def budgets(web: Web, path: str = DASHBOARD) -> list[list[str]]:
    """Return the cells of each budget on the dashboard."""
    text = web.get(path).text
    if 'aria-label="Budgets"' not in text:
        return []
    table = text.partition('aria-label="Budgets"')[2].partition("</table>")[0]
    return [
        [unescape(re.sub("<[^>]+>", "", cell)) for cell in row.split("</td>")]
        for row in table.partition("<tbody>")[2].split("<tr>")[1:]
    ]


def value(web: Web, sql: str) -> float:
    found = web.get(f"/conversations.json?sql={quote(sql)}").json()["rows"][0][0]
    return float(found)


def test_the_dashboard_shows_what_is_used_of_the_budgets(
    served: Web, home: Path
) -> None:
    assert budgets(served) == []
    (home / "budgets.toml").write_text(
        'timezone = "UTC"\n'
        '[[budget]]\nname = "<b>much"\nperiod = "month"\nusd = 1_000_000\n'
        '[[budget]]\nname = "little"\nperiod = "month"\ntokens = 1\n'
    )
    # In the first hours of a month there may be little of the sample, or nothing.
    used, tokens, missing = (
        value(served, f"select coalesce(sum({column}), 0) {THIS_MONTH}")
        for column in ("cost_usd", "total_tokens", "unpriced_responses")
    )
    shown = {row[0]: row for row in budgets(served)}
    assert list(shown) == (["little", "<b>much"] if tokens else ["<b>much", "little"])
    little, much = shown["little"], shown["<b>much"]
    state = "reached" if tokens else "lasts this month"
    assert little[3:5] == ["1 tokens a month", state]
    assert much[2:5] == [
        f"{'≥ ' if missing else ''}${used:,.2f} 0%",
        "$1,000,000.00 a month",
        "lasts this month",
    ]
    # Whatever is selected, also if there is nothing.
    nothing = "/dashboard?since=1999-01-01&until=1999-01-02"
    assert budgets(served, nothing) == list(shown.values())


def test_a_wrong_file_is_one_line_on_the_dashboard(served: Web, home: Path) -> None:
    (home / "budgets.toml").write_text('[[budget]]\nperiod = "<i>year"\nusd = 1\n')
    text = served.get(DASHBOARD).text
    problem = "budgets.toml, line 2: budget 1: period is not one of day, week, month"
    assert problem in text
    assert "<i>year" not in text
    assert "Most expensive prompts" in text


ACCOUNTS = """
[[account]]
name = "Work"
folder = "/home/me/alpha"

[[account]]
name = "<i>team"
host = "server"
"""
PLACES = """select s.session_id, s.host, p.project_path from dim_sessions s
left join dim_projects p on p.project_key = s.project_key"""


@pytest.fixture
def expected(served: Web, home: Path) -> dict[str, set[str]]:
    """Write the rules; return the sessions of each account."""
    (home / "accounts.toml").write_text(ACCOUNTS)
    found: dict[str, set[str]] = {"Work": set(), "<i>team": set(), "none": set()}
    for session, host, path in served.get(
        f"/conversations.json?sql={quote(PLACES)}"
    ).json()["rows"]:
        is_work = path == "/home/me/alpha"
        found["Work" if is_work else "<i>team" if host == "server" else "none"].add(
            session
        )
    assert all(found.values())
    return found


def listed(web: Web, path: str) -> set[str]:
    return set(re.findall(r'class="title" href="/session/([^"?]+)', web.get(path).text))


def test_the_list_is_filtered_by_account(
    served: Web, expected: dict[str, set[str]]
) -> None:
    for account, sessions in expected.items():
        assert listed(served, f"/?account={quote(account)}") == sessions
    text = served.get("/").text
    choice = text.partition('<select name="account"')[2].partition("</select>")[0]
    offered = dict(re.findall(r'value="([^"]*)">([^<]*)<', choice))
    assert {unescape(value): unescape(label) for value, label in offered.items()} == {
        "": "Account: all",
        "Work": f"Work ({len(expected['Work'])})",
        "<i>team": f"<i>team ({len(expected['<i>team'])})",
        "none": f"no account ({len(expected['none'])})",
    }
    assert listed(served, "/?account=unknown") == set()


def test_an_edited_file_counts_for_old_sessions_at_once(
    served: Web, home: Path, expected: dict[str, set[str]]
) -> None:
    (home / "accounts.toml").write_text('[[account]]\nname = "Work"\nhost = "server"\n')
    assert listed(served, "/?account=work") == expected["<i>team"]
    (home / "accounts.toml").write_text("[[account]]\n")  # wrong: as if there were none
    assert 'name="account"' not in served.get("/").text
    assert (
        "accounts.toml, line 1: account 1: name is miss" in served.get(DASHBOARD).text
    )
    (home / "accounts.toml").unlink()
    assert 'name="account"' not in served.get("/").text


def test_the_dashboard_is_divided_by_account(
    served: Web, expected: dict[str, set[str]]
) -> None:
    counts = []
    for account, sessions in expected.items():
        text = served.get(f"{DASHBOARD}&account={quote(account)}").text
        ids = ", ".join(f"'{one}'" for one in sessions)
        number = value(
            served,
            f"select count(*) from fct_api_responses where session_id in ({ids})",
        )
        assert f"{number:,.0f} response" in text or "has no API responses" in text
        counts.append(number)
        links = re.findall(r'href="/conversations\?(sql=[^"]+)"', text)
        for link in links[:3]:
            assert (
                served.get(f"/conversations.json?{unescape(link)}").status_code == 200
            )
    assert sum(counts) == value(served, "select count(*) from fct_api_responses")
    assert served.get("/compare?a_account=Work&b_account=none").status_code == 200


def test_a_search_is_restricted_to_an_account(
    served: Web, expected: dict[str, set[str]]
) -> None:
    def hits(words: str, more: str = "") -> set[str]:
        text = served.get(f"/search?q={quote(words)}{more}").text
        return set(re.findall(r'href="/session/([^"?]+)', text))

    work, rest = hits("the account:wor"), hits("the -account:wor")
    assert work
    assert rest
    assert work <= expected["Work"]
    assert rest <= expected["none"] | expected["<i>team"]
    assert set() < hits("the account:none") <= expected["none"]
    assert hits("the account:unknown") == set()
    assert hits("the", "&account=Work") == work
    assert hits("account:work") <= expected["Work"]
