"""JupyterHub and JupyterLab, as a user sees and handles them."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.browser import Browser

_PATIENCE_SECONDS = 240.0
_STATUS = "#jp-main-statusbar .jp-StatusBar-Item"


class Pages:
    """A browser of one user."""

    def __init__(self, browser: Browser, url: str, username: str) -> None:
        self.browser = browser
        self.driver = browser.driver
        self._url = url
        self._username = username
        browser.log_in(url, username, "/nb/hub/home")

    @property
    def path(self) -> str:
        """Where the browser is."""
        return urlsplit(self.driver.current_url).path

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is seen, on however busy a machine."""
        waiting = WebDriverWait(
            self.driver, _PATIENCE_SECONDS, 0.1, ignored_exceptions=[WebDriverException]
        )
        waiting.until(lambda _: condition(), f"{what}; at {self.path}")

    # --- JupyterHub ------------------------------------------------------

    def open_form(self) -> None:
        """Go to the form from which labs are chosen."""
        self.driver.get(f"{self._url}/nb/hub/spawn")
        self.wait(lambda: self._find("input[name=size]"), "the form is shown")

    def choose_uncached_image(self) -> str:
        """Choose an image that no node has; returns its tag."""
        self._click("#nublado-image-other")
        menu = Select(self._find("select[name=image_dropdown]"))
        option = next(o for o in menu.options if "starts fast" not in o.text)
        reference = option.get_attribute("value")
        assert reference
        menu.select_by_value(reference)
        return reference.partition("@")[0].rpartition(":")[2]

    def submit(self) -> None:
        """Ask for the lab that was chosen."""
        self._click("#spawn_form .feedback-container button")

    def spawn(self) -> None:
        """Ask for the lab that the form proposes, and see its progress."""
        self.open_form()
        self.submit()
        self.wait(lambda: "/spawn-pending/" in self.path, "the progress is shown")

    def steps(self) -> list[str]:
        """Steps that the page with the progress has shown so far."""
        script = "return [...document.querySelectorAll(arguments[0])]"
        script += ".map((step) => step.textContent.trim())"
        found: list[str] = self.driver.execute_script(script, ".progress-log-event")
        return found

    def percent(self) -> int:
        """How far the bar is."""
        bar = self._find("#progress-bar")
        return int(bar.get_attribute("aria-valuenow") or 0)

    def wait_for_step(self, pattern: str) -> None:
        """Wait until the progress of a spawn has come to a step."""
        self.wait(lambda: re.search(pattern, "\n".join(self.steps())), pattern)

    def progress_says(self) -> str:
        """What the controller's page says, inside of JupyterHub's."""
        self.driver.switch_to.frame(self._find(".nublado-progress"))
        try:
            return self.text()
        finally:
            self.driver.switch_to.default_content()

    def stop_from_home(self) -> None:
        """Stop the lab by the button on JupyterHub's home page."""
        self.driver.get(f"{self._url}/nb/hub/home")
        self.wait(lambda: self._find("#stop"), "the lab can be stopped")
        self._click("#stop")
        self.wait(lambda: not self._find("#stop").is_displayed(), "it has stopped")

    def stop_while_starting(self) -> None:
        """Stop the lab by JupyterHub's button below its progress."""
        self._click(".nublado-hub > summary")
        self._click("#stop-server-btn")

    def text(self) -> str:
        """What the page says."""
        return str(self._find("body").text)

    # --- JupyterLab ------------------------------------------------------

    def wait_for_lab(self) -> None:
        """Wait until JupyterLab has opened."""
        self.wait(
            lambda: self.path.startswith(f"/nb/user/{self._username}/lab"),
            "JupyterHub leads to the lab",
        )
        self.wait(lambda: self._find(".jp-LauncherCard"), "JupyterLab is shown")

    def open_notebook(self) -> None:
        """Make a notebook by the launcher."""
        card = ".jp-LauncherCard[data-category=Notebook]"
        self._click(card)
        self.wait(lambda: self._find(".jp-Notebook .cm-content"), "a notebook opens")
        self.wait(
            lambda: any("| Idle" in text for text in self.browser.texts(_STATUS)),
            "its kernel is connected",
        )

    def run(self, code: str) -> str:
        """Run code in the last cell of the notebook; returns what comes out."""
        before = len(self._outputs())
        self._click(".jp-Notebook .cm-content", last=True)
        ActionChains(self.driver).send_keys(code).key_down(Keys.SHIFT).send_keys(
            Keys.ENTER
        ).key_up(Keys.SHIFT).perform()
        self.wait(lambda: len(self._outputs()) > before, f"{code} has a result")
        return self._outputs()[-1]

    def _outputs(self) -> list[str]:
        texts = self.browser.texts(".jp-Notebook .jp-OutputArea-executeResult pre")
        return [text.strip() for text in texts]

    # --- Details ---------------------------------------------------------

    def _find(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def _click(self, css: str, *, last: bool = False) -> None:
        """Click on an element as soon as that is possible."""
        script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"

        def click() -> bool:
            elements = self.driver.find_elements(By.CSS_SELECTOR, css)
            element = elements[-1 if last else 0]
            self.driver.execute_script(script, element)
            element.click()
            return True

        ignored = [WebDriverException, IndexError]
        waiting = WebDriverWait(self.driver, _PATIENCE_SECONDS, 0.1, ignored)
        waiting.until(lambda _: click(), f"{css} can be clicked; at {self.path}")
