"""The pod with all file systems of labs: from the request to its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.deployment import NAMESPACE
from nublado.sandbox.stack import Stack
from tests.chart import rights
from tests.e2e.conftest import CONFIG
from tests.e2e.users import SECONDS
from tests.scripted_server import Reply, ScriptedServer
from tests.waiting import wait_for

_CONFIG = CONFIG.parent / "operators.yaml"
_SETTINGS = '{"pull_seconds": 0.05, "termination_delay": 0.01}'
_PODS = f"api/v1/namespaces/{NAMESPACE}/pods"
_CLAIMS = f"api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"


@pytest.fixture(scope="module")
def rbac(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Rights that the chart grants."""
    return rights(_CONFIG, tmp_path_factory.mktemp("rbac"))


@pytest.fixture(scope="module")
def slack() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.default = Reply(200, b"ok")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stack(
    rbac: Path | None, slack: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A deployment with fsadmin, held to the rights of the chart."""
    log = (tmp_path_factory.mktemp("fsadmin") / "service.log").open("w+")
    webhook = {"NUBLADO_SLACK_WEBHOOK": f"{slack.url}/services/T0/B0/x"}
    with Stack(
        _CONFIG, "--settings", _SETTINGS, rbac=rbac, log=log, environ=webhook
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def without_pod(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stack" in request.fixturenames:
        running: Stack = request.getfixturevalue("stack")
        running.control("DELETE", "/faults")
        assert call(running, "DELETE").status_code == 204


def call(
    stack: Stack, method: str, body: Any = None, user: str = "admin"
) -> requests.Response:
    """Make a request as the ingress passes it on."""
    return requests.request(
        method,
        f"{stack.api_url}/fsadmin/v1/service",
        json=body,
        headers={"X-Auth-Request-User": user},
        timeout=SECONDS,
    )


def start(stack: Stack) -> JSON:
    answer = call(stack, "POST", {"start": True})
    assert answer.status_code == 200, answer.text
    started: JSON = answer.json()
    return started


def kubernetes(stack: Stack, path: str) -> list[JSON]:
    answer = requests.get(f"{stack.endpoints.kubernetes}/{path}", timeout=SECONDS)
    items: list[JSON] = answer.json()["items"]
    return items


def pods(stack: Stack) -> list[JSON]:
    label = "labelSelector=nublado.lsst.io/category%3Dfsadmin"
    return kubernetes(stack, f"{_PODS}?{label}")


def status(stack: Stack) -> JSON:
    url = f"{stack.api_url}/admin/v1/status"
    shown: JSON = requests.get(url, timeout=SECONDS).json()["fsadmin"]
    return shown


def error(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"][0]["type"]


def test_life_of_the_pod(stack: Stack) -> None:
    assert error(call(stack, "GET")) == (404, "not_found")
    assert status(stack) == {
        "pod": "fsadmin",
        "phase": None,
        "started": None,
        "username": None,
    }
    started = start(stack)
    assert start(stack) == started
    answer = call(stack, "GET")
    assert (answer.status_code, answer.json()) == (200, started)
    [pod] = pods(stack)
    assert pod["status"]["phase"] == "Running"
    [container] = pod["spec"]["containers"]
    assert container["securityContext"]["privileged"] is True
    assert {m["mountPath"] for m in container["volumeMounts"]} == {
        "/users/home",
        "/users/scratch",
        "/users/archive",
    }
    [claim] = kubernetes(stack, _CLAIMS)
    assert claim["metadata"]["name"] == "fsadmin-pvc-scratch"
    wait_for(lambda: status(stack)["phase"] == "Running")
    assert status(stack)["username"] == "admin"
    page = requests.get(f"{stack.api_url}/admin", timeout=SECONDS).text
    assert "admin has asked for it" in page
    assert call(stack, "DELETE").status_code == 204
    assert pods(stack) == kubernetes(stack, _CLAIMS) == []
    assert error(call(stack, "GET")) == (404, "not_found")
    assert call(stack, "DELETE").status_code == 204


def test_creation_is_alerted_and_logged_with_who_asked(
    stack: Stack, slack: ScriptedServer
) -> None:
    start(stack)
    wait_for(lambda: any(b"Privileged pod" in r.body for r in slack.received))
    message = next(r.body for r in slack.received if b"Privileged pod" in r.body)
    assert b"admin" in message
    assert stack.log_file is not None
    log = Path(stack.log_file).read_text()
    assert "fsadmin is in the configuration" in log
    assert "Privileged pod with all file systems is being created" in log


@pytest.mark.parametrize(
    "body", [{}, {"start": False}, {"start": 1}, {"start": "true"}, [], None, True]
)
def test_nothing_else_can_be_asked_for(stack: Stack, body: Any) -> None:
    url = f"{stack.api_url}/fsadmin/v1/service"
    headers = {"X-Auth-Request-User": "admin"}
    answer = requests.request("POST", url, json=body, headers=headers, timeout=SECONDS)
    if body is None:
        # Without a body, none is declared.
        assert answer.status_code == 415
    else:
        assert answer.status_code == 422, answer.text
    extra = {"start": True, "image": "evil"}
    assert call(stack, "POST", extra).status_code == 422
    assert pods(stack) == []


def test_who_asks_must_be_known(stack: Stack) -> None:
    url = f"{stack.api_url}/fsadmin/v1/service"
    answer = requests.post(url, json={"start": True}, timeout=SECONDS)
    assert error(answer) == (422, "missing")
    assert pods(stack) == []


def test_pages_of_other_sites_cannot_ask(stack: Stack) -> None:
    url = f"{stack.api_url}/fsadmin/v1/service"
    headers = {"X-Auth-Request-User": "admin", "Sec-Fetch-Site": "cross-site"}
    answer = requests.post(url, json={"start": True}, headers=headers, timeout=SECONDS)
    assert answer.status_code == 403
    headers = {"X-Auth-Request-User": "admin", "Content-Type": "text/plain"}
    answer = requests.post(url, b'{"start": true}', headers=headers, timeout=SECONDS)
    assert answer.status_code == 415
    assert pods(stack) == []


def test_only_operators_get_through_the_ingress(stack: Stack) -> None:
    url = f"{stack.ingress_url}/fsadmin/v1/service"

    def ask(method: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        body = {"start": True} if method == "POST" else None
        answer = requests.request(
            method, url, json=body, headers=headers, timeout=SECONDS
        )
        return answer.status_code

    for method in ("POST", "GET", "DELETE"):
        assert ask(method, "gt-rachel") == 403
        assert ask(method, "gt-hub") == 403
    assert pods(stack) == []
    assert ask("POST", "gt-admin") == 200
    assert ask("DELETE", "gt-admin") == 204


def test_pod_that_does_not_run_is_told_and_replaced(stack: Stack) -> None:
    start(stack)
    [first] = pods(stack)
    stack.control("POST", f"/pods/{NAMESPACE}/fsadmin/finish", {"exit_code": 1})
    wait_for(lambda: pods(stack)[0]["status"]["phase"] == "Failed")
    answer = call(stack, "GET")
    assert error(answer) == (404, "invalid_phase")
    assert "Failed" in answer.text
    start(stack)
    [second] = pods(stack)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


def test_restart_while_it_runs(stack: Stack) -> None:
    started = start(stack)
    stack.service.stop()
    stack.start_service()
    stack.service.wait_ready()
    assert call(stack, "GET").json() == started == start(stack)
    wait_for(lambda: status(stack)["username"] == "admin")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_restart_while_it_is_created(stack: Stack, end: str) -> None:
    """What an interrupted creation has left is replaced by the next one."""
    usual = stack.control("GET", "/settings")["start_delay"]
    stack.control.settings(start_delay=3600)
    url = f"{stack.api_url}/fsadmin/v1/service"
    code = (
        "import requests, sys; requests.post(sys.argv[1], json={'start': True},"
        " headers={'X-Auth-Request-User': 'admin'})"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", code, url],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: pods(stack) != [])
        [first] = pods(stack)
        getattr(stack.service, end)()
    finally:
        client.kill()
        client.wait()
        stack.control.settings(start_delay=usual)
    stack.start_service()
    stack.service.wait_ready()
    start(stack)
    [second] = pods(stack)
    assert second["status"]["phase"] == "Running"
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


def test_rights_of_the_chart_are_needed_and_enough(stack: Stack) -> None:
    stack.control("DELETE", "/rbac")
    start(stack)
    assert call(stack, "DELETE").status_code == 204
    assert stack.control("GET", "/rbac")["missing"] == []


def test_disabled_unless_it_is_configured(tmp_path: Path) -> None:
    with (
        (tmp_path / "service.log").open("w+") as log,
        Stack(CONFIG, log=log) as stack,
    ):
        for method in ("POST", "GET", "DELETE"):
            answer = call(stack, method, {"start": True})
            assert error(answer) == (404, "not_supported")
        url = f"{stack.api_url}/fsadmin/v1/service"
        answer = requests.post(url, json={"start": True}, timeout=SECONDS)
        assert error(answer) == (422, "missing")
        assert status(stack) is None
        assert pods(stack) == []
        page = requests.get(f"{stack.api_url}/admin", timeout=SECONDS).text
        assert "Disabled in the configuration" in page
        assert "fsadmin is in the configuration" not in Path(log.name).read_text()


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """``kubectl`` for a deployment whose labs run, and so can commands."""
    directory = tmp_path_factory.mktemp("exec")
    with (
        (directory / "service.log").open("w+") as log,
        Stack(
            _CONFIG, "--settings", _SETTINGS, "--run-labs", sys.executable, log=log
        ) as running,
    ):
        yield Kubectl(running, directory)


class Kubectl:
    """``kubectl exec`` into the pod."""

    def __init__(self, stack: Stack, home: Path) -> None:
        self.stack = stack
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": str(stack.sandbox.kubeconfig),
        }

    def exec(
        self, *command: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        options = ["-i"] if stdin is not None else []
        return subprocess.run(
            ["kubectl", "-n", NAMESPACE, "exec", *options, "fsadmin", "--", *command],
            env=self._environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


_WITH_KUBECTL = pytest.mark.skipif(
    shutil.which("kubectl") is None or sys.platform != "linux",
    reason="needs kubectl, and Linux for labs that run",
)


@_WITH_KUBECTL
def test_operators_see_and_change_files_of_users(kubectl: Kubectl) -> None:
    start(kubectl.stack)
    listed = kubectl.exec("ls", "users")
    assert sorted(listed.stdout.split()) == ["archive", "home", "scratch"], listed
    assert kubectl.exec("mkdir", "-p", "users/home/rachel").returncode == 0
    written = kubectl.exec("tee", "users/home/rachel/note", stdin="from an operator\n")
    assert (written.returncode, written.stdout) == (0, "from an operator\n"), written
    assert call(kubectl.stack, "DELETE").status_code == 204
    assert kubectl.exec("ls").returncode != 0
    start(kubectl.stack)
    # Files outlive the pod, since they are not its own.
    assert kubectl.exec("cat", "users/home/rachel/note").stdout == "from an operator\n"
    assert call(kubectl.stack, "DELETE").status_code == 204


@_WITH_KUBECTL
def test_commands_end_as_they_do(kubectl: Kubectl) -> None:
    start(kubectl.stack)
    failed = kubectl.exec("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (failed.returncode, failed.stdout) == (7, "out\n")
    assert failed.stderr.startswith("err\n")
    assert kubectl.exec("no-such-program").returncode == 127
    large = kubectl.exec("head", "-c", "3000000", "/dev/zero")
    assert len(large.stdout) == 3_000_000
    assert call(kubectl.stack, "DELETE").status_code == 204
