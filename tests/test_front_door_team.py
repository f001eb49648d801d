"""A team: two machines ship into one MongoDB, a third has the lake and the pages."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_door import ROOT, Stack
from harness import Mongod, connect, wait_for

PRICING = ROOT / "tests" / "fixtures" / "pricing" / "projects"
SESSIONS = (
    "11111111-1111-4111-8111-111111111111",
    "33333333-3333-4333-8333-333333333333",
)


def machine(folder: Path, mongod: Mongod, name: str, role: str) -> Stack:
    made = Stack(folder / name)
    made.environment |= {
        "MONGO_URI": mongod.uri,
        "MONGO_DB": "team",
        "CCLAKE_HOST": name,
        "CCLAKE_ROLE": role,
    }
    (folder / name).mkdir()
    return made


@pytest.fixture
def team(tmp_path: Path, mongod: Mongod) -> Iterator[dict[str, Stack]]:
    made = {
        name: machine(tmp_path, mongod, name, role)
        for name, role in {"ann": "ship", "ben": "ship", "lake": "serve"}.items()
    }
    yield made
    for stack in made.values():
        stack.just("down")
        stack.kill_all()
    with connect(mongod.uri) as client:
        client.drop_database("team")


@pytest.mark.slow
def test_two_machines_ship_and_a_third_shows_both(
    team: dict[str, Stack], mongod: Mongod
) -> None:
    for name, project in {"ann": "-home-me-alpha", "ben": "-home-me-beta"}.items():
        shutil.copytree(PRICING / project, team[name].logs / project)
        ended = team[name].just("up")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "pages" not in ended.stdout
        assert running(team[name]) == ["flusher", "ingest"]
        assert team[name].just("status").returncode == 0
    ended = team["lake"].just("up")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    status = team["lake"].just("status", "--json")
    assert status.returncode == 0, status.stdout
    assert json.loads(status.stdout)["role"] == "serve"
    page = team["lake"].page("/")
    assert all(session in page for session in SESSIONS)
    with connect(mongod.uri) as client:
        conversations = client["team"].conversations
        assert sorted(conversations.distinct("host")) == ["ann", "ben"]
        assert conversations.count_documents({}) == sum(
            team[name].lines() for name in ("ann", "ben")
        )
    for name in ("ann", "ben"):
        verified = team[name].just("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    late = team["ann"].logs / "-home-me-alpha" / "late.jsonl"
    late.write_text('{"type":"mode","sessionId":"late-session"}\n')
    wait_for(lambda: shipped(mongod, "late-session"), "a late line is shipped")


def running(stack: Stack) -> list[str]:
    """The names of the programs that run for a stack."""
    found = json.loads(stack.just("status", "--json").stdout)
    return [p["name"] for p in found["processes"] if p["state"] == "RUNNING"]


def shipped(mongod: Mongod, session: str) -> bool:
    with connect(mongod.uri) as client:
        return client["team"].conversations.find_one({"sessionId": session}) is not None
