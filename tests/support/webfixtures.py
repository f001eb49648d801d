"""One server over the sample export, and one Chromium, for all web tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from sample import sample
from webface import Watched, Web, browsing, chromium, serving


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web")
    sample().write(folder / "exports" / "conversations.db")
    with serving(folder / "exports", folder / "web.log") as served:
        yield served
    assert '" 500 ' not in (folder / "web.log").read_text()


# Not for the session: while it is open, nothing else can run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not chromium():
        pytest.skip("no Chromium here")
    with browsing() as found:
        yield found


@pytest.fixture
def tab(browser: Browser, web: Web) -> Iterator[Watched]:
    watched = Watched(browser, web, viewport={"width": 1280, "height": 900})
    yield watched
    watched.close()
