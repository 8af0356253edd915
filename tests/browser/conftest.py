"""Chromium in front of real embedded servers, and a picture of every step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.pages import SIZE, Album
from tests.browser.traffic import Traffic
from tests.installation import HOST, ROOT, Installation, running

ARTIFACTS = ROOT / "test-artifacts" / "browser"
# Nothing but the servers can be reached, neither by a page nor by the browser for itself.
ONLY_THE_SERVERS = ["--proxy-server=127.0.0.1:9", f"--proxy-bypass-list={HOST}"]


def find_chromium() -> str | None:
    """The machine's Chromium, or one that Playwright has downloaded."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@pytest.fixture(scope="package")
def chromium() -> str:
    """Path of the browser; without one the tests are skipped, in CI they fail."""
    if found := find_chromium():
        return found
    reason = (
        "browser: got no Chromium, wanted one to open both interfaces with. "
        "On Debian: apt-get install chromium; elsewhere: .venv/bin/playwright install chromium"
    )
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ONLY_THE_SERVERS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def servers(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Servers on which nothing ran yet."""
    with running(tmp_path_factory.mktemp("browser")) as servers:
        yield servers


@pytest.fixture(scope="package")
def traffic() -> Traffic:
    """All that the pages asked for."""
    return Traffic()


@pytest.fixture(scope="package")
def page(browser: Browser, servers: Installation, traffic: Traffic) -> Iterator[Page]:
    """The tab of somebody who has never been here."""
    context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]})
    context.set_default_timeout(60_000)
    traffic.watch(context)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="package")
def album() -> Album:
    """Pictures of the steps, for whoever wants to see them; those of the last time are gone."""
    shutil.rmtree(ARTIFACTS, ignore_errors=True)
    ARTIFACTS.mkdir(parents=True)
    return Album(ARTIFACTS)


@pytest.fixture(autouse=True)
def _pictured(page: Page, album: Album, request: pytest.FixtureRequest) -> Iterator[None]:
    """What the newest tab shows at the end of each test, also of one that failed."""
    yield
    album.add(page.context.pages[-1], request.node.name.removeprefix("test_"))


@pytest.fixture
def for_readme(request: pytest.FixtureRequest) -> bool:
    """Whether the pictures of the README are wanted."""
    return bool(request.config.getoption("--pictures"))
