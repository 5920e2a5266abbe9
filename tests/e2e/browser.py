"""A headless browser, where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_SECONDS = 15.0
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--window-size=1100,1000",
)


class Browser:
    """Chromium, as a user sees and handles it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def find(self, css: str) -> WebElement:
        """Wait for an element."""
        return WebDriverWait(self.driver, _SECONDS).until(
            lambda driver: driver.find_element(By.CSS_SELECTOR, css)
        )

    def find_all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def wait_for_path(self, end: str) -> None:
        """Wait until the path of the address has an end."""
        WebDriverWait(self.driver, _SECONDS).until(
            lambda driver: urlsplit(driver.current_url).path.endswith(end)
        )

    def log_in(self, ingress: str, username: str, then: str) -> None:
        """Log in at the platform, and go on to a page."""
        self.driver.get(f"{ingress}/?rd={then}")
        field = self.find("input[name=username]")
        field.clear()
        field.send_keys(username)
        self.find("form button").click()
        self.wait_for_path(then)

    def complaints(self) -> list[str]:
        """What the browser has complained of: scripts, styles, policies."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")  # type: ignore[no-untyped-call]
            if "favicon" not in entry["message"]
        ]


@contextmanager
def start_browser(*, scripts: bool = True) -> Iterator[Browser]:
    """Start a browser, perhaps one that runs no scripts."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs chromium and chromedriver; see make browser")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        setting = "profile.managed_default_content_settings.javascript"
        options.add_experimental_option("prefs", {setting: 2})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield Browser(chrome)
    finally:
        chrome.quit()
