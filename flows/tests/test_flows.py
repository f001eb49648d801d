"""The deployments on a real Prefect server; needs `.prefect`, which `just prefect` makes."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_door import ROOT, Stack
from harness import BIN, PATIENCE, free_port, wait_for

PREFECT = ROOT / ".prefect" / "bin" / "prefect"
PRICING = ROOT / "tests" / "fixtures" / "pricing" / "projects"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PREFECT.exists(), reason="needs .prefect: just prefect"),
]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path)
    made.environment["PREFECT_PORT"] = str(free_port())
    shutil.copytree(PRICING, made.logs)
    assert made.just("up").returncode == 0
    yield made
    made.just("down")
    made.kill_all()


def test_a_deployment_runs_the_pipeline_and_a_failure_is_reported(stack: Stack) -> None:
    notified = stack.home / "notified"
    server = subprocess.Popen(
        [str(ROOT / "flows" / "serve")],
        env=stack.environment | {"CCLAKE_ON_FAILURE": f"cat > {notified}"},
        start_new_session=True,
    )
    try:
        wait_for(lambda: deployments(stack) == 4, "four deployments are served")
        wait_for(lambda: scheduled(stack) > 0, "the next runs are scheduled")
        done = stack.just("run-daily")
        assert done.returncode == 0, done.stdout + done.stderr
        command = [str(BIN / "pipeline"), "runs", "--json"]
        listed = subprocess.check_output(command, env=stack.environment)
        modes = [run["mode"] for run in json.loads(listed)]
        assert "daily" in modes
        assert not notified.exists()
        ask(stack, "deployment", "run", "cclake/adhoc", "-p", "mode=wrong", "--watch")
        wait_for(notified.exists, "a notification of the failure")
        wait_for(lambda: "mode 'wrong'" in notified.read_text(), "with its reason")
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(PATIENCE)


def deployments(stack: Stack) -> int:
    return ask(stack, "deployment", "ls").count("cclake/")


def scheduled(stack: Stack) -> int:
    return ask(stack, "flow-run", "ls", "--state-type", "SCHEDULED").count("cclake")


def ask(stack: Stack, *words: str) -> str:
    """Return what the command `prefect` prints; it may fail."""
    url = f"http://127.0.0.1:{stack.environment['PREFECT_PORT']}/api"
    return subprocess.run(
        [str(PREFECT), *words],
        env=stack.environment | {"PREFECT_API_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    ).stdout
