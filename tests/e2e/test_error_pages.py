"""Errors for people: a page for whoever asks for one, JSON for all others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.browser import Browser, start_browser
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
LOGIN_AWAY = {"rules": [{"target": "gafaelfawr", "status": 503}]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as running:
        yield running


def ask(
    user: User, path: str, accept: str = BROWSER, **headers: str
) -> requests.Response:
    sent = {**user.headers, "Accept": accept}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{user.stack.service.url}{path}"
    return requests.get(url, headers=sent, timeout=SECONDS)


def form_of(user: User) -> str:
    return f"/nublado/spawner/v1/lab-form/{user.name}"


def title(page: requests.Response) -> str:
    found = re.search("<h1>(.*?)</h1>", page.text)
    assert found is not None, page.text
    return found[1]


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/html;q=0.9, application/json;q=0.8", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("text/html;q=0.5, application/json", False),
        ("text/event-stream", False),
        ("image/png", False),
    ],
)
def test_page_is_for_whoever_prefers_one(
    user: User, accept: str, is_page: bool
) -> None:
    answer = ask(user, "/nothing", accept)
    assert answer.status_code == 404
    kind = "text/html; charset=utf-8" if is_page else "application/json"
    assert answer.headers["Content-Type"] == kind
    assert "Accept" in answer.headers["Vary"].split(", ")
    if not is_page:
        assert answer.json() == {"detail": [{"type": "not_found", "msg": "Not Found"}]}


def test_errors_say_the_same_on_pages(user: User) -> None:
    another = "/nublado/spawner/v1/lab-form/somebody"
    cases = [
        (another, {}, 403, "This is somebody else&#39;s page"),
        ("/nublado/spawner/v1/labs/somebody/progress", {}, 403, "This is somebody"),
        ("/nublado/spawner/v1/nothing", {}, 404, "Nothing is here"),
        ("/files", {}, 404, "This platform does not offer that"),
        (form_of(user), {"X_Auth_Request_Token": "rubbish"}, 401, "Your login is not"),
        (form_of(user), {"X_Auth_Request_Token": ""}, 422, "That could not be"),
        (form_of(user), {"X_CSP_Nonce": "<no>"}, 422, "That could not be understood"),
        ("/nublado/spawner/v1/user-status", {}, 404, "Nothing is here"),
    ]
    for path, headers, status, words in cases:
        page = ask(user, path, **headers)
        told = ask(user, path, "application/json", **headers)
        assert page.status_code == told.status_code == status, path
        assert title(page).startswith(words), path
        (problem,) = told.json()["detail"]
        assert problem["msg"] in page.text
        assert page.headers["X-Request-ID"] in page.text
        assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_page_of_somebody_else_says_whose(user: User) -> None:
    page = ask(user, "/nublado/spawner/v1/lab-form/somebody")
    assert f"You are logged in as {user.name}, and this page belongs to somebody" in (
        page.text
    )
    odd = ask(user, "/nublado/spawner/v1/lab-form/%3Cscript%3E")
    assert odd.status_code == 403
    assert "belongs to &lt;script&gt;" in odd.text


def test_login_service_that_is_away_is_told_until_it_is_back(
    own_stack: Stack, browser: Browser
) -> None:
    user = User(own_stack, "rachel")
    own_stack.control("PUT", "/faults", LOGIN_AWAY)
    page = ask(user, form_of(user))
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "10"
    assert title(page) == "The login service does not answer"
    wait = re.search(
        '<noscript><meta http-equiv="refresh" content="([0-9]+)">', page.text
    )
    assert wait is not None
    assert 10 <= int(wait[1]) < 20
    told = ask(user, form_of(user), "*/*")
    assert told.headers["Retry-After"] == "10"
    assert told.json()["detail"][0]["type"] == "unavailable"

    own_stack.control("DELETE", "/faults")
    browser.log_in(own_stack.endpoints.ingress, "rachel", "/nb/hub/spawn")
    own_stack.control("PUT", "/faults", LOGIN_AWAY)
    browser.driver.get(f"{own_stack.endpoints.ingress}{form_of(user)}")
    assert browser.find("h1").text == "The login service does not answer"
    assert browser.barriers() == []
    own_stack.control("DELETE", "/faults")
    browser.wait_for_text("legend", "Image")


def test_only_what_is_safe_is_done_again_by_itself(own_stack: Stack) -> None:
    user = User(own_stack, "rachel")
    own_stack.control("PUT", "/faults", LOGIN_AWAY)
    page = requests.post(
        f"{user.lab}/create",
        json=user.specification(),
        headers={**user.headers, "Accept": BROWSER},
        timeout=SECONDS,
    )
    assert page.status_code == 503
    assert title(page) == "The login service does not answer"
    assert "http-equiv" not in page.text
    assert "Try again in a moment." in page.text
    assert "location.reload" not in page.text


def test_service_that_starts_says_so(own_stack: Stack) -> None:
    user = User(own_stack, "rachel")
    lists_fail = {"rules": [{"target": "kubernetes", "path": "/pods", "status": 500}]}
    own_stack.control("PUT", "/faults", lists_fail)
    own_stack.service.kill()
    own_stack.start_service()
    wait_for(lambda: _answers(user))
    page = ask(user, form_of(user))
    assert page.status_code == 503
    assert title(page) == "The service is starting"
    assert page.headers["Retry-After"] in page.text
    own_stack.control("DELETE", "/faults")


def _answers(user: User) -> bool:
    try:
        return bool(ask(user, "/healthz").ok)
    except requests.ConnectionError:
        return False


def test_internal_error_has_the_number_of_the_request(
    own_stack: Stack, browser: Browser
) -> None:
    user = User(own_stack, "rachel")
    rubbish = {"rules": [{"target": "gafaelfawr", "status": 200, "body": "[]"}]}
    own_stack.control("PUT", "/faults", rubbish)
    page = ask(user, form_of(user), X_Request_ID="find-me-in-the-log")
    assert page.status_code == 500
    assert title(page) == "Something went wrong that should not"
    assert "Number of your request: find-me-in-the-log" in page.text
    assert "Traceback" not in page.text
    told = ask(user, form_of(user), "*/*", X_Request_ID="find-me-in-the-log")
    assert "find-me-in-the-log" in told.json()["detail"][0]["msg"]


@pytest.mark.parametrize("path", ["/nublado/nothing", "/nublado/spawner/v1/lab-form/x"])
def test_pages_of_errors_can_be_used_by_everybody(
    user: User, browser: Browser, path: str
) -> None:
    browser.visit(user.stack.endpoints.ingress, user.name, "/nb/hub/spawn")
    browser.driver.get(f"{user.stack.endpoints.ingress}{path}")
    assert browser.find("h1").is_displayed()
    assert browser.barriers() == []
    home = browser.find("main p a")
    assert home.get_attribute("href") == f"{user.stack.endpoints.ingress}/"


def test_pages_of_errors_speak_the_language_of_their_reader(user: User) -> None:
    page = ask(user, "/nothing", Accept_Language="fr")
    assert '<html lang="fr">' in page.text
    assert set(page.headers["Vary"].split(", ")) == {"Accept", "Accept-Language"}
