"""The arithmetic of `just bench live`: what it prints is what was measured."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import live_table
from live_logs import TURN, Logs
from live_sides import blocks


def test_medians_ranges_and_ratios() -> None:
    assert live_table.middle([3.0]) == "3.00"
    assert live_table.middle([9.0, 1.0, 2.0]) == "2.00 (1.00–9.00)"
    assert live_table.ratio([4.0, 2.0, 3.0], [2.0, 1.0, 30.0]) == 1.5


def test_what_only_one_of_both_has_gets_no_ratio() -> None:
    disk = {"disk_bytes": {"all": 2_000_000}, "rest_each": {"mongod": [90.0, 0.1]}}
    found = {
        "ours": {"one_s": [2.0], "gold_s": [4.0], "rest_pss_mb": 300.0, **disk},
        "agentsview": {"one_s": [1.0], "rest_pss_mb": 150.0, **disk},
        "source_lines": 7,
    }
    lines = live_table.table(found).splitlines()
    assert lines[1].split() == ["one_s", "2.00", "1.00", "2.00"]
    assert lines[2].split() == ["gold_s", "4.00"]
    assert lines[3].split() == ["rest_pss_mb", "300.0", "150.0"]
    assert "ours, MB on the disk: all 2" in lines
    assert "ours, MB and % of a core at rest: mongod 90.0 0.1" in lines


def test_lines_are_appended_whole_and_new(tmp_path: Path) -> None:
    logs = Logs(tmp_path, 1000)
    before = logs.size()
    sessions = [*logs.work(100, "needle"), *logs.say("pin")]
    texts = [path.read_text(encoding="utf-8") for path in logs.files]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    assert len(lines) == logs.lines + 100 + 1
    assert logs.size() > before
    assert len({line["uuid"] for line in lines}) == len(lines)
    assert (
        len({line["requestId"] for line in lines if "requestId" in line})
        == (logs.lines + 100) // TURN
    )
    spoken = [line for line in lines if "needle" in json.dumps(line)]
    assert {line["sessionId"] for line in spoken} == set(sessions)
    assert len(spoken) == 2  # once in each session
    assert {line["type"] for line in spoken} == {"assistant"}


def test_blocks_count_what_lies_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"x" * 100_000)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10_000_000)
    assert 100_000 <= blocks(tmp_path) < 1_000_000
