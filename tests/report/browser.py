"""A headless Chromium for tests: found on the PATH with its driver, or the tests skip and say what is missing."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # WebGL 2 without a graphics card
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
# reading pixels back in the software renderer is slow, and Chromium says so
HARMLESS = ("GPU stall due to ReadPixels",)


class Browser:
    """One page at a time, at a given width and colour scheme."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, *, width: int, scheme: str, height: int = 900) -> None:
        """Load a file with the width of a desktop or of a phone, in the light or the dark scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.messages()  # those of the page before
        self.driver.get(path.as_uri())

    def run(self, script: str) -> Any:
        """The value that a script returns."""
        return self.driver.execute_script(script)

    def wait_for(self, script: str, seconds: float = 60.0) -> Any:
        """The first true value of a script."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.1)
        pytest.fail(f"{script} was not true after {seconds} seconds; console: {self.messages()}")

    def messages(self) -> list[str]:
        """What the console has said since it was last asked, errors and warnings."""
        found = [str(entry["message"]) for entry in self.driver.get_log("browser")]
        return [message for message in found if not any(words in message for words in HARMLESS)]

    def picture(self) -> bytes:
        """The visible part as PNG."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        return base64.b64decode(shot["data"])


@contextmanager
def start_browser(profile: Path) -> Iterator[Browser]:
    """A fresh browser; skips the test where Chromium, its driver or selenium is missing."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (the test extra has it)")
    from selenium.webdriver.chrome.service import Service

    browser, driver = _find(shutil.which)
    options = selenium.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = selenium.Chrome(options=options, service=Service(driver))
    try:
        yield Browser(started)
    finally:
        started.quit()


def _find(which: Callable[[str], str | None]) -> tuple[str, str]:
    browser = next((path for path in map(which, BROWSERS) if path), None)
    driver = which("chromedriver")
    if browser is None or driver is None:
        missing = "Chromium" if browser is None else "chromedriver"
        pytest.skip(f"no {missing} on the PATH (Debian: apt-get install chromium chromium-driver)")
    return browser, driver
