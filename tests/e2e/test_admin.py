"""The state of the service, as operators see it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from nublado.handlers.status_feed import SECTIONS
from nublado.sandbox.demonstration import server_sent_events
from nublado.sandbox.stack import Stack
from tests.e2e.browser import start_browser
from tests.e2e.conftest import CONFIG
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

_FILES = CONFIG.parent / "files.yaml"
_CROWD = 500


def status(stack: Stack) -> requests.Response:
    return requests.get(f"{stack.api_url}/admin/v1/status", timeout=SECONDS)


def test_status_tells_of_labs_and_failures(stack: Stack, user: User) -> None:
    user.spawn()
    other = User(stack, f"{user.name}-other")
    rule = {"method": "POST", "path": f"{other.namespace}/pods$", "status": 422}
    stack.control.faults({**rule, "body": "gt-secret.token is wrong"})
    other.spawn()
    answer = status(stack)
    assert answer.status_code == 200
    shown = answer.json()
    labs = {lab["username"]: lab for lab in shown["labs"]}
    assert labs[user.name]["status"] == "running"
    assert labs[user.name]["size"] == "small"
    assert labs[other.name]["status"] == "failed"
    # Those in trouble come first.
    assert list(labs).index(other.name) < list(labs).index(user.name)
    assert shown["counts"]["running"] >= 1
    failure = next(f for f in shown["failures"] if f["user"] == other.name)
    assert failure["event"] == "Lab creation failed"
    assert "status 422" in failure["message"]
    assert "gt-secret" not in answer.text
    assert {job["name"] for job in shown["jobs"]} >= {"refresh-images"}
    assert all(not job["failures"] for job in shown["jobs"])
    watches = {watcher["name"]: watcher for watcher in shown["watchers"]}
    assert watches["pods"]["synced"]
    assert 0 <= watches["pods"]["idle"] < 90
    for problem in shown["service"]["problems"]:
        assert problem["runbook"].endswith(f"#{problem['kind']}")


def test_watch_that_nobody_needs_is_not_called_idle(own_stack: Stack) -> None:
    watches = {w["name"]: w for w in status(own_stack).json()["watchers"]}
    assert not watches["events"]["synced"]
    assert watches["events"]["idle"] == 0
    metrics = requests.get(f"{own_stack.service.url}/metrics", timeout=SECONDS).text
    assert 'nublado_watch_idle_seconds{watch="watch-events"} 0.0\n' in metrics
    User(own_stack, "rachel").spawn()
    watches = {w["name"]: w for w in status(own_stack).json()["watchers"]}
    assert watches["events"]["synced"]
    assert watches["events"]["idle"] > 0


def test_status_tells_of_operations(stack: Stack, user: User) -> None:
    stack.control.settings(failing_pulls=["d_2026_10_24"])
    user.create(image_tag="d_2026_10_24")

    def mine() -> list[dict[str, object]]:
        operations = status(stack).json()["operations"]
        return [o for o in operations if o["username"] == user.name]

    wait_for(lambda: mine() and "Back-off" in json.dumps(mine()[0]["last_event"]))
    assert mine()[0]["kind"] == "spawn"
    stack.control.settings(failing_pulls=[])
    user.delete()
    assert mine() == []


def test_stream_sends_sections_that_changed(stack: Stack, user: User) -> None:
    url = f"{stack.api_url}/admin/v1/events"
    with requests.get(url, stream=True, timeout=SECONDS) as response:
        events = server_sent_events(response)
        names = [next(events)[0] for _ in SECTIONS]
        assert set(names) == set(SECTIONS)
        user.spawn()
        for name, data in events:
            if name == "labs" and f">{user.name}<" in data["html"]:
                break
    user.delete()


def test_page_keeps_itself_up_to_date(stack: Stack, user: User) -> None:
    user.spawn()
    with start_browser() as browser:
        path = f"{stack.config.path_prefix}/admin"
        browser.visit(stack.endpoints.ingress, "admin", path)
        browser.wait_for_text("#labs tbody th", user.name)
        assert browser.barriers() == []
        user.delete()
        wait_for(lambda: user.name not in browser.texts("#labs tbody th"))
        assert browser.complaints() == []


def test_stream_ends_when_the_service_stops(own_stack: Stack) -> None:
    url = f"{own_stack.api_url}/admin/v1/events"
    with requests.get(url, stream=True, timeout=SECONDS) as response:
        events = server_sent_events(response)
        next(events)
        own_stack.service.stop()
        assert all(name for name, _ in events)
    assert own_stack.service.exit_code == 0


def seed(stack: Stack, username: str) -> None:
    """Make what a lab consists of, as far as the service asks for it."""
    namespace = stack.config.lab.namespace_of(username)
    labels = {"nublado.lsst.io/category": "lab", "nublado.lsst.io/user": username}
    env = {
        "CPU_LIMIT": "1.0",
        "CPU_GUARANTEE": "0.25",
        "MEM_LIMIT": "3221225472",
        "MEM_GUARANTEE": "805306368",
        "JUPYTER_IMAGE_SPEC": "registry.example.org/sciplat/lab:w_2026_45",
        "JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{username}/",
    }
    security = {"runAsUser": 1000, "runAsGroup": 1000}
    notebook = {
        "name": "notebook",
        "image": env["JUPYTER_IMAGE_SPEC"],
        "securityContext": security,
    }

    def create(path: str, name: str, **rest: object) -> None:
        url = f"{stack.endpoints.kubernetes}/api/v1/{path}"
        body = {"metadata": {"name": name, "labels": labels}, **rest}
        assert requests.post(url, json=body, timeout=SECONDS).status_code == 201

    create("namespaces", namespace)
    within = f"namespaces/{namespace}"
    create(f"{within}/configmaps", f"{username}-nb-env", data=env)
    create(f"{within}/pods", f"{username}-nb", spec={"containers": [notebook]})


def test_page_at_500_labs_and_100_nodes(tmp_path: Path) -> None:
    settings = {
        "nodes": 100,
        "pull_seconds": 0.01,
        "start_delay": 0.0,
        "service_account_delay": 0.0,
        "termination_delay": 0.01,
    }
    with (
        (tmp_path / "service.log").open("w+") as log,
        Stack(_FILES, "--settings", json.dumps(settings), log=log) as stack,
    ):
        stack.service.stop()
        names = [f"user{number:03}" for number in range(_CROWD)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda name: seed(stack, name), names))
        stack.start_service()
        stack.service.wait_ready()
        wait_for(lambda: status(stack).json()["counts"]["running"] == _CROWD)
        with start_browser() as browser:
            path = f"{stack.config.path_prefix}/admin"
            browser.visit(stack.endpoints.ingress, "admin", path)
            browser.wait_for_text("#connection", "keeps itself up to date")
            assert len(browser.texts("#labs tbody tr")) == _CROWD
            assert len(browser.texts("#prepulls tbody tr")) == 100
            User(stack, names[0]).delete()
            wait_for(lambda: len(browser.texts("#labs tbody tr")) == _CROWD - 1)
            assert browser.complaints() == []
