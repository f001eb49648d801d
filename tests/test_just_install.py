"""Install with `./just`, and a stand-in for Python's venv and pip."""

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
[ ! -e says ] || [ "$2" != --progress-bar ] || cat says
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


def start(checkout: Path, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [checkout / "just", "up"],
        env=os.environ | {"PYTHON": str(checkout / "python")} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def just(checkout: Path, **more: str) -> tuple[int, str, str]:
    process = start(checkout, **more)
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


def test_a_link_to_the_checkout_installs_nothing_again(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    just(checkout)
    elsewhere = tmp_path_factory.mktemp("links")
    (elsewhere / "lake").symlink_to(checkout)
    (elsewhere / "lake-up").symlink_to(checkout / "just")
    for command in ("lake/just", "lake-up"):
        done = subprocess.run(
            [elsewhere / command, "up"],
            env=os.environ | {"PWD": str(elsewhere)},
            cwd=elsewhere,
            capture_output=True,
            text=True,
        )
        assert (done.stdout, done.stderr) == ("runs up with first\n", "")
    assert installs(checkout) == 1


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


SAYS = """\
Ignoring colorama: markers 'sys_platform == "win32"' don't match your environment
Collecting one==1.0 (from -r requirements.lock (line 1))
  Downloading one-1.0-py3-none-any.whl (12.5 MB)
Collecting two==2.0 (from -r requirements.lock (line 2))
  Using cached two-2.0-py3-none-any.whl (99.9 MB)
Collecting three==3.0 (from -r requirements.lock (line 3))
  Downloading three-3.0.tar.gz (700 kB)
Installing collected packages: one, two, three
"""


def test_it_says_what_it_installs_a_line_a_stage(checkout: Path) -> None:
    (checkout / "says").write_text(SAYS)
    lines = just(checkout)[2].splitlines()
    assert lines[0].startswith("Installing cclake into .venv with Python 3.")
    assert lines[1:3] == [
        "  3 packages, 13 MB downloaded: unpacking ...",
        "  3 tools of cclake ...",
    ]
    assert lines[3].startswith("  installed in ")
    assert len(lines) == 4


@pytest.mark.fault
def test_what_pip_says_of_a_failure_is_shown_whole(checkout: Path) -> None:
    (checkout / "broken").touch()
    why = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n    one from lock:\n"
    (checkout / "says").write_text(SAYS.split("Installing")[0] + why)
    assert why in just(checkout)[2]


@pytest.mark.parametrize("works", [True, False])
def test_uv_is_used_where_it_is_and_pip_where_it_fails(
    checkout: Path, works: bool
) -> None:
    uv = checkout / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(
        '#!/bin/sh\necho "$*" >>uv.log\necho "Installed 9 packages in 1s"\n'
        + ("" if works else "exit 2\n")
    )
    uv.chmod(0o755)
    path = f"{uv.parent}{os.pathsep}{os.environ['PATH']}"
    code, out, err = just(checkout, PATH=path)
    assert (code, out) == (0, "runs up with first")
    assert "unpacked 9 packages in 1s" in err
    assert "--require-hashes" in (checkout / "uv.log").read_text()
    assert installs(checkout) == (0 if works else 1)
