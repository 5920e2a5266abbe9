"""The spawner form, as JupyterHub fetches it and as a user sees it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


def spawned(user: User) -> dict[str, Any]:
    """What a lab was asked for with; its page may have led to it already."""
    wait_for(lambda: user.state().status_code == 200)
    options: dict[str, Any] = user.state().json()["options"]
    return options


def test_form_has_the_fields_of_the_api(user: User) -> None:
    answer = fetch(user)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    for field in (
        f'<input type="hidden" name="image_list" value="{SENTINEL}">',
        '<select name="image_dropdown"',
        '<input type="radio" name="size" id="nublado-size-small" value="small" checked',
        "Small (1.0 CPU, 3Gi RAM)",
        '<input type="checkbox" name="enable_debug" id="nublado-debug" value="true"',
        'name="reset_user_env" id="nublado-reset" value="true"',
    ):
        assert field in answer.text
    assert answer.text.count("<style>") == answer.text.count("<script>") == 1
    for elsewhere in (" onclick=", " style=", " src=", "<link", "http-equiv"):
        assert elsewhere not in answer.text


def test_sizes_above_the_quota_cannot_be_chosen(user: User) -> None:
    text = fetch(user).text
    assert 'value="small" checked required' in text
    assert 'value="large" disabled' in text
    assert "More than your quota allows." in text
    assert "You may use up to 9 CPUs and 27 GB of memory." in text
    set_quota(user, cpu=16.0, memory=64)
    text = fetch(user).text
    assert 'value="large" required' in text
    assert "More than your quota allows." not in text


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
    assert "data-refused" in answer.text
    for field in ("<input", "<select"):
        assert field not in answer.text.partition("<script>")[0]


def test_form_of_another_user_is_denied(user: User) -> None:
    url = f"{user.stack.api_url}/spawner/v1/lab-form/somebody"
    answer = requests.get(url, headers=user.headers, timeout=SECONDS)
    assert answer.status_code == 403
    assert answer.json()["detail"][0]["type"] == "permission_denied"
    assert requests.get(url, timeout=SECONDS).status_code == 422


def test_menu_image_is_spawned_from_the_page(user: User) -> None:
    with start_browser() as browser:
        log_in(browser, user)
        menu = browser.find_all("[data-image]")
        assert browser.find("#nublado-image-1").is_selected()
        wanted = menu[1].get_attribute("data-image")
        browser.find("#nublado-image-2").click()
        assert not browser.find("#nublado-dropdown").is_displayed()
        browser.find("#nublado-debug").click()
        assert browser.barriers() == []
        browser.find("input[type=submit]").click()
        options = spawned(user)
        assert options["image"] == wanted
        assert options["enable_debug"]
        assert browser.complaints() == []
    wait_for(lambda: user.status == "running")


def test_filtered_image_is_spawned_from_the_page(user: User) -> None:
    with start_browser() as browser:
        log_in(browser, user)
        browser.find("#nublado-image-other").click()
        field = browser.find("#nublado-filter")
        everything = len(Select(browser.find("#nublado-dropdown")).options)
        field.send_keys("DAILY d_2026_11_10")
        (found,) = Select(browser.find("#nublado-dropdown")).options
        assert found.text.startswith("Daily 2026_11_10")
        assert found.text.endswith("old")
        status = browser.find("#nublado-found").text
        assert status == f"1 of {everything} images"
        field.send_keys(Keys.ENTER)
        assert browser.driver.current_url.endswith("/nb/hub/spawn")
        browser.find("input[type=submit]").click()
        assert ":d_2026_11_10@sha256:" in spawned(user)["image"]
        assert browser.complaints() == []


def test_form_is_complete_without_scripts(user: User) -> None:
    with start_browser(scripts=False) as browser:
        log_in(browser, user)
        assert not browser.find("#nublado-filter").is_displayed()
        assert not browser.find(".nublado-another").is_displayed()
        dropdown = browser.find("#nublado-dropdown")
        path = ".//option[starts-with(., 'Daily 2026_11_12')]"
        dropdown.find_element("xpath", path).click()
        browser.find("input[type=submit]").click()
        browser.wait_for_path("/progress")
    wait_for(lambda: user.state().status_code == 200)
    assert ":d_2026_11_12@sha256:" in user.state().json()["options"]["image"]


def test_last_choice_is_chosen_again(user: User) -> None:
    set_quota(user, cpu=16.0, memory=64)
    user.spawn(image_tag="d_2026_11_10", size="large", enable_debug=True)
    assert user.delete().status_code == 204
    with start_browser() as browser:
        log_in(browser, user)
        chosen = Select(browser.find("#nublado-dropdown")).first_selected_option
        assert chosen.text.startswith("Daily 2026_11_10")
        assert browser.find("#nublado-image-other").is_selected()
        assert browser.find("#nublado-size-large").is_selected()
        assert browser.find("#nublado-debug").is_selected()
        assert not browser.find("#nublado-reset").is_selected()


def test_jupyterhub_may_remember_the_last_choice(user: User) -> None:
    url = f"{user.stack.api_url}/spawner/v1/lab-form/{user.name}"
    image = "registry.example.org/sciplat/lab:d_2026_11_10"
    sent = {"image_list": SENTINEL, "image_dropdown": image, "size": "small"}

    def chosen(**query: str) -> list[str]:
        answer = requests.get(url, query, headers=user.headers, timeout=SECONDS)
        assert answer.status_code == 200
        assert "alert(1)" not in answer.text
        return re.findall(r':([^":@]+)(?:@[^"]*)?" selected>', answer.text)

    assert chosen(**sent) == ["d_2026_11_10"]
    assert chosen(**sent, enable_debug="true") == ["d_2026_11_10"]
    assert chosen() == ["recommended"]
    assert chosen(**{**sent, "size": "rubbish"}) == ["recommended"]
    assert chosen(**{**sent, "image_dropdown": "<script>alert(1)"}) == ["recommended"]


def test_choice_of_a_kept_lab_survives_a_restart(own_stack: Stack) -> None:
    user = User(own_stack, "rachel")
    user.spawn(image_tag="d_2026_11_10", enable_debug=True)
    own_stack.service.kill()
    own_stack.start_service()
    own_stack.service.wait_ready()
    wait_for(lambda: fetch(user).status_code == 200)
    text = fetch(user).text
    assert "Your lab is running." in text
    assert re.search(r':d_2026_11_10[^"]*" selected', text)
    assert 'id="nublado-debug" value="true" checked' in text


@pytest.mark.parametrize("scripts", [True, False])
def test_lab_that_is_there_is_shown_and_not_ended_unasked(
    user: User, scripts: bool
) -> None:
    user.spawn()
    with start_browser(scripts=scripts) as browser:
        log_in(browser, user)
        notice = browser.find(".nublado-lab")
        assert "Your lab is running. Image: Recommended (Weekly" in notice.text
        assert "Size: Small." in notice.text
        if scripts:
            assert browser.barriers() == []
        way = browser.find(".nublado-lab a[href$='/progress']").get_attribute("href")
        assert way == f"{user.stack.ingress_url}/spawner/v1/labs/{user.name}/progress"
        browser.find("input[type=submit]").click()
        assert browser.driver.current_url.endswith("/nb/hub/spawn")
        assert user.status == "running"
        before = user.state().json()
        dropdown = browser.find("#nublado-dropdown")
        if scripts:
            browser.find("#nublado-image-other").click()
        path = ".//option[starts-with(., 'Daily 2026_11_11')]"
        dropdown.find_element("xpath", path).click()
        browser.find("#nublado-replace").click()
        browser.find("input[type=submit]").click()
        wait_for(lambda: ":d_2026_11_11@" in spawned(user)["image"])
    wait_for(lambda: user.status == "running")
    assert user.state().json() != before


def test_lab_that_is_shut_down_is_waited_for(user: User) -> None:
    user.spawn()
    user.stack.control.settings(termination_delay=30)
    with ThreadPoolExecutor(1) as pool:
        deletion = pool.submit(user.delete)
        try:
            wait_for(lambda: "Your last lab is being shut down." in fetch(user).text)
            text = fetch(user).text.partition("<script>")[0]
            assert "data-refused" in text
            assert "<select" not in text
        finally:
            user.stack.control.settings(termination_delay=0.01)
        deletion.result(SECONDS)


def test_end_of_the_last_lab_is_told_with_a_larger_size(user: User) -> None:
    set_quota(user, cpu=16.0, memory=64)
    user.spawn()
    path = f"/pods/{user.namespace}/{user.name}-nb/finish"
    user.stack.control("POST", path, {"exit_code": 137, "reason": "OOMKilled"})
    wait_for(lambda: "Your last lab ended on" in fetch(user).text)
    assert "choose Large, which has 64" in fetch(user).text


def test_form_that_cannot_succeed_cannot_be_sent(user: User) -> None:
    set_quota(user, spawn=False)
    with start_browser() as browser:
        log_in(browser, user)
        assert "may not run labs" in browser.find(".nublado-refusal").text
        assert not browser.find("input[type=submit]").is_enabled()
        assert browser.barriers() == []


def test_form_speaks_the_language_of_its_reader(user: User) -> None:
    url = f"{user.stack.api_url}/spawner/v1/lab-form/{user.name}"
    headers = {**user.headers, "Accept-Language": "fr"}
    answer = requests.get(url, headers=headers, timeout=SECONDS)
    assert answer.headers["Vary"] == "Accept-Language"
    assert '<div class="nublado-form" lang="fr">' in answer.text
    assert 'lang="en"' in fetch(user).text


def test_form_fits_a_phone(user: User) -> None:
    with start_browser() as browser:
        metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        log_in(browser, user)
        width = browser.driver.execute_script(
            "return document.documentElement.scrollWidth"
        )
        assert width <= 360


def test_recommended_image_is_chosen_first(stack: Stack, user: User) -> None:
    images = requests.get(f"{stack.api_url}/spawner/v1/images", timeout=SECONDS).json()
    form = fetch(user).text
    (chosen,) = re.findall(r'<option value="([^"]+)" selected>', form)
    assert chosen.startswith(images["recommended"]["reference"])
    first = form.partition("data-image=")[2]
    assert first.startswith(f'"{chosen}"')
