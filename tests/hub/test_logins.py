"""Who JupyterHub believes a user to be."""

from __future__ import annotations

import pytest
import requests

from nublado.sandbox.platform import Platform
from tests.hub.users import HubUser, wait_until

_SECONDS = 60.0


@pytest.mark.parametrize(
    ("username", "token"),
    [("admin", "gt-rachel"), ("admin", "gt-"), ("admin", None), (None, None)],
    ids=["token-of-another", "invalid-token", "no-token", "nothing"],
)
def test_headers_that_do_not_come_from_the_ingress(
    platform: Platform, username: str | None, token: str | None
) -> None:
    headers = {"X-Auth-Request-User": username, "X-Auth-Request-Token": token}
    answer = requests.get(
        f"{platform.hub.url}/nb/hub/ingress-login",
        headers={name: value for name, value in headers.items() if value},
        timeout=_SECONDS,
        allow_redirects=False,
    )
    assert answer.status_code == 403
    assert "jupyterhub-hub-login" not in answer.cookies


def test_ingress_logs_in(platform: Platform, user: HubUser) -> None:
    user.log_in()
    assert user.name in user.browser.get(_home(platform), timeout=_SECONDS).text


def test_another_user_of_the_same_browser(platform: Platform, user: HubUser) -> None:
    user.log_in()
    other = HubUser(platform, f"{user.name}-other")
    other.browser = user.browser
    other.log_in()

    def is_other() -> bool:
        page = user.browser.get(_home(platform), timeout=_SECONDS)
        return f"/user/{other.name}" in page.text or f">{other.name}<" in page.text

    wait_until(is_other, "JupyterHub notices")


def test_user_without_a_token_is_told_to_log_in(user: HubUser) -> None:
    assert user.ask("POST", "").status_code == 201
    answer = user.start()
    assert answer.status_code == 403
    assert "log in again" in answer.json()["message"].lower()


def _home(platform: Platform) -> str:
    return f"{platform.url}/nb/hub/home"
