"""The same documents by ingestr and dlt, from a virtual environment of their own."""

import csv
import shutil
from pathlib import Path

import duckdb
from lake_place import Cost, Place

# Nested values as text and Parquet files: the fastest way that dlt has.
_DLT = """
import sys
import dlt, orjson, pymongo

uri, name, folder = sys.argv[1:]

@dlt.resource(name="conversations", max_table_nesting=0)
def conversations():
    batch = []
    for document in pymongo.MongoClient(uri)[name]["conversations"].find():
        document["_id"] = document["_id"].hex()
        document["entry"] = orjson.dumps(document["entry"]).decode()
        document["source"] = orjson.dumps(document["source"]).decode()
        batch.append(document)
        if len(batch) == 5000:
            yield batch
            batch = []
    yield batch

pipeline = dlt.pipeline(
    "bench",
    pipelines_dir=folder + "/state",
    destination=dlt.destinations.filesystem("file://" + folder + "/out"),
    dataset_name="lake",
)
pipeline.run(conversations(), loader_file_format="parquet")
"""


def peers(venv: Path | None) -> list[str]:
    """The peers that are installed there."""
    return [
        name for name in ("ingestr", "dlt") if venv and (venv / "bin" / name).exists()
    ]


def run(name: str, venv: Path, place: Place) -> Cost:
    """Measure a peer for everything from nothing."""
    folder = place.home / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place.env |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DISABLE_TELEMETRY": "true"}
    place.env |= {"INGESTR_DISABLE_TELEMETRY": "true", "HOME": str(folder)}
    if name == "dlt":
        python = str(venv / "bin" / "python")
        return place.time(python, "-c", _DLT, place.uri, place.name, str(folder))
    return place.time(
        str(venv / "bin" / "ingestr"),
        "ingest",
        *("--source-uri", place.uri),
        *("--source-table", f"{place.name}.conversations"),
        # Its driver for DuckDB is a download of its own; CSV is its fastest without.
        *("--dest-uri", f"csv://{folder / 'lake.csv'}"),
        *("--dest-table", "main.conversations"),
        "--yes",
    )


def rows(name: str, place: Place) -> int:
    """Return the number of rows that the peer has written."""
    folder = place.home / name
    if name == "ingestr":
        csv.field_size_limit(1 << 30)
        with (folder / "lake.csv").open(newline="", encoding="latin-1") as file:
            return sum(1 for _ in csv.reader(file)) - 1
    query = f"select count(*) from '{folder}/out/lake/conversations/*.parquet'"
    with duckdb.connect() as db:
        found = db.execute(query).fetchone()
    return int(found[0]) if found else 0
