"""The page on which users watch the start of their lab."""

from __future__ import annotations

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.browser import Browser, start_browser
from tests.e2e.users import SECONDS, User

QUOTA = {
    "kind": "Status",
    "reason": "Forbidden",
    "message": "exceeded quota: rachel-nb",
    "code": 403,
}


def path(user: User) -> str:
    return f"{user.stack.config.path_prefix}/spawner/v1/labs/{user.name}/progress"


def fetch(user: User, **headers: str) -> requests.Response:
    url = f"{user.stack.service.url}{path(user)}"
    return requests.get(url, headers={**user.headers, **headers}, timeout=SECONDS)


def watch(browser: Browser, user: User) -> None:
    browser.visit(user.stack.endpoints.ingress, user.name, path(user))


def test_page_tells_all_without_scripts(user: User) -> None:
    user.spawn()
    answer = fetch(user)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "<h1>Your lab is running</h1>" in answer.text
    assert f"Starting lab creation for {user.name}" in answer.text
    link = f'href="{user.stack.endpoints.ingress}/nb/user/{user.name}/"'
    assert link in answer.text
    assert "http-equiv" not in answer.text
    user.delete()
    assert "<h1>Your lab is not running</h1>" in fetch(user).text


def test_page_is_that_of_the_user(user: User) -> None:
    headers = {"X-Auth-Request-User": "somebody-else"}
    assert fetch(user, **headers).status_code == 403
    answer = fetch(user)
    assert answer.status_code == 404
    assert answer.json()["detail"][0]["type"] == "unknown_user"
    page = fetch(user, Accept="text/html,*/*")
    assert page.status_code == 404
    assert "<h1>You have no lab</h1>" in page.text


def test_messages_cannot_break_the_page(stack: Stack, user: User) -> None:
    evil = "<script>alert(1)</script>"
    rule = {"method": "POST", "path": f"{user.namespace}/pods$", "status": 422}
    stack.control.faults({**rule, "body": evil})
    user.spawn()
    text = fetch(user).text
    assert evil not in text
    assert "&lt;script&gt;alert(1)" in text


def test_spawn_is_watched_to_its_end(stack: Stack, user: User) -> None:
    stack.control.settings(failing_pulls=["d_2026_10_28"])
    assert user.create(image_tag="d_2026_10_28").status_code == 201
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab is starting")
        browser.wait_for_text("#step", "The image cannot be fetched yet")
        assert int(browser.find("#bar").get_attribute("value") or 0) >= 30
        assert browser.barriers() == []
        stack.control.settings(failing_pulls=[])
        browser.wait_for_text("h1", "Your lab is running")
        assert browser.driver.title == "Your lab is running"
        browser.find("summary").click()
        told = browser.texts("#events li")
        assert told[0] == f"Starting lab creation for {user.name}"
        assert told[-1] == f"Lab Kubernetes pod started for {user.name}"
        assert len(told) == len(set(told))
        assert browser.barriers() == []
        assert browser.complaints() == []
        browser.find(".button").click()
        browser.wait_for_path(f"/nb/user/{user.name}/")


def test_failed_spawn_says_what_to_do(stack: Stack, user: User) -> None:
    rule = {"method": "POST", "path": f"{user.namespace}/pods$", "delay": 2.0}
    stack.control.faults({**rule, "status": 403, "body": QUOTA})
    assert user.create().status_code == 201
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab could not be started")
        browser.wait_for_text(".state", "A lab of this size is more than you may use.")
        browser.wait_for_text("#events", "exceeded quota")
        assert browser.barriers() == []
        assert browser.complaints() == []
        browser.find(".button").click()
        browser.wait_for_path("/nb/hub/spawn")


def test_cancelling_shows_in_the_page(stack: Stack, user: User) -> None:
    stack.control.settings(failing_pulls=["d_2026_10_27"])
    assert user.create(image_tag="d_2026_10_27").status_code == 201
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab is starting")
        assert user.delete().status_code == 204
        stack.control.settings(failing_pulls=[])
        browser.wait_for_text("h1", "The start of your lab was cancelled")
        browser.wait_for_text(".state", "Nothing is left of it.")
        assert browser.barriers() == []
        assert browser.complaints() == []
        browser.find(".button").click()
        browser.wait_for_path("/nb/hub/spawn")


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_dropped_connection_loses_nothing(own_stack: Stack, ending: str) -> None:
    own_stack.control.settings(failing_pulls=["d_2026_10_26"])
    user = User(own_stack, "patient")
    assert user.create(image_tag="d_2026_10_26").status_code == 201
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("#step", "The image cannot be fetched yet")
        getattr(own_stack.service, ending)()
        browser.wait_for_text("#connection", "The connection is lost")
        own_stack.start_service()
        own_stack.service.wait_ready()
        own_stack.control.settings(failing_pulls=[])
        browser.wait_for_text("h1", "Your lab is running")
        told = browser.texts("#events li")
        assert told[0] == "Monitoring in-progress lab creation for patient"


def test_page_loads_itself_again_without_scripts(stack: Stack, user: User) -> None:
    stack.control.settings(failing_pulls=["d_2026_10_25"])
    assert user.create(image_tag="d_2026_10_25").status_code == 201
    with start_browser(scripts=False) as browser:
        watch(browser, user)
        assert browser.find("h1").text == "Your lab is starting"
        stack.control.settings(failing_pulls=[])
        browser.wait_for_text("h1", "Your lab is running")
