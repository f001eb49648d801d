import os
import shutil
import subprocess
import sys
from pathlib import Path

from front_door import ROOT
from harness import PATIENCE, Mongod, connect

DIES = "import os\n\n\ndef test_that_ends_its_worker():\n    os._exit(3)\n"
PASSES = "import pytest\n\n\n@pytest.mark.parametrize('n', range(4))\ndef test_that_passes(n):\n    pass\n"


def test_the_private_mongod_is_a_real_one(mongod: Mongod, mongo_db: str) -> None:
    with connect(mongod.uri) as client:
        client[mongo_db].things.insert_one({"_id": 1})
        assert client[mongo_db].things.count_documents({}) == 1
        assert client.server_info()["version"].split(".")[0] >= "5"


def test_a_worker_that_dies_ends_the_run_with_the_name_of_its_test(
    tmp_path: Path,
) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_a.py").write_text(DIES)
    for name in ("test_b.py", "test_c.py", "test_d.py"):
        (tmp_path / name).write_text(PASSES)
    recipe = (ROOT / "justfile").read_text().partition("\ntest *options:")[2]
    options = recipe.partition("--dist ")[2].partition(' "$@"')[0].split()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "--dist", *options, tmp_path],
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "crashed while running 'test_a.py::test_that_ends_its_worker'" in done.stdout
    assert "worker restarting disabled" in done.stdout
