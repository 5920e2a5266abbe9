"""What operators do to a running service, and what others cannot do to it."""

from __future__ import annotations

import re
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


class Page:
    """The status page of an operator, and what its forms send."""

    def __init__(self, stack: Stack, username: str = "admin") -> None:
        self.url = f"{stack.ingress_url}/admin"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer gt-{username}"

    def get(self, path: str = "") -> requests.Response:
        return self._session.get(f"{self.url}{path}", timeout=SECONDS)

    @property
    def token(self) -> str:
        found = re.search('name="token" value="([^"]+)"', self.get().text)
        assert found is not None
        return found[1]

    def send(
        self, path: str, data: dict[str, str], **headers: str
    ) -> requests.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._session.post(
            f"{self.url}/{path}",
            data=data,
            headers=sent,
            timeout=SECONDS,
            allow_redirects=False,
        )


def test_forms_of_the_page_do_what_they_say(
    stack: Stack, user: User, operator: Operator
) -> None:
    page = Page(stack)
    fields = {"token": page.token, "message": "Line 1\r\nLine 2", "minutes": "30"}
    answer = page.send("actions/drain", fields, Sec_Fetch_Site="same-origin")
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("/admin?done=drain")
    drain = operator("GET", "notices").json()["drain"]
    assert drain["message"] == "Line 1\nLine 2"
    assert drain["by"] == "admin"
    left = datetime.fromisoformat(drain["until"]) - datetime.now(UTC)
    assert timedelta(minutes=25) < left <= timedelta(minutes=30)
    assert page.send("actions/undrain", fields).status_code == 303
    assert operator("GET", "notices").json()["drain"] is None
    for action in ("refresh", "prepull"):
        assert page.send(f"actions/{action}", fields).status_code == 303
    user.spawn()
    shown = page.get(f"/users/{user.name}")
    assert shown.status_code == 200
    assert user.namespace in shown.text
    assert f"Lab Kubernetes pod started for {user.name}" in shown.text
    answer = page.send(f"users/{user.name}/delete-lab", fields)
    assert answer.status_code == 303
    assert user.state().status_code == 404
    again = page.send(f"users/{user.name}/delete-lab", fields)
    assert again.status_code == 404
    assert f"Unknown user {user.name}" in again.text


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        (None, {}),
        ("", {}),
        ("admin.x.y", {}),
        ("valid", {"Sec_Fetch_Site": "cross-site"}),
        ("valid", {"Sec_Fetch_Site": "same-site"}),
    ],
)
def test_forms_of_other_pages_do_nothing(
    stack: Stack, user: User, token: str | None, headers: dict[str, str]
) -> None:
    user.spawn()
    page = Page(stack)
    fields = {"message": "Evil"}
    if token is not None:
        fields["token"] = page.token if token == "valid" else token
    paths = [
        f"users/{user.name}/delete-lab",
        *(f"actions/{a}" for a in ("drain", "announce", "refresh", "prepull")),
    ]
    for path in paths:
        answer = page.send(path, fields, **headers)
        assert answer.status_code == 403
        assert "text/html" in answer.headers["Content-Type"]
    assert user.status == "running"
    user.delete()


def test_token_is_of_use_only_to_whom_it_was_given(stack: Stack, user: User) -> None:
    user.spawn()
    token = Page(stack).token
    path = f"users/{user.name}/delete-lab"
    assert Page(stack, "rachel").send(path, {"token": token}).status_code == 403
    other = requests.post(
        f"{stack.api_url}/admin/{path}",
        data={"token": token},
        headers={"X-Auth-Request-User": "another-operator"},
        timeout=SECONDS,
    )
    assert other.status_code == 403
    assert Page(stack).get(f"/{path}?token={token}").status_code == 405
    assert user.status == "running"
    user.delete()


def test_labs_are_searched_without_scripts(stack: Stack, user: User) -> None:
    user.spawn()
    row = f">{user.name}</a>"
    page = Page(stack)
    for query in (f"q={user.name.upper()}", "state=running&node=node", "image=lab:"):
        assert row in page.get(f"?{query}").text
    for query in ("q=nobody", "state=failed", "node=elsewhere", "reason=x"):
        assert row not in page.get(f"?{query}").text
    assert "<i>" not in page.get("?q=<i>&done=<i>").text
    user.delete()


def test_log_level_holds_for_a_time(stack: Stack, operator: Operator) -> None:
    usual = {"level": "INFO", "until": None}
    assert operator("GET", "log-level").json() == usual
    answer = operator("PUT", "log-level", {"level": "ERROR", "seconds": 1})
    assert answer.json()["level"] == "ERROR"
    wait_for(lambda: operator("GET", "log-level").json() == usual)
    assert operator("PUT", "log-level", {"level": "DEBUG"}).json()["until"]
    assert operator("DELETE", "log-level").status_code == 204
    assert operator("GET", "log-level").json() == usual
    for body in ({"level": "LOUD"}, {"level": "DEBUG", "seconds": 0}, {}):
        assert operator("PUT", "log-level", body).status_code == 422
    assert Operator(stack, "rachel")("PUT", "log-level", {}).status_code == 403


def test_configuration_is_the_one_that_runs(operator: Operator) -> None:
    found = operator("GET", "configuration").json()
    assert found == {"has_changed": False, "since": None, "problems": []}


def test_operators_find_and_delete_a_lab_in_a_browser(stack: Stack, user: User) -> None:
    other = User(stack, f"{user.name}-other")
    for spawned in (user, other):
        spawned.spawn()
    with start_browser() as browser:
        path = f"{stack.config.path_prefix}/admin"
        browser.visit(stack.endpoints.ingress, "admin", path)
        browser.wait_for_text("#connection", "keeps itself up to date")
        browser.find("#filter input[name=q]").send_keys(other.name)
        browser.wait_for_text("#found", "1 of ")
        browser.find(f"#labs a[href$='/{other.name}']").click()
        browser.wait_for_text("h1", other.name)
        assert browser.barriers() == []
        browser.find("#lab summary").click()
        browser.find("#lab .danger").click()
        browser.wait_for_text("[role=status]", "The lab is gone")
        assert browser.barriers() == []
        assert browser.complaints() == []
    assert other.state().status_code == 404
    assert user.status == "running"
    user.delete()


def test_operators_act_without_scripts(
    stack: Stack, user: User, operator: Operator
) -> None:
    with start_browser(scripts=False) as browser:
        path = f"{stack.config.path_prefix}/admin"
        browser.visit(stack.endpoints.ingress, "admin", path)
        browser.find("#actions summary").click()
        browser.find("#drain-message").send_keys("Storage is being moved.")
        browser.find("#drain-message ~ button").click()
        browser.wait_for_text("#actions", "No labs can be started now.")
        assert user.create().status_code == 503
        assert browser.complaints() == []


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
