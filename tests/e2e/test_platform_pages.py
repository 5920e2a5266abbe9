"""The pages of the demonstration: login, start page, messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.browser import Browser, start_browser

_SECONDS = 60.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/", "Hello, mary"),
        ("/nb/hub/spawn", "Server options"),
        ("/nb/user/mary/lab", "Lab of mary"),
    ],
)
def test_pages_speak_the_language_of_the_service(
    browser: Browser, stack: Stack, path: str, title: str
) -> None:
    browser.visit(stack.endpoints.ingress, "mary", path)
    assert browser.find("h1").text == title
    assert browser.find("header.platform").text == stack.config.name
    assert browser.barriers() == []
    assert browser.complaints() == []
    style = "return getComputedStyle(document.body).maxWidth"
    assert browser.driver.execute_script(style) != "none"


def test_login_refuses_what_is_no_username(stack: Stack) -> None:
    answer = requests.post(
        f"{stack.endpoints.ingress}/login",
        data={"username": "Bad User", "rd": '/"><script>'},
        timeout=_SECONDS,
    )
    assert answer.status_code == 400
    assert "That is not a username" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [("/nothing", 404, "Nothing is here"), ("/nublado/admin", 403, "Not allowed")],
)
def test_refusals_are_pages_for_browsers_and_lines_for_programs(
    stack: Stack, path: str, status: int, title: str
) -> None:
    url = f"{stack.endpoints.ingress}{path}"
    headers = {"Authorization": "bearer gt-mary"}
    plain = requests.get(url, headers=headers, timeout=_SECONDS)
    assert plain.status_code == status
    assert "<" not in plain.text
    headers["Accept"] = "text/html"
    page = requests.get(url, headers=headers, timeout=_SECONDS)
    assert page.status_code == status
    assert f"<h1>{title}</h1>" in page.text
