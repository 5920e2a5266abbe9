"""The spawner form in a hub that blocks its script, its style, both, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from click.testing import CliRunner

from nublado.cli import main
from nublado.exceptions import ValidationProblemsError
from nublado.sandbox.stack import Stack
from tests.e2e.browser import Browser, start_browser
from tests.e2e.conftest import CONFIG
from tests.e2e.form_page import FormPage
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

NONCE = "PLpN3YqVQw0Bz9J0d1cI2w"
BLOCKED = "'none'"
SCRIPT = [True, False]
STYLE = [True, False]
MOST_BYTES = 100_000
OLD = "d_2022_07_04"

script_and_style = pytest.mark.parametrize(
    ("script", "style"),
    [(script, style) for script in SCRIPT for style in STYLE],
    ids=lambda allowed: "allowed" if allowed else "blocked",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as running:
        yield running


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Somebody on a platform with thousands of images, and no filters."""
    log = (tmp_path_factory.mktemp("crowded") / "service.log").open("w+")
    with Stack(CONFIG, "--tags", "3000", log=log) as stack:
        user = User(stack, "rachel")
        wait_for(lambda: fetch(user).status_code == 200)
        yield user


def fetch(user: User, **headers: str) -> requests.Response:
    url = f"{user.stack.api_url}/spawner/v1/lab-form/{user.name}"
    sent = {**user.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return requests.get(url, headers=sent, timeout=SECONDS)


@contextmanager
def opened(
    browser: Browser, user: User, *, script: bool, style: bool
) -> Iterator[FormPage]:
    """Open the form in a page that allows what its response says, or blocks it."""
    answer = fetch(user)
    said = answer.headers["Content-Security-Policy"]
    allowed = dict(directive.split(" ", 1) for directive in said.split("; "))
    policy = (
        "default-src 'none'; form-action 'self';"
        f" script-src {allowed['script-src'] if script else BLOCKED};"
        f" style-src {allowed['style-src'] if style else BLOCKED}"
    )
    with FormPage(answer.text, policy) as page:
        browser.driver.get(page.url)
        yield page


def start(browser: Browser) -> None:
    browser.find("input[type=submit]").click()
    browser.find("#sent")


def shown(browser: Browser) -> str:
    """The image that the page shows as the one to start."""
    cards = browser.find_all("[name=nublado-image]")
    chosen = [card for card in cards if card.is_selected()]
    if chosen and chosen[0].get_attribute("id") != "nublado-image-other":
        card = chosen[0].find_element("xpath", "..")
        return str(card.get_attribute("data-image"))
    dropdown = browser.find("#nublado-dropdown")
    assert dropdown.is_displayed()
    return str(dropdown.get_property("value"))


def choose_from_list(browser: Browser, text: str) -> None:
    if browser.find_all("[name=nublado-image]"):
        browser.find("#nublado-image-other").click()
    dropdown = browser.find("#nublado-dropdown")
    path = f".//option[starts-with(normalize-space(.), '{text}')]"
    dropdown.find_element("xpath", path).click()


def go_back_to_recommended(browser: Browser) -> None:
    cards = browser.find_all("[name=nublado-image]")
    if cards:
        cards[0].click()
    else:
        choose_from_list(browser, "Recommended")


@script_and_style
def test_script_and_style_are_allowed_by_their_hashes(
    browser: Browser, user: User, script: bool, style: bool
) -> None:
    browser.complaints()
    with opened(browser, user, script=script, style=style):
        assert bool(browser.find_all("[name=nublado-image]")) is script
        width = "return getComputedStyle(document.querySelector('form > div')).maxWidth"
        assert (browser.driver.execute_script(width) != "none") is style
        blocked = browser.complaints()
        assert any("script" in text for text in blocked) is not script
        assert any("inline style" in text for text in blocked) is not style
        assert browser.barriers() == []


@script_and_style
def test_image_that_is_shown_is_started(
    browser: Browser, user: User, script: bool, style: bool
) -> None:
    with opened(browser, user, script=script, style=style) as page:
        first = shown(browser)
        assert ":recommended@sha256:" in first
        start(browser)
        assert page.selection.image_dropdown == first
        assert page.sent[-1]["size"] == ["small"]
        assert set(page.sent[-1]) == {"image_list", "image_dropdown", "size"}

        browser.driver.get(page.url)
        choose_from_list(browser, "Daily 2026_11_10")
        assert ":d_2026_11_10" in shown(browser)
        wanted = shown(browser)
        start(browser)
        assert page.selection.image_dropdown == wanted

        browser.driver.get(page.url)
        choose_from_list(browser, "Daily 2026_11_10")
        go_back_to_recommended(browser)
        assert shown(browser) == first
        start(browser)
        assert page.selection.image_dropdown == first


@script_and_style
def test_page_that_is_gone_back_to_starts_what_it_shows(
    browser: Browser, user: User, script: bool, style: bool
) -> None:
    with opened(browser, user, script=script, style=style) as page:
        choose_from_list(browser, "Daily 2026_11_12")
        start(browser)
        browser.driver.back()
        browser.find("input[type=submit]")
        restored = shown(browser)
        start(browser)
        assert page.selection.image_dropdown == restored


def test_browser_without_scripts_starts_what_it_shows(user: User) -> None:
    with (
        start_browser(scripts=False) as browser,
        opened(browser, user, script=True, style=True) as page,
    ):
        choose_from_list(browser, "Weekly 2026_44 ")
        start(browser)
        assert ":w_2026_44" in (page.selection.image_dropdown or "")


def test_filter_that_finds_nothing_starts_nothing(browser: Browser, user: User) -> None:
    with opened(browser, user, script=True, style=True) as page:
        browser.find("#nublado-image-other").click()
        field = browser.find("#nublado-filter")
        field.send_keys("no such image")
        browser.find("input[type=submit]").click()
        assert page.sent == []
        assert browser.find("#nublado-found").text.startswith("0 of ")
        go_back_to_recommended(browser)
        start(browser)
        assert ":recommended@" in (page.selection.image_dropdown or "")


def test_policy_can_name_a_nonce(browser: Browser, user: User) -> None:
    browser.complaints()
    answer = fetch(user, X_CSP_Nonce=NONCE)
    allowed = f"script-src 'nonce-{NONCE}'; style-src 'nonce-{NONCE}'"
    assert allowed in answer.headers["Content-Security-Policy"]
    with FormPage(answer.text, f"default-src 'none'; {allowed}") as page:
        browser.driver.get(page.url)
        assert browser.find("#nublado-image-1").is_selected()
        assert browser.complaints() == []


@pytest.mark.parametrize(
    "nonce", ["", "short", '"><script>alert(1)</script>', "a" * 20 + " x", "é" * 20]
)
def test_what_is_no_nonce_is_refused(user: User, nonce: str) -> None:
    answer = fetch(user, X_CSP_Nonce=nonce.encode().decode("latin-1"))
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == ["header", "x-csp-nonce"]
    assert "script>" not in answer.text


def test_hashes_are_listed_for_who_writes_the_policy(user: User) -> None:
    listed = CliRunner().invoke(main, ["form-policy"])
    assert listed.exit_code == 0
    said = fetch(user).headers["Content-Security-Policy"]
    assert said.split("; ")[1:] == listed.output.splitlines()


# --- Thousands of images --------------------------------------------------


def test_form_of_thousands_of_images_is_small(crowded: User) -> None:
    answer = fetch(crowded)
    assert len(answer.content) < MOST_BYTES
    images = requests.get(
        f"{crowded.stack.api_url}/spawner/v1/images", timeout=SECONDS
    ).json()["all"]
    tags = {image["tag"] for image in images if not image["tag"].endswith("64")}
    assert len(tags) > 2000
    listed = re.findall(r'<option value="[^"@]+:([^"@:]+)[@"]', answer.text)
    older = re.findall(r"<option>([^<]+)", answer.text)
    assert set(listed) | set(older) == tags
    assert len(listed) + len(older) == len(tags)


@script_and_style
def test_one_of_the_newest_of_thousands_is_started(
    browser: Browser, crowded: User, script: bool, style: bool
) -> None:
    with opened(browser, crowded, script=script, style=style) as page:
        choose_from_list(browser, "Daily 2026_11_10")
        start(browser)
        assert (page.selection.image_dropdown or "").endswith("/lab:d_2026_11_10")


@pytest.mark.parametrize("style", STYLE)
def test_filter_finds_the_oldest_of_thousands(
    browser: Browser, crowded: User, style: bool
) -> None:
    with opened(browser, crowded, script=True, style=style) as page:
        browser.find("#nublado-image-other").click()
        assert browser.find_all("[name=image_tag]") == []
        browser.find("#nublado-filter").send_keys(OLD)
        assert shown(browser).endswith(f"/lab:{OLD}")
        start(browser)
        assert (page.selection.image_dropdown or "").endswith(f"/lab:{OLD}")


@pytest.mark.parametrize("style", STYLE)
def test_oldest_of_thousands_is_started_by_its_tag(
    browser: Browser, crowded: User, style: bool
) -> None:
    with opened(browser, crowded, script=False, style=style) as page:
        choose_from_list(browser, "The image with the tag below")
        browser.find("#nublado-tag").send_keys(OLD)
        start(browser)
        assert page.selection.image_tag == OLD

        # Somebody who changes their mind, and leaves the tag where it is.
        browser.driver.get(page.url)
        browser.find("#nublado-tag").send_keys(OLD)
        choose_from_list(browser, "Recommended")
        start(browser)
        with pytest.raises(ValidationProblemsError, match="multiple ways"):
            _ = page.selection


def test_form_of_thousands_can_be_used_by_everybody(
    browser: Browser, crowded: User
) -> None:
    for script in SCRIPT:
        with opened(browser, crowded, script=script, style=True):
            assert browser.barriers() == []
