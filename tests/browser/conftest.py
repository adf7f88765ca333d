"""A running service on a free port, and headless Chromium to look at it."""

import os
import shutil
import threading
import time

import pytest
import uvicorn

from simulations.local_network.layout import free_ports

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,1000",
    "--accept-lang=en",
    # One process for pages and one for the rest, and no spare ones: a page costs two thirds of what it did.
    "--in-process-gpu",
    "--disable-software-rasterizer",
    "--disable-site-isolation-trials",
    "--process-per-site",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    # A window without the bar of buttons, which is a page itself: a quarter less.
    "--kiosk",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,PaintHolding,BackForwardCache,"
    "SpareRendererForSitePerProcess,RenderDocument,PreloadTopChromeWebUI,InitialWebUI,WebUIReloadButton,WebUIToolbar,"
    "WebUILocationBar,WebUIOmniboxPopup,WebUIOmniboxFullPopup,WebUIOmniboxAimPopup,WebUIBackForwardButton,"
    "WebUIAvatarButton,WebUIExtensionsContainer,WebUIPinnedToolbarActions,WebUISplitTabsButton",
)


class Served:
    """The world's service behind a real port."""

    def __init__(self, app):
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="warning", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self):
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the service did not start"
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture(scope="module")
def story_world(tmp_path_factory, ready_worlds):
    """A bank's best customer with issued credits and a price, a buyer, and money; nothing pledged yet."""
    from ready_worlds import with_a_story_to_tell

    with ready_worlds.copied("sqlite", tmp_path_factory.mktemp("browser") / "home", with_a_story_to_tell) as opened:
        world, (world.subject_id, world.issuance) = opened
        yield world


@pytest.fixture(scope="module")
def served(story_world):
    with Served(story_world.client.app) as running:
        yield running


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One headless browser with a fresh profile. Missing, it fails in CI and skips elsewhere."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        reason = "chromium and chromedriver are not installed (apt-get install chromium chromium-driver)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_page_load_timeout(30)
    yield browser
    browser.quit()


@pytest.fixture
def person(chromium, served):
    """Someone at the browser, signed out, with an empty log."""
    from person import Person

    someone = Person(chromium, served.url)
    someone.start_over()
    yield someone
    someone.require_quiet()
