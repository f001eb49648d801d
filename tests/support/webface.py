"""The web face as a real process, and a real Chromium to look at it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forkserver
import httpx
from harness import PATIENCE, free_port, wait_for
from playwright.sync_api import Browser, Page, expect, sync_playwright

SERVE = Path(__file__).parents[2] / "datasette" / "serve"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip


class Web:
    """`datasette/serve` on a free port."""

    def __init__(self, exports: Path, log: Path, **settings: str) -> None:
        self.exports, self.log, self.port = exports, log, free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        # Nothing answers on port 9: without a setting there is no MongoDB.
        self.settings = {"MONGO_URI": "mongodb://127.0.0.1:9", **settings}
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=self.base, timeout=PATIENCE)

    def start(self) -> "Web":
        env = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.log.parent), "EXPORT_DIR": str(self.exports),
            "WEB_PORT": str(self.port), "TZ": "UTC", **forkserver.environment(),
            **self.settings,
        }  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([SERVE], env=env, stdout=log, stderr=log)
        wait_for(self.answers, f"the web face answers; see {self.log}")
        return self

    def answers(self) -> bool:
        try:
            self.client.get("/-/cclake/0/icon.svg")
        except httpx.TransportError:
            return False
        return True

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            finally:
                self.process.kill()
                self.process.wait(PATIENCE)
        self.client.close()


@contextmanager
def serving(exports: Path, log: Path, **settings: str) -> Iterator[Web]:
    web = Web(exports, log, **settings)
    try:
        yield web.start()
    finally:
        web.stop()


def chromium() -> str | None:
    """The path of a Chromium, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = [path for name in names if (path := shutil.which(name))]
    return os.environ.get("CCLAKE_CHROMIUM") or (found[0] if found else None)


@contextmanager
def browsing() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=list(FLAGS)
        )
        yield browser
        browser.close()


class Watched:
    """A page whose every request and every message is noted."""

    def __init__(self, browser: Browser, web: Web, **options: Any) -> None:
        self.web = web
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE * 1000)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda m: self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def open(self, path: str) -> Page:
        self.page.goto(self.web.base + path)
        return self.page

    @property
    def outside(self) -> list[str]:
        """Requests to anywhere else."""
        ours = (self.web.base, "data:", "blob:", "about:")
        return [url for url in self.requests if not url.startswith(ours)]

    def close(self) -> None:
        self.context.close()
