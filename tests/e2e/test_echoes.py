"""Servers that quote requests: what nobody may see is seen nowhere."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import requests
import yaml

from nublado.sandbox.echoes import ECHOES, go_quoted
from nublado.sandbox.stack import Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import SECONDS, User
from tests.scripted_server import ScriptedServer
from tests.waiting import wait_for

PASSWORD = 'p455/w0rd"<&>+é\\%41'
SETTINGS = {
    "DATABASE": f"postgres://neo:{PASSWORD}@db.example.org/",
    "API_TOKEN": "s3same",
    "NOTES": "the first line of it\nthe second line of it",
    "FAVOURITE": "science",
    "FLAG": "true",
    "COUNT": "1",
}
REGISTRY_LOGIN = b64encode(b"robot:dr0ids-y0u-seek").decode()
AUTHS = {"registry.example.org": {"username": "robot", "auth": REGISTRY_LOGIN}}
SECRET_DATA = "correct-horse-battery"

ROLES = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: everything}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: everything}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: everything}
subjects: [{kind: ServiceAccount, name: nublado, namespace: nublado}]
"""


class Watched:
    """A stack, and everything that people get to see of it."""

    def __init__(self, stack: Stack, slack: ScriptedServer, log: Path) -> None:
        self.stack = stack
        self.slack = slack
        self.log = log
        kubeconfig = yaml.safe_load(Path(stack.sandbox.kubeconfig).read_text())
        self.service_token = kubeconfig["users"][0]["user"]["token"]

    def replace_secret(self, name: str, kind: str, data: dict[str, str]) -> None:
        path = "/api/v1/namespaces/nublado/secrets"
        url = f"{self.stack.endpoints.kubernetes}{path}"
        as_service = {"Authorization": f"Bearer {self.service_token}"}
        session = requests.Session()
        session.headers.update(as_service)
        assert session.delete(f"{url}/{name}", timeout=SECONDS).ok
        body = {"metadata": {"name": name}, "type": kind, "data": data}
        assert session.post(url, json=body, timeout=SECONDS).ok

    def create(self, user: User) -> requests.Response:
        body = user.specification()
        body["env"] |= SETTINGS
        return requests.post(
            f"{user.lab}/create", json=body, headers=user.headers, timeout=SECONDS
        )

    def shown_to(self, user: User) -> dict[str, str]:
        """What a user sees, who waits for the end of their spawn first."""
        events = user.follow()
        assert events.ended.wait(SECONDS)
        page = requests.get(
            f"{user.lab}/progress",
            headers={**user.headers, "Accept": "text/html"},
            timeout=SECONDS,
        )
        return {
            "error": events.messages[-2],
            "events": "\n".join(events.messages),
            "progress": page.text,
            "state": user.state().text + user.user_status().text,
        }

    def shown_to_operators(self) -> dict[str, str]:
        service, api = self.stack.service.url, self.stack.api_url
        pages = {
            "probe": f"{service}/readyz",
            "status": f"{api}/admin/v1/status",
            "page": f"{api}/admin",
            "metrics": f"{service}/metrics",
        }
        return {
            **{k: requests.get(v, timeout=SECONDS).text for k, v in pages.items()},
            "alerts": "\n".join(r.body.decode() for r in list(self.slack.received)),
            "log": self.log.read_text(),
        }


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    directory = tmp_path_factory.mktemp("echoes")
    log, roles = directory / "log", directory / "roles.yaml"
    roles.write_text(ROLES)
    slack = ScriptedServer()
    slack.start()
    environ = {"NUBLADO_SLACK_WEBHOOK": f"{slack.url}/services/alerts"}
    with (
        log.open("w") as file,
        Stack(CONFIG, rbac=roles, environ=environ, log=file) as stack,
    ):
        watched = Watched(stack, slack, log)
        auths = b64encode(json.dumps({"auths": AUTHS}).encode()).decode()
        watched.replace_secret(
            "pull-secret",
            "kubernetes.io/dockerconfigjson",
            {".dockerconfigjson": auths},
        )
        watched.replace_secret(
            "nublado-lab-secret",
            "Opaque",
            {"postgres-credentials.txt": b64encode(SECRET_DATA.encode()).decode()},
        )
        yield watched
    slack.stop()


def forms_of(value: str) -> set[str]:
    """Ways to write a value that may be met anywhere."""
    data = value.encode()
    core = {
        # What does not depend on what stands around it.
        b64encode(b"\0" * shift + data)[
            (shift * 8 + 5) // 6 : (shift + len(data)) * 8 // 6
        ].decode()
        for shift in range(3)
    }
    forms = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(json.dumps(value)[1:-1])[1:-1],
        go_quoted(value),
        repr(value)[1:-1],
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        html.escape(value),
        value.encode().hex(),
        ", ".join(map(hex, value.encode())),
        *core,
        *(text.replace("+", "-").replace("/", "_") for text in core),
    }
    return {form for form in forms if len(form) >= len("s3same")}


def leaks(user: User, watched: Watched, shown: dict[str, str]) -> list[str]:
    """Where something is shown that nobody may see."""
    values = [
        SETTINGS["DATABASE"],
        PASSWORD,
        SETTINGS["API_TOKEN"],
        *SETTINGS["NOTES"].splitlines(),
        user.headers["X-Auth-Request-Token"],
        watched.service_token,
        REGISTRY_LOGIN,
        "dr0ids-y0u-seek",
        SECRET_DATA,
    ]
    return [
        f"{where}: {form}"
        for where, text in shown.items()
        for value in values
        for form in forms_of(value)
        if form in text
    ]


@pytest.mark.parametrize("name", ECHOES)
def test_what_comes_back_is_hidden_everywhere(watched: Watched, name: str) -> None:
    user = User(watched.stack, name.replace("echo-", "neo-"))
    path = f"{user.namespace}/configmaps$"
    watched.stack.control.faults({"method": "POST", "path": path, "answer": name})
    answer = watched.create(user)
    assert answer.status_code == 201
    shown = {"answer": answer.text, **watched.shown_to(user)}
    shown |= watched.shown_to_operators()
    watched.stack.control("DELETE", "/faults")
    shown["deletion"] = user.delete().text
    assert leaks(user, watched, shown) == []
    name_of_object = f"ConfigMap {user.namespace}/{user.name}-nb-env, status 4"
    assert name_of_object in shown["error"]
    assert name_of_object in shown["log"]


@pytest.mark.parametrize("kind", ["namespaces", "secrets", "pods", "services"])
def test_other_requests_of_the_spawn_tell_nothing_either(
    watched: Watched, kind: str
) -> None:
    user = User(watched.stack, f"trinity-{kind}")
    everything = json.dumps(
        {
            "env": SETTINGS,
            "token": b64encode(user.headers["X-Auth-Request-Token"].encode()).decode(),
            "registry": REGISTRY_LOGIN,
            "password": "dr0ids-y0u-seek",
            "secret": urlsafe_b64encode(f"-{SECRET_DATA}-".encode()).decode(),
        }
    )
    where = f"/{kind}$" if kind == "namespaces" else f"{user.namespace}/{kind}$"
    rule = {"method": "POST", "path": where}
    retried = {**rule, "status": 503, "body": f"try later: {everything}", "count": 1}
    refused = {**rule, "status": 400, "body": f"refused: {everything}"}
    watched.stack.control.faults(retried, refused)
    assert watched.create(user).status_code == 201
    shown = watched.shown_to(user)
    shown |= watched.shown_to_operators()
    watched.stack.control("DELETE", "/faults")
    assert leaks(user, watched, shown) == []
    assert "Retrying Kubernetes request" in shown["log"]
    assert '"science"' not in shown["events"]


def test_alerts_tell_what_has_failed_but_not_what_was_sent(watched: Watched) -> None:
    user = User(watched.stack, "morpheus")
    path = f"{user.namespace}/pods$"
    rule = {"method": "POST", "path": path, "status": 418, "body": PASSWORD}
    watched.stack.control.faults(rule)
    assert watched.create(user).status_code == 201
    wait_for(lambda: any(b"418" in r.body for r in list(watched.slack.received)))
    assert leaks(user, watched, watched.shown_to_operators()) == []
    watched.stack.control("DELETE", "/faults")
