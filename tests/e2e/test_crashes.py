"""The service is killed, restarted, or cut off from Kubernetes."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from nublado.sandbox.stack import ServiceProcess, Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import User
from tests.waiting import wait_for


def crowd(stack: Stack, count: int) -> list[User]:
    return [User(stack, f"crowd{i}") for i in range(count)]


def restart(stack: Stack, users: list[User]) -> list[User]:
    """Start the service again; the users ask the new one from now on."""
    stack.start_service()
    stack.service.wait_ready()
    return [User(stack, user.name) for user in users]


def test_killed_in_the_middle_of_spawns(own_stack: Stack) -> None:
    own_stack.control.settings(pull_rules={"sciplat/lab": 2.0})
    users = crowd(own_stack, 20)
    for user in users:
        assert user.create().status_code == 201
    wait_for(lambda: _environments(own_stack) >= 10)
    own_stack.service.kill()
    users = restart(own_stack, users)
    accepted = [u for u in users if u.state().status_code == 200]
    wait_for(lambda: all(u.status in ("running", None) for u in users))
    assert len(accepted) >= 10
    assert all(u.status == "running" for u in accepted)
    wait_for(lambda: _namespaces(own_stack) == {u.namespace for u in accepted})
    gone = next((u for u in users if u not in accepted), None)
    if gone is not None:
        assert gone.spawn().kinds[-1] == "complete"


def test_stopped_in_a_surge_loses_no_spawn(own_stack: Stack) -> None:
    own_stack.control.faults({"path": "^/api", "delay": 0.1})
    users = crowd(own_stack, 40)
    with ThreadPoolExecutor(len(users)) as threads:
        answers = list(threads.map(lambda user: user.create(), users))
    assert {answer.status_code for answer in answers} == {201}
    assert _environments(own_stack) < len(users)
    began = time.monotonic()
    own_stack.service.stop()
    assert time.monotonic() - began < 12
    assert _environments(own_stack) == len(users)
    users = restart(own_stack, users)
    wait_for(lambda: all(user.status == "running" for user in users))


def test_killed_in_the_middle_of_deletes(own_stack: Stack) -> None:
    users = crowd(own_stack, 6)
    for user in users:
        user.spawn()
    own_stack.control.settings(termination_delay=1.0, namespace_delay=1.0)
    for user in users[:4]:
        script = "import requests, sys; requests.delete(sys.argv[1])"
        command = [sys.executable, "-c", script, user.lab]
        subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(lambda: all(u.status == "terminating" for u in users[:4]))
    own_stack.service.kill()
    users = restart(own_stack, users)
    wait_for(lambda: [u.status for u in users] == [None] * 4 + ["running"] * 2)
    wait_for(lambda: _namespaces(own_stack) == {u.namespace for u in users[4:]})


def test_restart_keeps_labs_and_only_costs_a_reconnect(own_stack: Stack) -> None:
    running, pending = crowd(own_stack, 2)
    running.spawn()
    own_stack.control.settings(failing_pulls=["sciplat/lab"])
    assert pending.create(image_tag="w_2026_45").status_code == 201
    events = pending.follow()
    wait_for(lambda: any("Back-off" in m for m in events.messages))
    began = time.monotonic()
    own_stack.service.stop()
    assert time.monotonic() - began < 10
    assert events.ended.wait(5)
    assert "failed" not in events.kinds
    running, pending = restart(own_stack, [running, pending])
    assert running.status == "running"
    again = pending.follow()
    own_stack.control.settings(failing_pulls=[])
    assert again.ended.wait(20)
    expected = f"Monitoring in-progress lab creation for {pending.name}"
    assert again.messages[0] == expected
    assert again.kinds[-1] == "complete"


def test_watches_that_end_every_second_and_expire(own_stack: Stack) -> None:
    own_stack.control.faults(drop_after=1.0, expire_probability=0.3)
    own_stack.control("POST", "/watches/drop")
    for user in crowd(own_stack, 5):
        assert user.spawn().kinds[-1] == "complete"
        assert user.delete().status_code == 204


def test_watches_that_fall_silent(own_stack: Stack) -> None:
    own_stack.control.faults(silent=True)
    user = User(own_stack, "patient")
    began = time.monotonic()
    assert user.spawn().kinds[-1] == "complete"
    assert time.monotonic() - began < 16
    wait_for(lambda: user.status == "running")


def test_kubernetes_is_away_for_a_while(own_stack: Stack) -> None:
    user = User(own_stack, "unlucky")
    own_stack.control.faults({"path": "/api", "status": 503, "retry_after": 1})
    own_stack.control("POST", "/watches/drop")
    assert user.create().status_code == 201
    events = user.follow()
    wait_for(lambda: events.messages)
    own_stack.control("DELETE", "/faults")
    assert events.ended.wait(20)
    assert events.kinds[-1] == "complete"


def test_gafaelfawr_is_away(own_stack: Stack) -> None:
    user = User(own_stack, "nameless")
    own_stack.control.faults({"target": "gafaelfawr", "status": 502})
    answer = user.create()
    assert answer.status_code == 500
    (problem,) = answer.json()["detail"]
    assert problem["type"] == "internal_error"
    assert answer.headers["X-Request-ID"] in problem["msg"]
    assert "502" not in problem["msg"]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"GUNICORN_CMD_ARGS": "--workers 2"}, "Only one worker process"),
        ({"NUBLADO_CONFIG": "/nowhere/config.yaml"}, "/nowhere/config.yaml"),
        ({"NUBLADO_THREADS": "none"}, "NUBLADO_THREADS: must be a whole number"),
        ({"NUBLADO_REGISTRY_MIRRORS": "nonsense"}, "NUBLADO_REGISTRY_MIRRORS"),
    ],
)
def test_what_cannot_work_is_refused_before_a_port_is_bound(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    config = {"NUBLADO_CONFIG": str(CONFIG), "GUNICORN_CMD_ARGS": ""}
    with (tmp_path / "log").open("w+") as log:
        service = ServiceProcess({**config, **environ}, log)
        service.start()
        wait_for(lambda: not service.is_running)
        log.seek(0)
        written = log.read()
    assert service.exit_code
    assert message in written
    assert "Listening at" not in written


def _namespaces(stack: Stack) -> set[str]:
    url = f"{stack.endpoints.kubernetes}/api/v1/namespaces"
    query = {"labelSelector": "nublado.lsst.io/category=lab"}
    found = requests.get(url, params=query, timeout=10).json()["items"]
    return {namespace["metadata"]["name"] for namespace in found}


def _environments(stack: Stack) -> int:
    url = f"{stack.endpoints.kubernetes}/api/v1/configmaps"
    query = {"labelSelector": "nublado.lsst.io/category=lab"}
    found = requests.get(url, params=query, timeout=10).json()["items"]
    return sum(o["metadata"]["name"].endswith("-nb-env") for o in found)
