"""A replica set with TLS and users that may do no more than they need."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from chain import Chain
from documents import document, entry
from front_door import ROOT
from harness import wait_for
from pymongo.errors import OperationFailure
from team_mongo import PASSWORDS, TeamMongo

DATABASE = "claude_logs"
PRICING = ROOT / "tests" / "fixtures" / "pricing" / "projects"
UNAUTHORIZED = 13
LONG = 17 << 20


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamMongo]:
    found = TeamMongo(tmp_path_factory.mktemp("team"))
    try:
        yield found.start(DATABASE)
    finally:
        found.kill()


def refused(work: Any) -> None:
    with pytest.raises(OperationFailure) as error:
        work()
    assert error.value.code == UNAUTHORIZED


@pytest.mark.slow
def test_the_whole_chain_works_with_the_rights_that_the_manual_names(
    team: TeamMongo, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    long = entry(1) | {"message": {"role": "user", "content": "x" * LONG}}
    (logs / "p").mkdir(parents=True)
    (logs / "p" / "long.jsonl").write_text(json.dumps(long) + "\n")
    shipping = Chain(tmp_path / "ship", team.uri("shipper"), DATABASE)
    shipping.archive(PRICING)
    shipping.env["CLAUDE_DIR"] = f"{PRICING}:{logs}"
    shipping.archive(logs)
    proof = shipping.tool("verify")
    assert proof.returncode == 0, proof.stdout + proof.stderr

    serving = Chain(tmp_path / "serve", team.uri("serve"), DATABASE)
    serving.env["CLAUDE_DIR"] = str(tmp_path / "none")
    with team.client("shipper") as client:
        db = client[DATABASE]
        lines = db.conversations.count_documents({})
        good = document(json.dumps(entry(2)).encode(), 10_000, host="X" * 8)
        broken = bson.encode(good).replace(b"X" * 8, b"\xff" * 8)
        db.conversations.insert_one(RawBSONDocument(broken))
        db.watermarks.update_one(
            {"_id": "a" * 32}, {"$set": {"acked_seq": 10_000}}, upsert=True
        )
    taken = serving.answer("extract")
    assert (taken["rows"], taken["dead"]) == (lines, 1)
    assert serving.answer("load")["rows"] == lines
    listed = serving.answer("extract", "dead-letters")
    assert [one["doc_id"] for one in listed] == [good["_id"].hex()]

    with team.client("serve") as client:
        db = client[DATABASE]
        refused(lambda: db.conversations.insert_one({}))
        refused(lambda: db.conversations.delete_many({}))
        refused(lambda: db.watermarks.update_one({}, {"$set": {"acked_seq": 0}}))
        refused(lambda: db.extract_dead_letters.delete_many({}))
        refused(lambda: client["other"].x.insert_one({}))
    with team.client("shipper") as client:
        refused(lambda: client["other"].x.insert_one({}))
        refused(lambda: client.admin.command("createUser", "me", pwd="x", roles=[]))


def test_a_wrong_password_is_refused_and_not_a_matter_of_later(
    team: TeamMongo, tmp_path: Path
) -> None:
    chain = Chain(tmp_path, team.uri("serve", "a-wrong-one"), DATABASE)
    for tool in ("extract", "verify"):
        failed = chain.tool(tool)
        assert failed.returncode == 1, failed.stderr
        assert f"{tool}: MongoDB at mongodb://serve:***@" in failed.stderr
        assert " refuses: Authentication failed" in failed.stderr
        assert "a-wrong-one" not in failed.stderr


def test_a_server_of_an_unknown_authority_is_not_trusted(
    team: TeamMongo, tmp_path: Path
) -> None:
    uri = team.uri("serve", is_trusted=False) + "&serverSelectionTimeoutMS=500"
    failed = Chain(tmp_path, uri, DATABASE).tool("extract")
    assert failed.returncode == 75
    assert "certificate verify failed" in failed.stderr
    assert PASSWORDS["serve"] not in failed.stderr


@pytest.mark.slow
@pytest.mark.fault
def test_a_step_down_delays_the_shipping_and_loses_nothing(
    team: TeamMongo, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    (logs / "p").mkdir(parents=True)
    path = logs / "p" / "a.jsonl"
    chain = Chain(tmp_path, team.uri("shipper"), DATABASE)
    with team.client("admin") as client:
        db = client[DATABASE]
        before = db.conversations.count_documents({})
        for first in range(0, 200, 100):
            with path.open("a") as file:
                for number in range(first, first + 100):
                    file.write(json.dumps(entry(number)) + "\n")
            chain.read(logs)
            wait_for(lambda: team.primary() is not None, "a primary")
            client.admin.command("replSetStepDown", 5, force=True)
            chain.deliver()
        wait_for(lambda: team.primary() is not None, "a primary")
        assert db.conversations.count_documents({}) == before + 200
    chain.env["CLAUDE_DIR"] = str(logs)
    proof = chain.tool("verify")
    assert proof.returncode == 0, proof.stdout + proof.stderr
