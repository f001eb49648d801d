"""How `./just` installs, with a stand-in for Python's venv and pip."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import PATIENCE, wait_for

ROOT = Path(__file__).parents[1]
PYTHON = """\
#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
mkdir -p "$3/bin"
cat >"$3/bin/pip" <<'END'
#!/bin/sh
echo "$*" >>pip.log
while [ -e slow ]; do sleep 0.05; done
[ ! -e broken ]
END
cat >"$3/bin/just" <<'END'
#!/bin/sh
echo "runs $* with $(cat .venv/made)"
END
echo "$(cat requirements.lock)" >"$3/made"
chmod +x "$3/bin/pip" "$3/bin/just"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "just", tmp_path)
    for folder in ("tools/one", "datasette", "metabase"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pyproject.toml").write_text("")
    (tmp_path / "requirements.lock").write_text("first")
    (tmp_path / "python").write_text(PYTHON.format(python=sys.executable))
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def start(checkout: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [checkout / "just", "up"],
        env=os.environ | {"PYTHON": str(checkout / "python")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def just(checkout: Path) -> tuple[int, str, str]:
    process = start(checkout)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out.strip(), err


def installs(checkout: Path) -> int:
    log = checkout / "pip.log"
    return log.read_text().count("requirements.lock") if log.exists() else 0


def test_it_installs_once_and_again_when_the_lock_changes(checkout: Path) -> None:
    assert just(checkout)[:2] == (0, "runs up with first")
    assert just(checkout) == (0, "runs up with first", "")
    assert installs(checkout) == 1
    (checkout / "requirements.lock").write_text("second")
    assert just(checkout)[:2] == (0, "runs up with second")
    assert installs(checkout) == 2
    assert not (checkout / ".venv.old").exists()


def test_two_at_once_install_once(checkout: Path) -> None:
    (checkout / "slow").touch()
    first = start(checkout)
    wait_for(lambda: installs(checkout) == 1, "pip is at work")
    second = start(checkout)
    time.sleep(1)
    (checkout / "slow").unlink()
    for process in (first, second):
        assert process.communicate(timeout=PATIENCE)[0].strip() == "runs up with first"
    assert installs(checkout) == 1


@pytest.mark.fault
def test_an_update_that_fails_leaves_what_worked(checkout: Path) -> None:
    just(checkout)
    (checkout / "requirements.lock").write_text("second")
    (checkout / "broken").touch()
    code, out, err = just(checkout)
    assert (code, out) == (1, "")
    assert "could not be installed" in err
    assert (checkout / ".venv" / "made").read_text() == "first\n"
    (checkout / "broken").unlink()
    assert just(checkout)[:2] == (0, "runs up with second")


@pytest.mark.fault
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_install_that_is_killed_is_begun_again(
    checkout: Path, how: signal.Signals
) -> None:
    just(checkout)
    (checkout / "requirements.lock").write_text("second")
    (checkout / "slow").touch()
    process = start(checkout)
    wait_for(lambda: installs(checkout) == 2, "pip is at work")
    process.send_signal(how)
    (checkout / "slow").unlink()
    assert process.wait(PATIENCE) != 0
    if how == signal.SIGTERM:
        assert (checkout / ".venv" / "made").read_text() == "first\n"
    process.communicate()
    assert just(checkout)[:2] == (0, "runs up with second")
    assert not (checkout / ".venv.old").exists()
