"""Clients of MongoDB: their options, and what a failure says."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from cclake_archive.client import connect, durable, open_database, reason
from cclake_common.failure import TRY_LATER, Failure
from harness import Mongod, free_port
from pymongo.errors import ServerSelectionTimeoutError

QUICK = "serverSelectionTimeoutMS=100"


def options(uri: str, **given: Any) -> dict[str, Any]:
    with connect(uri, "test", connect=False, **given) as client:
        return dict(client.options._options)


def test_the_address_wins_over_defaults_and_loses_to_options() -> None:
    uri = "mongodb://127.0.0.1/?serverselectiontimeoutms=700"
    assert options("mongodb://127.0.0.1")["serverselectiontimeoutms"] == 10
    assert options(uri)["serverselectiontimeoutms"] == 0.7
    assert options(uri, serverSelectionTimeoutMS=200)["serverselectiontimeoutms"] == 0.2
    named = options("mongodb://127.0.0.1", serverSelectionTimeoutMS=200)
    assert named["serverselectiontimeoutms"] == 0.2
    waits = {"socketTimeoutMS": 3000}
    assert options(uri, defaults=waits)["sockettimeoutms"] == 3
    other = f"{uri}&socketTimeoutMS=4000"
    assert options(other, defaults=waits)["sockettimeoutms"] == 4
    assert options(other, socketTimeoutMS=None).get("sockettimeoutms") is None


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://me:se@cret@db.example:70000/",
        "mongodb://me:secret@127.0.0.1/?tls=true&tlsCAFile=/nope",
        "mongodb://[::1",
        "mongodb://",
    ],
)
def test_an_address_that_is_none_is_one_sentence_without_its_password(uri: str) -> None:
    with pytest.raises(Failure, match="cannot be used as MONGO_URI") as failure:
        connect(uri, "test")
    assert "cret" not in str(failure.value) + failure.value.hint
    assert failure.value.code == 1


def test_a_server_that_is_away_is_one_sentence_without_secrets() -> None:
    uri = f"mongodb://me:secret@127.0.0.1:{free_port()}/?{QUICK}&authSource=hidden"
    with (
        pytest.raises(Failure, match=r"^MongoDB at mongodb://me:\*\*\*@127") as failure,
        open_database(uri, "archive", "test", hint="Start it.") as database,
    ):
        database.command("ping")
    assert "does not answer: 127.0.0.1" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert "secret" not in str(failure.value)
    assert "hidden" not in str(failure.value)
    assert (failure.value.hint, failure.value.code) == ("Start it.", TRY_LATER)


def test_a_server_that_refuses_is_not_taken_for_one_that_is_away(
    mongod: Mongod,
) -> None:
    with (
        pytest.raises(Failure, match="refuses: no such command"),
        open_database(mongod.uri, "archive", "test") as database,
    ):
        database.command("no_such_command")


def test_a_socket_is_named_as_it_is_in_its_address(tmp_path: Path) -> None:
    uri = f"mongodb://{str(tmp_path / 'm.sock').replace('/', '%2F')}/?{QUICK}"
    with (
        pytest.raises(Failure, match=r"m\.sock does not answer"),
        open_database(uri, "archive", "test") as database,
    ):
        database.command("ping")


def test_a_reason_is_one_line_that_is_not_empty() -> None:
    assert reason(ServerSelectionTimeoutError("a, Timeout: 5s\nb")) == "a"
    assert reason(ServerSelectionTimeoutError("")) == "ServerSelectionTimeoutError"
    assert len(reason(ServerSelectionTimeoutError("x" * 999))) == 200


def test_writes_are_acknowledged_from_the_journal(mongod: Mongod) -> None:
    with connect(mongod.uri, "test") as client:
        concern = durable(client, f"test_{uuid.uuid4().hex}").write_concern
    assert concern.document == {"w": 1, "j": True}
