"""Bronze as the engine sees it, and the end at Ctrl-C; needs `.spark`: just spark."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from cclake_extract.schema import arrow_schema, ensure_table
from cclake_lake.catalog import open_catalog
from cclake_lake.settings import Lake
from chain import Chain
from gold import REPOSITORY
from harness import BIN, PATIENCE, wait_for
from seaweed import MISSING, WEED, seaweed
from spark_gold import PYTHON

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs .spark: just spark"),
]
READ = """
import json, os, sys
from pathlib import Path
from cclake_spark.engine import Gold, engine
location, snapshot, folder = sys.argv[1:]
with engine(Gold(location, snapshot, Path(folder), Path())) as session:
    rows = session.sql("select doc_id, part, extract_run from raw.conversations")
    print(json.dumps(sorted(map(list, rows.collect()))), flush=True)
    os._exit(0)
"""


@pytest.fixture(params=["folder", "S3"])
def lake(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lake]:
    """An empty lake in a folder; or on a real S3 server, with its REST catalog."""
    if request.param == "folder":
        yield Lake(str(tmp_path / "iceberg"))
        return
    if not WEED.exists():
        pytest.skip(MISSING)
    with seaweed(tmp_path / "weed") as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        yield Lake.from_env()


def test_bronze_is_one_snapshot_without_copies(lake: Lake, tmp_path: Path) -> None:
    table = ensure_table(lake, open_catalog(lake))

    def add(doc: str, run: int, buffer: str) -> None:
        row = {"doc_id": doc, "part": 0, "record_kind": "line", "host": "laptop"}
        row |= {"buffer": buffer, "seq": 1, "extract_run": run}
        table.append(pa.Table.from_pylist([row], arrow_schema(table.schema())))

    add("a", 1, "first")
    add("b", 2, "second")
    add("a", 3, "second")  # as when two buffers of a host have read a line
    head = table.current_snapshot()
    assert head
    add("c", 4, "first")  # extracted during the build
    seen = (table.location(), str(head.snapshot_id), str(tmp_path / "spark"))
    done = subprocess.run(
        [str(PYTHON), "-c", READ, *seen],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["a", 0, 1], ["b", 0, 2]]


def refusal(warehouse: Path, **settings: str) -> str:
    """Return what a build of an empty lake says that ends with an error."""
    lake = Lake(str(warehouse))
    ensure_table(lake, open_catalog(lake))
    env = os.environ | {
        "CCLAKE_BIN": str(BIN),
        "CCLAKE_HOME": str(warehouse.parent),
        "ICEBERG_WAREHOUSE_PATH": str(warehouse),
    }
    done = subprocess.run(
        [REPOSITORY / "spark" / "run", "build"],
        env=env | settings,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_lake_that_sail_cannot_open_is_one_clear_error(tmp_path: Path) -> None:
    said = refusal(tmp_path / "it's 100% mine")
    assert said.startswith("spark: Sail cannot open a lake in ")
    assert "ICEBERG_WAREHOUSE_PATH" in said


def test_prices_that_cannot_be_read_are_one_clear_error(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_bytes(b"model,input\n\xff\xfe,\x00\n")
    said = refusal(tmp_path / "iceberg", CCLAKE_PRICES=str(prices))
    assert said.startswith(f"spark: cannot read the prices in {prices}: ")
    assert "Correct the file that CCLAKE_PRICES names." in said


@pytest.mark.fault
def test_ctrl_c_ends_it_and_leaves_nothing(pricing: Chain, tmp_path: Path) -> None:
    env = pricing.env | {
        "CCLAKE_BIN": str(BIN),
        "CCLAKE_HOME": str(tmp_path),
        "ICEBERG_WAREHOUSE_PATH": str(pricing.home / "iceberg"),
    }
    command = [str(REPOSITORY / "spark" / "run"), "build"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True) as run:
        work = tmp_path / "spark" / "work"
        wait_for(lambda: work.exists() and any(work.iterdir()), "a table of gold")
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130
    assert said.endswith("spark: interrupted; readers keep the last complete build\n")
    assert "Traceback" not in said
    assert list((tmp_path / "spark").iterdir()) == []
