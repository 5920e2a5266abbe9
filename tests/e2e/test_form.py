"""The spawner form, as JupyterHub fetches it and as a user sees it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from nublado.sandbox.stack import Stack
from tests.e2e.browser import Browser, start_browser
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

SENTINEL = "use_image_from_dropdown"


def fetch(user: User) -> requests.Response:
    url = f"{user.stack.api_url}/spawner/v1/lab-form/{user.name}"
    return requests.get(url, headers=user.headers, timeout=SECONDS)


def set_quota(user: User, **quota: Any) -> None:
    info = {"quota": {"notebook": {"cpu": 9.0, "memory": 27, **quota}}}
    user.stack.control("PUT", f"/users/{user.name}", info)


def log_in(browser: Browser, user: User) -> None:
    browser.log_in(user.stack.endpoints.ingress, user.name, "/nb/hub/spawn")


def spawned_image(browser: Browser) -> str:
    state = spawned_state(browser)
    return str(state["options"]["image"])


def spawned_state(browser: Browser) -> dict[str, Any]:
    browser.wait_for_path("/progress")
    path = "/nublado/spawner/v1/user-status"
    browser.driver.get(urljoin(browser.driver.current_url, path))
    state: dict[str, Any] = json.loads(browser.find("body").text)
    return state


def test_form_has_the_fields_of_the_api(user: User) -> None:
    answer = fetch(user)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    for field in (
        '<input type="radio" name="image_list"',
        f'value="{SENTINEL}"',
        '<select name="image_dropdown"',
        '<input type="radio" name="size" id="nublado-size-small" value="small" checked',
        "Small (1.0 CPU, 3Gi RAM)",
        '<input type="checkbox" name="enable_debug" id="nublado-debug" value="true"',
        'name="reset_user_env" id="nublado-reset" value="true"',
    ):
        assert field in answer.text
    assert " onclick=" not in answer.text
    assert "<style" not in answer.text


def test_sizes_above_the_quota_are_not_offered(user: User) -> None:
    text = fetch(user).text
    assert 'value="small"' in text
    assert 'value="large"' not in text
    set_quota(user, cpu=16.0, memory=64)
    assert 'value="large"' in fetch(user).text


@pytest.mark.parametrize(
    ("quota", "reason"),
    [
        ({"spawn": False}, "may not run labs"),
        ({"cpu": 0.5, "memory": 1}, "quota is too small"),
    ],
)
def test_form_explains_why_there_is_no_lab(
    user: User, quota: dict[str, Any], reason: str
) -> None:
    set_quota(user, **quota)
    answer = fetch(user)
    assert answer.status_code == 200
    assert reason in answer.text
    assert "<input" not in answer.text


def test_form_of_another_user_is_denied(user: User) -> None:
    url = f"{user.stack.api_url}/spawner/v1/lab-form/somebody"
    answer = requests.get(url, headers=user.headers, timeout=SECONDS)
    assert answer.status_code == 403
    assert answer.json()["detail"][0]["type"] == "permission_denied"
    assert requests.get(url, timeout=SECONDS).status_code == 422


def test_style_and_script_are_served(user: User) -> None:
    base = f"{user.stack.api_url}/spawner/v1/lab-form/static"
    for name, kind in (("lab-form.css", "text/css"), ("lab-form.js", "javascript")):
        answer = requests.get(f"{base}/{name}", timeout=SECONDS)
        assert kind in answer.headers["Content-Type"]
        assert "max-age" in answer.headers["Cache-Control"]
        tagged = {"If-None-Match": answer.headers["ETag"]}
        again = requests.get(f"{base}/{name}", headers=tagged, timeout=SECONDS)
        assert again.status_code == 304
    escape = requests.get(f"{base}/..%2Fmain.py", timeout=SECONDS)
    assert escape.status_code == 404


def test_menu_image_is_spawned_from_the_page(user: User) -> None:
    with start_browser() as browser:
        log_in(browser, user)
        menu = browser.find_all("input[name=image_list]")
        assert menu[0].is_selected()
        wanted = menu[0].get_attribute("value")
        browser.find("#nublado-debug").click()
        assert browser.barriers() == []
        browser.find("input[type=submit]").click()
        assert spawned_image(browser) == wanted
        state = json.loads(browser.find("body").text)
        assert state["options"]["enable_debug"]
        assert browser.complaints() == []
    wait_for(lambda: user.status == "running")


def test_filtered_image_is_spawned_from_the_page(user: User) -> None:
    with start_browser() as browser:
        log_in(browser, user)
        field = browser.find("#nublado-filter")
        everything = len(Select(browser.find("#nublado-dropdown")).options)
        field.send_keys("DAILY d_2026_11_10")
        found = Select(browser.find("#nublado-dropdown")).options
        assert [option.text for option in found] == ["Daily 2026_11_10"]
        status = browser.find("#nublado-found").text
        assert status == f"1 of {everything} images"
        assert browser.find("#nublado-image-other").is_selected()
        field.send_keys(Keys.ENTER)
        assert browser.driver.current_url.endswith("/nb/hub/spawn")
        browser.find("input[type=submit]").click()
        assert ":d_2026_11_10@sha256:" in spawned_image(browser)
        assert browser.complaints() == []


def test_choosing_in_the_dropdown_checks_the_sentinel(user: User) -> None:
    with start_browser() as browser:
        log_in(browser, user)
        dropdown = Select(browser.find("#nublado-dropdown"))
        dropdown.select_by_visible_text("Daily 2026_11_11")
        assert browser.find("#nublado-image-other").is_selected()
        browser.find("input[type=submit]").click()
        assert ":d_2026_11_11@sha256:" in spawned_image(browser)


def test_form_is_correct_without_scripts(user: User) -> None:
    with start_browser(scripts=False) as browser:
        log_in(browser, user)
        assert not browser.find("#nublado-filter").is_displayed()
        browser.find("#nublado-image-other").click()
        dropdown = Select(browser.find("#nublado-dropdown"))
        dropdown.select_by_visible_text("Daily 2026_11_12")
        browser.find("input[type=submit]").click()
        browser.wait_for_path("/progress")
    wait_for(lambda: user.state().status_code == 200)
    assert ":d_2026_11_12@sha256:" in user.state().json()["options"]["image"]


def test_form_fits_a_phone(user: User) -> None:
    with start_browser() as browser:
        metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        log_in(browser, user)
        width = browser.driver.execute_script(
            "return document.documentElement.scrollWidth"
        )
        assert width <= 360


def test_stack_has_menu_images_first(stack: Stack, user: User) -> None:
    images = requests.get(f"{stack.api_url}/spawner/v1/images", timeout=SECONDS).json()
    form = fetch(user).text
    first = form.partition('name="image_list"')[2].partition(" checked")[0]
    assert images["recommended"]["reference"] in first
