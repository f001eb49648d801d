"""Documents become rows; a value of another type is null and the rest stays."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from bson import Binary, DatetimeMS, Int64, ObjectId
from cclake_extract.rows import batch_of, columns_of
from cclake_extract.schema import COLUMNS, arrow_schema


class NoFiles:
    """Every document carries its bytes itself."""

    def of(self, document: dict[str, Any]) -> bytes | None:
        raw = document.get("raw")
        return raw if isinstance(raw, bytes) else None


def row(**fields: Any) -> dict[str, Any]:
    """The one row of a document with these fields."""
    document = {"_id": Binary(b"\1" * 24), "buffer": "b", "seq": Int64(9)} | fields
    columns = columns_of([document], 4, NoFiles())  # type: ignore[arg-type]
    (found,) = batch_of(columns, arrow_schema()).to_pylist()
    return dict(found)


ENTRY = {
    "type": "assistant",
    "parentUuid": "p",
    "requestId": "r",
    "isSidechain": True,
    "agentId": "a",
    "version": "2.1.0",
    "cwd": "/x",
    "gitBranch": "main",
    "subtype": "s",
    "message": {"id": "m", "model": "claude"},
}


def test_each_column_has_its_field() -> None:
    source = {"file": "ab", "gen": 2, "off": Int64(7), "len": 300}
    at = datetime(2025, 6, 1, 1, 2, 3, 4000)
    found = row(
        entry=ENTRY, host="h", kind="line", projectId="p", sourceFile="p/f",
        sessionId="s1", type="assistant", uuid="u", timestamp=at, ingestedAt=at,
        source=source,
    )  # fmt: skip
    assert found == {
        "doc_id": "01" * 24, "part": 0, "record_kind": "line", "host": "h",
        "buffer": "b", "seq": 9, "extract_run": 4, "project_id": "p",
        "source_file": "p/f", "file_key": "ab", "gen": 2, "off": 7, "len": 300,
        "session_id": "s1", "type": "assistant", "subtype": "s", "uuid": "u",
        "parent_uuid": "p", "timestamp": at.replace(tzinfo=UTC),
        "ingested_at": at.replace(tzinfo=UTC), "message_id": "m", "request_id": "r",
        "model": "claude", "is_sidechain": True, "agent_id": "a", "version": "2.1.0",
        "cwd": "/x", "git_branch": "main", "error": None,
        "entry": orjson.dumps(ENTRY).decode(), "raw": None,
    }  # fmt: skip


def test_values_of_other_types_are_null_and_stay_in_the_entry() -> None:
    odd = {
        "message": "text", "isSidechain": "yes", "version": 2, "cwd": ["/x"],
        "parentUuid": {}, "subtype": 1, "data": [], "attachment": None,
    }  # fmt: skip
    found = row(
        entry=odd, host=1, timestamp=DatetimeMS(2**60), ingestedAt="now",
        source={"gen": 2**40, "off": -1, "len": True},
    )  # fmt: skip
    empty = [name for name, value in found.items() if value is None]
    assert set(empty) == {c[0] for c in COLUMNS} - {
        "doc_id", "part", "record_kind", "buffer", "seq", "extract_run", "entry",
    }  # fmt: skip
    assert orjson.loads(found["entry"]) == odd


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({"subtype": "a", "data": {"type": "b"}}, "a"),
        ({"data": {"type": "b"}, "attachment": {"type": "c"}}, "b"),
        ({"attachment": {"type": "c"}}, "c"),
    ],
)
def test_the_subtype_comes_from_the_first_place_that_has_one(
    entry: dict[str, Any], wanted: str
) -> None:
    assert row(entry=entry)["subtype"] == wanted


def test_raw_bytes_that_are_an_object_are_the_entry() -> None:
    line = b'{ "version": "1" }'
    found = row(entry={"version": "1"}, raw=line)
    assert (found["entry"], found["raw"]) == (line.decode(), None)
    assert row(raw=line)["version"] == "1"


def test_raw_bytes_that_are_no_object_stay_beside_what_is_parsed() -> None:
    found = row(entry={"version": "1"}, raw=b'{"version": NaN}')
    assert (found["entry"], found["raw"]) == ('{"version":"1"}', b'{"version": NaN}')


def test_a_document_may_have_an_object_id() -> None:
    assert row(_id=ObjectId("0" * 24), entry={})["doc_id"] == "0" * 24


@pytest.mark.parametrize("broken", [{"_id": 5, "entry": {}}, {"entry": 3}, {}])
def test_a_document_without_identity_or_content_is_refused(
    broken: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"_id is of type|neither entry nor raw"):
        row(**broken)
