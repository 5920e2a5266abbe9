"""A headless browser, where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

# Also long enough for the back-off of a pull, which doubles with every failure.
_SECONDS = 90.0
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

    def texts(self, css: str) -> list[str]:
        """Texts of all elements at one moment, whatever replaces them then."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".map((element) => element.textContent)"
        )
        found: list[str] = self.driver.execute_script(script, css)
        return found

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

    def visit(self, ingress: str, username: str, path: str) -> None:
        """Look at a page as somebody else than before."""
        self.driver.get(ingress)
        self.driver.delete_all_cookies()
        self.log_in(ingress, username, path)

    def wait_for_text(self, css: str, text: str) -> None:
        """Wait until an element has a text, which may come with a new element.

        While a page is replaced, the driver fails in more ways than one.
        """
        WebDriverWait(
            self.driver,
            _SECONDS,
            ignored_exceptions=[WebDriverException],
        ).until(
            lambda driver: any(
                text in element.text
                for element in driver.find_elements(By.CSS_SELECTOR, css)
            )
        )

    def barriers(self) -> list[str]:
        """What keeps people with disabilities out of the page, as axe sees it."""
        self.driver.execute_script(_axe())
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(done)"
        )
        return [
            f"{violation['id']}: {[node['html'] for node in violation['nodes']]}"
            for violation in found["violations"]
        ]

    def complaints(self) -> list[str]:
        """What the browser has complained of: scripts, styles, policies."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")  # type: ignore[no-untyped-call]
            if "favicon" not in entry["message"]
        ]


@cache
def _axe() -> str:
    """The accessibility engine, which comes with a package."""
    package = files("selenium_axe_python")
    return package.joinpath("axe-core", "axe.min.js").read_text()


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
