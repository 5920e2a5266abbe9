"""File servers: from the page to WebDAV, and away again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.chart import rights
from tests.e2e.browser import start_browser
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

CONFIG = Path(__file__).parent.parent / "data" / "configs" / "files.yaml"
SETTINGS = {"pull_seconds": 0.05, "termination_delay": 0.01, "address_delay": 0.02}
KINDS = {
    "gafaelfawringresses": "apis/gafaelfawr.lsst.io/v1alpha1",
    "ingresses": "apis/networking.k8s.io/v1",
    "services": "api/v1",
    "jobs": "apis/batch/v1",
    "pods": "api/v1",
    "persistentvolumeclaims": "api/v1",
}


class Files:
    """The file server of one user."""

    def __init__(self, stack: Stack, name: str = "rachel") -> None:
        self.stack = stack
        self.name = name
        self._user = User(stack, name)

    @property
    def api(self) -> str:
        return f"{self.stack.api_url}/fileserver/v1"

    def open_page(self, path: str = "/files", **headers: str) -> requests.Response:
        url = f"{self.stack.service.url}{path}"
        headers = {**self._user.headers, **headers}
        return requests.get(url, headers=headers, timeout=SECONDS)

    def delete(self) -> requests.Response:
        return requests.delete(f"{self.api}/users/{self.name}", timeout=SECONDS)

    def running(self) -> list[str]:
        answer = requests.get(f"{self.api}/users", timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        users: list[str] = answer.json()
        return users

    def webdav(
        self, method: str = "PROPFIND", path: str = "", token: str | None = None
    ) -> requests.Response:
        return requests.request(
            method,
            f"{self.stack.endpoints.ingress}/files/{self.name}{path}",
            auth=(self.name, token or f"gt-{self.name}"),
            headers={"Depth": "1"} if method == "PROPFIND" else {},
            timeout=SECONDS,
        )

    def objects(self) -> dict[str, list[dict[str, Any]]]:
        """All objects of file servers, by kind; none are left out."""
        found = {}
        for plural in KINDS:
            answer = requests.get(self._url(plural), timeout=SECONDS)
            if items := answer.json()["items"]:
                found[plural] = items
        return found

    def pod(self) -> dict[str, Any]:
        (pod,) = self.objects()["pods"]
        return pod

    def remove(self, plural: str, name: str) -> None:
        answer = requests.delete(f"{self._url(plural)}/{name}", timeout=SECONDS)
        assert answer.status_code < 300, answer.text

    def create(self, plural: str, obj: dict[str, Any]) -> None:
        answer = requests.post(self._url(plural), json=obj, timeout=SECONDS)
        assert answer.status_code == 201, answer.text

    def finish_pod(self, exit_code: int = 0) -> None:
        name = self.pod()["metadata"]["name"]
        path = f"/pods/fileservers/{name}/finish"
        self.stack.control("POST", path, {"exit_code": exit_code})

    def _url(self, plural: str) -> str:
        base = self.stack.endpoints.kubernetes
        return f"{base}/{KINDS[plural]}/namespaces/fileservers/{plural}"


def start(directory: Path, config: Path = CONFIG) -> Stack:
    return Stack(
        config,
        *("--settings", json.dumps(SETTINGS)),
        rbac=rights(config, directory),
        log=(directory / "service.log").open("w+"),
    )


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    with start(tmp_path) as stack:
        yield Files(stack)


def test_page_starts_a_server_that_lists_the_files(files: Files) -> None:
    page = files.open_page()
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert f"{files.stack.endpoints.ingress}/files/rachel" in page.text
    assert "<strong>1h</strong>" in page.text
    assert files.running() == ["rachel"]
    status = requests.get(f"{files.api}/users/rachel", timeout=SECONDS)
    assert status.json() == {"running": True}
    own = requests.get(
        f"{files.api}/user-status",
        headers={"X-Auth-Request-User": "rachel"},
        timeout=SECONDS,
    )
    assert own.json() == {"running": True}
    listing = files.webdav(path="/home/rachel")
    assert listing.status_code == 207
    assert "/files/rachel/home/rachel/welcome.txt" in listing.text
    text = files.webdav("GET", "/home/rachel/welcome.txt").text
    assert text == "These are the files of rachel.\n"
    assert files.webdav(token="gt-somebody").status_code == 403


def test_foreign_pages_start_none(files: Files) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert files.open_page(**foreign).status_code == 403
    assert files.running() == []
    assert files.open_page(**{**foreign, "Sec-Fetch-Mode": "navigate"}).ok


def test_running_server_is_left_alone(files: Files) -> None:
    assert files.open_page().status_code == 200
    uid = files.pod()["metadata"]["uid"]
    files.stack.control("POST", "/stats/reset")
    assert files.open_page("/files/").status_code == 200
    assert files.open_page("/files/rachel/home").status_code == 200
    assert files.pod()["metadata"]["uid"] == uid
    stats = files.stack.control("GET", "/stats")["requests"]
    assert not [e for e in stats if e["route"] in KINDS and e["route"] != "pods"]


def test_deleted_server_is_gone(files: Files) -> None:
    assert files.open_page().status_code == 200
    assert "persistentvolumeclaims" in files.objects()
    assert files.delete().status_code == 204
    assert files.objects() == {}
    assert files.running() == []
    answer = files.delete()
    assert answer.status_code == 404
    assert answer.json()["detail"][0] == {
        "type": "unknown_user",
        "msg": "Unknown user rachel",
        "loc": ["path", "username"],
    }


@pytest.mark.parametrize("exit_code", [0, 1])
def test_everything_is_gone_after_the_pod_has_ended(
    files: Files, exit_code: int
) -> None:
    assert files.open_page().status_code == 200
    files.finish_pod(exit_code)
    wait_for(lambda: files.running() == [])
    wait_for(lambda: files.objects() == {})
    assert files.open_page().status_code == 200
    assert files.webdav(path="/home/rachel").status_code == 207


def test_idle_server_goes_and_comes_back(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.read_text().replace("idleTimeout: 1h", "idleTimeout: 1s"))
    with start(tmp_path, config) as stack:
        files = Files(stack)
        assert files.open_page().status_code == 200
        wait_for(lambda: files.running() == [])
        wait_for(lambda: files.objects() == {})
        assert files.open_page().status_code == 200
        assert files.running() == ["rachel"]


def test_two_visits_at_once_make_one_server(files: Files) -> None:
    files.stack.control("POST", "/stats/reset")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: files.open_page(), range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    made = [
        entry["count"]
        for entry in files.stack.control("GET", "/stats")["requests"]
        if entry["method"] == "POST" and "jobs" in entry["route"]
    ]
    assert made == [1]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"failing_pulls": ["worblehat"]}, "pod is Pending"),
        ({"makes_ingresses": False}, "there is no ingress"),
        ({"gives_addresses": False}, "ingress has no address"),
    ],
)
def test_creation_that_times_out_leaves_nothing(
    files: Files, settings: dict[str, Any], reason: str
) -> None:
    files.stack.control("PATCH", "/settings", settings)
    answer = files.open_page()
    assert answer.status_code == 500
    (problem,) = answer.json()["detail"]
    assert problem["type"] == "file_server_create_failed"
    assert problem["msg"] == (
        "Failed to create file server: File server creation timed out after 3.0:"
        f" {reason}"
    )
    assert files.objects() == {}
    assert files.running() == []


def test_deletion_during_creation_ends_it(files: Files) -> None:
    files.stack.control("PATCH", "/settings", {"gives_addresses": False})
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(files.open_page)
        wait_for(lambda: "pods" in files.objects())
        assert files.delete().status_code == 204
        answer = page.result(SECONDS)
    assert answer.status_code == 500
    assert "Operation cancelled" in answer.json()["detail"][0]["msg"]
    assert files.objects() == {}


def test_service_killed_during_creation_cleans_up(files: Files) -> None:
    files.stack.control("PATCH", "/settings", {"gives_addresses": False})
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(files.open_page)
        wait_for(lambda: "pods" in files.objects())
        files.stack.service.kill()
        assert page.exception(SECONDS) is not None
    files.stack.control("PATCH", "/settings", {"gives_addresses": True})
    files.stack.start_service()
    files.stack.service.wait_ready()
    wait_for(lambda: files.objects() == {})
    assert files.open_page().status_code == 200


def test_restarted_service_knows_running_servers(files: Files) -> None:
    assert files.open_page().status_code == 200
    uid = files.pod()["metadata"]["uid"]
    files.stack.service.kill()
    files.stack.start_service()
    files.stack.service.wait_ready()
    assert files.running() == ["rachel"]
    assert files.pod()["metadata"]["uid"] == uid
    assert files.delete().status_code == 204
    assert files.objects() == {}


@pytest.mark.parametrize("plural", ["gafaelfawringresses", "services", "jobs"])
def test_leftover_of_one_kind_is_removed_at_start(files: Files, plural: str) -> None:
    assert files.open_page().status_code == 200
    (left,) = files.objects()[plural]
    claim = files.objects()["persistentvolumeclaims"][0]
    files.stack.service.stop()
    for kind in ("gafaelfawringresses", "services", "jobs"):
        if kind != plural:
            files.remove(kind, left["metadata"]["name"])
    files.remove("persistentvolumeclaims", claim["metadata"]["name"])
    files.stack.start_service()
    files.stack.service.wait_ready()
    wait_for(lambda: files.objects() == {})


@pytest.mark.parametrize("plural", ["gafaelfawringresses", "services", "jobs"])
def test_leftover_of_one_kind_is_replaced(files: Files, plural: str) -> None:
    assert files.open_page().status_code == 200
    left = files.objects()[plural][0]
    assert files.delete().status_code == 204
    metadata = {key: left["metadata"][key] for key in ("name", "labels")}
    left["metadata"] = metadata
    left.pop("status", None)
    if plural == "jobs":
        del left["spec"]["selector"]
        left["spec"]["template"]["metadata"]["labels"] = metadata["labels"]
    if plural == "services":
        left["spec"] = {"ports": left["spec"]["ports"]}
    files.create(plural, left)
    assert files.open_page().status_code == 200
    assert files.running() == ["rachel"]
    assert files.webdav(path="/home/rachel").status_code == 207


def test_second_pod_of_a_job_does_not_matter(files: Files) -> None:
    assert files.open_page().status_code == 200
    pod = files.pod()
    first = pod["metadata"]["name"]
    twin = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{first}-twin",
            "labels": pod["metadata"]["labels"],
            "ownerReferences": pod["metadata"]["ownerReferences"],
        },
        "spec": {key: pod["spec"][key] for key in ("containers", "volumes")},
    }
    files.create("pods", twin)
    path = f"/pods/fileservers/{first}-twin/finish"
    wait_for(lambda: len(files.objects()["pods"]) == 2)
    files.stack.control("POST", path, {"exit_code": 1})
    assert files.running() == ["rachel"]
    assert files.open_page().status_code == 200
    assert files.delete().status_code == 204
    assert files.objects() == {}


def test_page_is_followed_in_a_browser(files: Files) -> None:
    with start_browser() as browser:
        browser.log_in(files.stack.endpoints.ingress, "rachel", "/files")
        assert browser.find("#url").text.endswith("/files/rachel")
        assert browser.find("#copy").is_displayed()
        assert browser.barriers() == []
        browser.find("a[href$='/auth/tokens']").click()
        browser.wait_for_path("/auth/tokens")
        token = browser.find("p code").text
        assert browser.complaints() == []
    assert files.webdav(token=token).status_code == 207


def test_page_asks_who_comes(files: Files) -> None:
    url = f"{files.stack.service.url}/files"
    assert requests.get(url, timeout=SECONDS).status_code == 422
    forged = {"X-Auth-Request-User": "rachel", "X-Auth-Request-Token": "gt-somebody"}
    assert requests.get(url, headers=forged, timeout=SECONDS).status_code == 403
    assert files.objects() == {}


def test_nobody_can_have_such_a_name(files: Files) -> None:
    for method in ("GET", "DELETE"):
        url = f"{files.api}/users/Rachel"
        answer = requests.request(method, url, timeout=SECONDS)
        assert answer.status_code == 404
        assert answer.json()["detail"][0]["type"] == "unknown_user"


def test_base_url_with_an_address_is_refused_at_once(tmp_path: Path) -> None:
    environ = {"EXTERNAL_INSTANCE_URL": "https://10.0.0.1"}
    with (tmp_path / "service.log").open("w+") as log:
        stack = Stack(CONFIG, environ=environ, log=log)
        with pytest.raises(RuntimeError, match="has ended with 1"):
            stack.start()
    told = (tmp_path / "service.log").read_text()
    assert "EXTERNAL_INSTANCE_URL: https://10.0.0.1 must have a DNS name" in told
    assert "Traceback" not in told


def test_disabled_file_servers_are_not_supported(stack: Stack) -> None:
    files = Files(stack)
    for method, url in (
        ("GET", f"{stack.service.url}/files"),
        ("GET", f"{stack.service.url}/files/rachel/home"),
        ("GET", f"{files.api}/users"),
        ("GET", f"{files.api}/users/rachel"),
        ("DELETE", f"{files.api}/users/rachel"),
        ("GET", f"{files.api}/user-status"),
    ):
        answer = requests.request(method, url, timeout=SECONDS)
        assert answer.status_code == 404, url
        assert answer.json() == {
            "detail": [
                {
                    "type": "not_supported",
                    "msg": "Fileserver is disabled in configuration",
                }
            ]
        }
