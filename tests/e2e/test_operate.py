"""What operators do to a running service, and what others cannot do to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.browser import start_browser
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

_MESSAGE = "The storage is being moved until noon <b>today</b>."
_BANNER = "Cake in the kitchen & coffee"


class Operator:
    """Somebody behind the ingress, with the rights of a token."""

    def __init__(self, stack: Stack, username: str = "admin") -> None:
        self._url = f"{stack.ingress_url}/admin/v1"
        self._token = {"Authorization": f"Bearer gt-{username}"}

    def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> requests.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(
            method,
            f"{self._url}/{path}",
            json=body,
            headers={**self._token, **sent},
            timeout=SECONDS,
        )


@pytest.fixture
def operator(stack: Stack) -> Iterator[Operator]:
    """An operator, in whose wake users can start labs."""
    operator = Operator(stack)
    yield operator
    for path in ("drain", "announcement"):
        assert operator("DELETE", path).status_code == 204


def form_of(user: User) -> str:
    url = f"{user.stack.api_url}/spawner/v1/lab-form/{user.name}"
    answer = requests.get(url, headers=user.headers, timeout=SECONDS)
    assert answer.status_code == 200
    return answer.text


def progress_of(user: User) -> str:
    answer = requests.get(f"{user.lab}/progress", headers=user.headers, timeout=SECONDS)
    return answer.text


def test_drain_lets_no_lab_start_and_leaves_others_alone(
    stack: Stack, user: User, operator: Operator
) -> None:
    user.spawn()
    answer = operator("PUT", "drain", {"message": _MESSAGE})
    assert answer.status_code == 200
    assert answer.json()["by"] == "admin"
    other = User(stack, f"{user.name}-other")
    refused = other.create()
    assert refused.status_code == 503
    assert refused.json()["detail"] == [{"type": "maintenance", "msg": _MESSAGE}]
    assert int(refused.headers["Retry-After"]) > 0
    assert other.state().status_code == 404
    assert user.status == "running"
    form = form_of(other)
    assert "until noon &lt;b&gt;today&lt;/b&gt;" in form
    assert "<select" not in form
    assert "until noon &lt;b&gt;today&lt;/b&gt;" in progress_of(user)
    assert operator("DELETE", "drain").status_code == 204
    other.spawn()
    assert other.status == "running"
    assert "until noon" not in form_of(other)
    for spawned in (user, other):
        spawned.delete()


def test_announcement_is_on_all_pages_until_its_end(
    stack: Stack, user: User, operator: Operator
) -> None:
    user.spawn()
    until = datetime.now(UTC) + timedelta(seconds=3600)
    body = {"message": _BANNER, "until": until.isoformat()}
    assert operator("PUT", "announcement", body).status_code == 200
    assert "kitchen &amp; coffee" in form_of(user)
    assert "kitchen &amp; coffee" in progress_of(user)
    pages = [f"{stack.api_url}/{page}" for page in ("admin", "docs")]
    for page in pages:
        assert "kitchen &amp; coffee" in requests.get(page, timeout=SECONDS).text
    soon = datetime.now(UTC) + timedelta(seconds=2)
    body["until"] = soon.isoformat()
    assert operator("PUT", "announcement", body).status_code == 200
    wait_for(lambda: "kitchen" not in form_of(user))
    assert operator("GET", "notices").json()["announcement"] is None
    user.delete()


def test_drain_outlives_a_kill(own_stack: Stack) -> None:
    operator = Operator(own_stack)
    assert operator("PUT", "drain", {"message": _MESSAGE}).status_code == 200
    own_stack.service.kill()
    own_stack.start_service()
    own_stack.service.wait_ready()
    assert User(own_stack, "rachel").create().status_code == 503
    assert operator("DELETE", "drain").status_code == 204
    own_stack.service.stop()
    own_stack.start_service()
    own_stack.service.wait_ready()
    user = User(own_stack, "rachel")
    user.spawn()
    assert user.status == "running"


@pytest.mark.parametrize("path", ["drain", "announcement"])
def test_nobody_else_can_tell_users_anything(
    stack: Stack, operator: Operator, path: str
) -> None:
    body = {"message": "Send me your passwords."}
    for method in ("PUT", "DELETE"):
        rachel = Operator(stack, "rachel")(method, path, body)
        assert rachel.status_code == 403
        nobody = requests.request(
            method, f"{stack.ingress_url}/admin/v1/{path}", json=body, timeout=SECONDS
        )
        assert nobody.status_code == 401
        foreign = operator(method, path, body, Sec_Fetch_Site="cross-site")
        assert foreign.status_code == 403
    form = operator("PUT", path, body, Content_Type="text/plain")
    assert form.status_code == 415
    unnamed = requests.put(
        f"{stack.api_url}/admin/v1/{path}", json=body, timeout=SECONDS
    )
    assert unnamed.status_code == 422
    assert operator("GET", "notices").json() == {"drain": None, "announcement": None}


def test_page_shows_a_drain_to_people(
    stack: Stack, user: User, operator: Operator
) -> None:
    assert operator("PUT", "drain", {"message": _MESSAGE}).status_code == 200
    assert operator("PUT", "announcement", {"message": _BANNER}).status_code == 200
    with start_browser() as browser:
        path = f"{stack.config.path_prefix}/admin"
        browser.visit(stack.endpoints.ingress, "admin", path)
        browser.wait_for_text("#notices", _MESSAGE)
        browser.wait_for_text("#notices", _BANNER)
        assert browser.barriers() == []
        operator("DELETE", "drain")
        wait_for(lambda: not any(_MESSAGE in t for t in browser.texts("#notices")))
        assert browser.complaints() == []
