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
    used = value(
        served,
        "select sum(cost_usd) from agg_response_quarters where quarter_no * 900 >="
        " strftime('%s', 'now', 'start of month') + 0",
    )
    assert used > 0
    little, much = budgets(served)
    assert little[0] == "little"
    assert little[3:5] == ["1 tokens a month", "reached"]
    assert much[0] == "<b>much"
    assert much[2:5] == [
        f"≥ ${used:,.2f} 0%",
        "$1,000,000.00 a month",
        "lasts this month",
    ]
    # Whatever is selected, also if there is nothing.
    nothing = "/dashboard?since=1999-01-01&until=1999-01-02"
    assert budgets(served, nothing) == [little, much]


def test_a_wrong_file_is_one_line_on_the_dashboard(served: Web, home: Path) -> None:
    (home / "budgets.toml").write_text('[[budget]]\nperiod = "<i>year"\nusd = 1\n')
    text = served.get(DASHBOARD).text
    problem = "budgets.toml, line 2: budget 1: period is not one of day, week, month"
    assert problem in text
    assert "<i>year" not in text
    assert "Most expensive prompts" in text
