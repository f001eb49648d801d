"""`metabase apply` creates everything once."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cclake_metabase.layout import places
from cclake_metabase.model import COLUMNS, Dashboard, load
from harness import PATIENCE, wait_for
from metabase_schemas import problem
from metabase_stand_in import USER, Metabase, stand_in

DASHBOARDS = load()
CARDS = [card for dashboard in DASHBOARDS for card in dashboard.cards]


@pytest.fixture
def there() -> Iterator[Metabase]:
    """A stand-in for Metabase that runs."""
    with stand_in() as metabase:
        yield metabase


def metabase(
    *arguments: str, settings: dict[str, str], ok: int = 0
) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        ["metabase", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | settings,
        timeout=PATIENCE,
    )
    assert done.returncode == ok, done.stderr
    return done


def apply(there: Metabase, *arguments: str, ok: int = 0) -> list[dict[str, str]]:
    key = {"METABASE_API_KEY": there.key}
    done = metabase(
        "apply", "--url", there.url, "--json", *arguments, settings=key, ok=ok
    )
    changes: list[dict[str, str]] = json.loads(done.stdout)
    return changes


def test_every_dashboard_is_in_one_collection_with_all_its_cards(
    there: Metabase,
) -> None:
    apply(there)
    (collection,) = there.alive("collection")
    (database,) = there.alive("database")
    assert database["details"]["db"].endswith("/exports/conversations.db")
    made = {each["name"]: each for each in there.alive("dashboard")}
    assert list(made) == [each.name for each in DASHBOARDS]
    for dashboard in DASHBOARDS:
        body = made[dashboard.name]
        names = [there.things["card"][x["card_id"]]["name"] for x in body["dashcards"]]
        assert names == [card.name for card in dashboard.cards]
        assert body["collection_id"] == collection["id"]


def test_every_filter_reaches_a_card_and_every_mapping_a_tag(there: Metabase) -> None:
    apply(there)
    for dashboard in there.alive("dashboard"):
        offered = {each["id"] for each in dashboard["parameters"]}
        used = set()
        for dashcard in dashboard["dashcards"]:
            card = there.things["card"][dashcard["card_id"]]
            tags = card["dataset_query"]["native"]["template-tags"]
            for mapping in dashcard["parameter_mappings"]:
                assert mapping["card_id"] == card["id"]
                assert mapping["target"] == [
                    "variable",
                    ["template-tag", mapping["parameter_id"]],
                ]
                assert mapping["parameter_id"] in tags
                used.add(mapping["parameter_id"])
        assert used == offered
        for parameter in dashboard["parameters"]:
            source = parameter.get("values_source_config")
            assert source is None or source["card_id"] in there.things["card"]


def test_a_body_that_metabase_would_refuse_is_refused(there: Metabase) -> None:
    apply(there)
    (first, *_) = there.alive("dashboard")
    body = {"parameters": first["parameters"], "dashcards": first["dashcards"]}
    assert problem("PUT", "dashboard", body) == ""
    for wrong in ("isMultiselect", "values-source-type"):
        parameter = first["parameters"][0] | {wrong: False}
        assert wrong in problem("PUT", "dashboard", body | {"parameters": [parameter]})
    dashcard = first["dashcards"][0] | {"sizeX": 4}
    assert "sizeX" in problem("PUT", "dashboard", body | {"dashcards": [dashcard]})
    card = {k: v for k, v in there.alive("card")[0].items() if k != "id"}
    assert problem("POST", "card", card) == ""
    assert "display" in problem("POST", "card", card | {"display": " "})
    assert "dataset_query" in problem("POST", "card", card | {"dataset_query": {}})


def test_a_second_run_writes_nothing(there: Metabase) -> None:
    assert apply(there)
    there.writes.clear()
    assert apply(there) == []
    assert there.writes == []


def test_a_lost_ledger_makes_no_second_copy(there: Metabase, tmp_path: Path) -> None:
    apply(there)
    before = {kind: sorted(kept) for kind, kept in there.things.items()}
    (tmp_path / "cclake" / "metabase" / "applied.json").unlink()
    assert {each["what"] for each in apply(there)} == {"changed"}
    assert {kind: sorted(kept) for kind, kept in there.things.items()} == before


@pytest.mark.parametrize("writes", [0, 1, 2, 5, 20, 47])
def test_the_next_run_completes_an_interrupted_one(
    there: Metabase, writes: int
) -> None:
    there.fail_after = writes
    apply(there, ok=1)
    there.fail_after = None
    apply(there)
    names = [each["name"] for each in there.alive("card")]
    assert len(names) == len(set(names)) == len(CARDS) + 3
    assert all(each["dashcards"] for each in there.alive("dashboard"))


def test_cards_that_were_removed_from_the_code_go_to_the_trash(
    there: Metabase, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (
        'name = "Mine"\ndescription = ""\n[[cards]]\nname = "{}"\ndisplay = "scalar"\n'
        'width = 6\nheight = 3\nsql = "select 1 as one"\n'
    )
    (folder / "a.toml").write_text(text.format("First"))
    apply(there, "--dashboards", str(folder))
    (folder / "a.toml").write_text(text.format("Second"))
    changes = apply(there, "--dashboards", str(folder))
    assert {"what": "archived", "name": "card Mine / First"} in changes
    names = {each["name"] for each in there.alive("card")}
    assert "Second" in names
    assert "First" not in names
    assert apply(there, "--dashboards", str(folder)) == []


def test_objects_that_were_deleted_by_hand_are_created_again(there: Metabase) -> None:
    apply(there)
    card = next(each for each in there.alive("card") if each["name"] == "Cost in all")
    card["archived"] = True
    changes = apply(there)
    assert {"what": "created", "name": "card Cost / Cost in all"} in changes
    assert {"what": "changed", "name": "dashboard Cost"} in changes


def test_a_new_metabase_gets_its_first_user_and_an_old_one_is_signed_in(
    there: Metabase,
) -> None:
    settings = {"METABASE_EMAIL": USER[0], "METABASE_PASSWORD": USER[1]}
    metabase("apply", "--url", there.url, settings=settings)
    assert there.user == USER
    assert not there.tracking
    done = metabase("apply", "--url", there.url, settings=settings)
    assert "nothing to change" in done.stderr


def test_a_wrong_key_is_refused_and_what_to_do_is_said(there: Metabase) -> None:
    done = metabase(
        "apply", "--url", there.url, ok=1, settings={"METABASE_API_KEY": "wrong"}
    )
    assert "METABASE_API_KEY" in done.stderr
    assert "wrong" not in done.stderr


def test_without_metabase_the_failure_says_so_and_can_be_tried_again() -> None:
    done = metabase(
        "apply",
        "--url",
        "http://127.0.0.1:9",
        "--wait",
        "0.5",
        ok=75,
        settings={"METABASE_API_KEY": "k"},
    )
    assert done.stderr.startswith("waiting for Metabase at http://127.0.0.1:9 ...")
    assert "metabase serve" in done.stderr


def test_a_refresh_reopens_the_export(there: Metabase) -> None:
    apply(there)
    there.writes.clear()
    metabase("refresh", "--url", there.url, settings={"METABASE_API_KEY": there.key})
    (database,) = there.alive("database")
    path = f"/api/database/{database['id']}"
    assert there.writes == [f"PUT {path}", f"POST {path}/sync_schema"]


def test_each_new_export_is_reopened_until_asked_to_stop(
    there: Metabase, tmp_path: Path
) -> None:
    export = tmp_path / "conversations.db"
    export.write_text("first")
    apply(there, "--export", str(export))
    there.writes.clear()
    following = subprocess.Popen(
        ["metabase", "refresh", "--url", there.url, "--export", export, "--follow"],
        env=os.environ | {"METABASE_API_KEY": there.key},
    )
    try:
        wait_for(lambda: len(there.writes) == 2, "opened at the start")
        new = tmp_path / "new"
        new.write_text("second")
        new.replace(export)
        wait_for(lambda: len(there.writes) == 4, "opened after the swap")
        following.terminate()
        assert following.wait(PATIENCE) == 0
    finally:
        following.kill()


def test_metabase_is_started_on_loopback_with_tracking_off(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\necho "$@"; env | grep ^MB_\n')
    java.chmod(0o755)
    jar = tmp_path / "metabase.jar"
    jar.touch()
    settings = {"JAVA": str(java), "METABASE_PORT": "3456"}
    said = metabase("serve", "--jar", str(jar), settings=settings).stdout.splitlines()
    assert said[0] == f"-jar {jar}"
    assert {
        "MB_JETTY_HOST=127.0.0.1",
        "MB_JETTY_PORT=3456",
        "MB_ANON_TRACKING_ENABLED=false",
        "MB_CHECK_FOR_UPDATES=false",
    } <= set(said)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_the_rows_of_the_grid_are_full(dashboard: Dashboard) -> None:
    widths: dict[int, int] = {}
    for place in places(dashboard.cards):
        widths[place.row] = widths.get(place.row, 0) + place.card.width
    assert set(widths.values()) == {COLUMNS}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('display = "bargraph"', "no display"),
        ('display = "bar"', "needs x and y"),
        ('display = "table"\nwidth = 25', "width"),
        ('display = "table"\nsql = "select {{colour}}"', "unknown filters"),
        ('display = "table"\ncolour = "red"', "colour"),
    ],
)
def test_a_mistake_in_a_dashboard_is_named(
    tmp_path: Path, line: str, says: str
) -> None:
    card = {"name": '"C"', "width": "6", "height": "3", "sql": '"select 1"'}
    card |= dict(part.split(" = ", 1) for part in line.split("\n"))
    body = "\n".join(f"{name} = {value}" for name, value in card.items())
    (tmp_path / "bad.toml").write_text(
        f'name = "Bad"\ndescription = ""\n[[cards]]\n{body}\n'
    )
    done = metabase("check", "--dashboards", str(tmp_path), ok=1, settings={})
    assert "bad.toml" in done.stderr
    assert says in done.stderr
