"""The service is killed, restarted, or cut off from Kubernetes."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from nublado.sandbox.demonstration import server_sent_events
from nublado.sandbox.stack import ServiceProcess, Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import SECONDS, User, problems
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


def test_a_spawn_that_is_lost_fails_for_its_listeners(own_stack: Stack) -> None:
    begun, merely_accepted = crowd(own_stack, 2)
    rules = [
        {"method": "POST", "path": f"/{begun.namespace}/configmaps$", "delay": 60},
        {"path": "/namespaces/nublado/secrets", "delay": 60},
    ]
    own_stack.control.faults(rules[0])
    assert begun.create().status_code == 201
    wait_for(lambda: own_stack.control("GET", "/faults")["rules"][0]["hits"] > 0)
    own_stack.control.faults(*rules)
    assert merely_accepted.create().status_code == 201
    with begun.stream() as response:
        line = next(line for line in response.iter_lines() if line.startswith(b"id: "))
    own_stack.service.kill()
    own_stack.control("DELETE", "/faults")
    begun, merely_accepted = restart(own_stack, [begun, merely_accepted])
    again = begun.stream(**{"Last-Event-ID": line.decode().removeprefix("id: ")})
    *_, why, last = server_sent_events(again)
    assert why[0] == "error"
    assert "was interrupted" in why[1]["message"]
    assert last == ("failed", {"message": "Lab spawn failed"})
    # Nothing tells that there ever was one.
    assert merely_accepted.stream().status_code == 404
    for user in (begun, merely_accepted):
        assert user.status is None
        assert user.spawn().kinds[-1] == "complete"


def test_a_completed_spawn_keeps_the_id_of_its_request(own_stack: Stack) -> None:
    without_pod, pulling, running = crowd(own_stack, 3)
    running.headers["X-Request-ID"] = f"request-of-{running.name}"
    running.spawn()
    own_stack.control.settings(failing_pulls=["w_2026_45"])
    pods = f"/{without_pod.namespace}/pods$"
    own_stack.control.faults({"method": "POST", "path": pods, "delay": 3600})
    for user in (without_pod, pulling):
        user.headers["X-Request-ID"] = f"request-of-{user.name}"
        assert user.create(image_tag="w_2026_45").status_code == 201
    wait_for(lambda: own_stack.control("GET", "/faults")["rules"][0]["hits"] > 0)
    wait_for(lambda: "Back-off" in " ".join(_messages(pulling)))
    own_stack.service.kill()
    own_stack.control("DELETE", "/faults")
    assert own_stack.log_file
    before = Path(own_stack.log_file).stat().st_size
    users = restart(own_stack, [without_pod, pulling, running])
    own_stack.control.settings(failing_pulls=[])
    wait_for(lambda: all(user.status == "running" for user in users))
    for user in users:
        (spawn,) = _history(user)
        assert spawn["request_id"] == f"request-of-{user.name}"
    for user in users[:2]:
        id_ = f"request_id=request-of-{user.name} "
        for event in ("Resuming lab creation", "Lab creation ended"):
            wait_for(partial(_is_logged, own_stack, before, event, id_))


def test_stopped_in_a_surge_loses_no_spawn(own_stack: Stack) -> None:
    # With 16 connections, the last namespace comes in the second turn.
    rule = {"method": "POST", "path": "/namespaces$", "delay": 2.0}
    own_stack.control.faults(rule)
    users = crowd(own_stack, 24)
    with ThreadPoolExecutor(len(users)) as threads:
        answers = list(threads.map(lambda user: user.create(), users))
    assert {answer.status_code for answer in answers} == {201}
    assert _environments(own_stack) < len(users)
    own_stack.service.stop()
    assert own_stack.service.exit_code == 0
    assert _environments(own_stack) == len(users)
    users = restart(own_stack, users)
    wait_for(lambda: all(user.status == "running" for user in users))


def test_killed_in_the_middle_of_deletes(own_stack: Stack) -> None:
    users = crowd(own_stack, 6)
    for user in users:
        user.spawn()
    own_stack.control.settings(termination_delay=10.0, namespace_delay=1.0)
    with ThreadPoolExecutor(4) as pool:
        for user in users[:4]:
            pool.submit(requests.delete, user.lab, timeout=SECONDS)
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
    own_stack.service.stop()
    assert own_stack.service.exit_code == 0
    assert events.ended.wait(SECONDS)
    assert "failed" not in events.kinds
    running, pending = restart(own_stack, [running, pending])
    assert running.status == "running"
    again = pending.follow()
    own_stack.control.settings(failing_pulls=[])
    assert again.ended.wait(SECONDS)
    expected = f"Monitoring in-progress lab creation for {pending.name}"
    assert again.messages[0] == expected
    assert again.kinds[-1] == "complete"


def test_state_is_told_until_the_end_of_a_stop(own_stack: Stack) -> None:
    running, starting = crowd(own_stack, 2)
    running.spawn()
    own_stack.control.faults({"method": "POST", "path": "/namespaces$", "delay": 5.0})
    assert starting.create().status_code == 201
    os.kill(own_stack.service.pid, signal.SIGTERM)
    wait_for(lambda: _ready(own_stack) == 503)
    assert running.status == "running"
    assert starting.status == "pending"
    assert running.user_status().json()["status"] == "running"
    names = requests.get(f"{own_stack.api_url}/spawner/v1/labs", timeout=SECONDS)
    assert names.json() == [running.name]
    refused = User(own_stack, "late").create()
    assert refused.status_code == 503
    assert refused.json()["detail"][0]["type"] == "unavailable"
    own_stack.control("DELETE", "/faults")
    wait_for(lambda: not own_stack.service.is_running)
    assert own_stack.service.exit_code == 0


def test_request_that_a_stop_cuts_off_can_be_repeated(own_stack: Stack) -> None:
    own_stack.control.faults({"target": "gafaelfawr", "delay": SECONDS})
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(User(own_stack, "rachel").create)
        wait_for(lambda: own_stack.control("GET", "/faults")["rules"][0]["hits"])
        own_stack.service.stop()
        answer = request.result(SECONDS)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "stopping" in answer.json()["detail"][0]["msg"]


def test_worker_without_master_stops_and_frees_the_port(own_stack: Stack) -> None:
    running, starting = crowd(own_stack, 2)
    running.spawn()
    own_stack.control.settings(failing_pulls=["sciplat/lab"])
    assert starting.create(image_tag="w_2026_45").status_code == 201
    events = starting.follow()
    wait_for(lambda: any("Back-off" in m for m in events.messages))
    orphaned = own_stack.service
    os.kill(orphaned.pid, signal.SIGKILL)
    own_stack.start_service(port=orphaned.port)
    assert events.ended.wait(SECONDS)
    assert "failed" not in events.kinds
    own_stack.service.wait_ready()
    assert running.status == "running"
    own_stack.control.settings(failing_pulls=[])
    assert starting.follow().ended.wait(SECONDS)
    assert starting.status == "running"
    wait_for(lambda: not orphaned.has_processes)


def test_start_in_front_of_a_silent_api_server(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log, Stack(CONFIG, log=log) as stack:
        user = User(stack, "patient")
        user.spawn()
        stack.service.stop()
        stack.control.faults({"path": "/api", "delay": 3600})
        stack.start_service()
        wait_for(lambda: _ready(stack) is not None)
        answer = User(stack, user.name).state()
        assert answer.status_code == 503
        assert answer.elapsed.total_seconds() < SECONDS / 2
        assert "Kubernetes does not list pods" in answer.json()["detail"][0]["msg"]
        probe = requests.get(f"{stack.service.url}/readyz", timeout=SECONDS)
        assert probe.status_code == 503
        starting, *_ = probe.json()["problems"]
        assert starting.endswith(": Kubernetes does not list pods")
        assert requests.get(f"{stack.service.url}/healthz", timeout=SECONDS).ok
        page = requests.get(f"{stack.api_url}/admin", timeout=SECONDS)
        assert "Kubernetes does not list pods" in page.text


def test_state_does_not_wait_for_the_registry(own_stack: Stack) -> None:
    user = User(own_stack, "patient")
    user.spawn()
    own_stack.service.stop()
    own_stack.control.faults({"target": "registry", "status": 503})
    (user,) = restart(own_stack, [user])
    assert user.status == "running"
    assert User(own_stack, "hasty").create().status_code == 201
    refused = User(own_stack, "curious").create(image_tag="w_1999_01")
    assert refused.status_code == 503
    assert "registry" in refused.json()["detail"][0]["msg"].lower()
    assert problems(own_stack)
    assert user.delete().status_code == 204
    own_stack.control("DELETE", "/faults")
    wait_for(lambda: not problems(own_stack), 2 * SECONDS)


def test_watches_that_end_every_second_and_expire(own_stack: Stack) -> None:
    own_stack.control.faults(drop_after=1.0, expire_probability=0.3)
    own_stack.control("POST", "/watches/drop")
    for user in crowd(own_stack, 5):
        assert user.spawn().kinds[-1] == "complete"
        assert user.delete().status_code == 204


def test_watches_that_fall_silent(own_stack: Stack) -> None:
    own_stack.control.faults(silent=True)
    user = User(own_stack, "patient")
    assert user.spawn().kinds[-1] == "complete"
    wait_for(lambda: user.status == "running")


def test_kubernetes_is_away_for_a_while(own_stack: Stack) -> None:
    user = User(own_stack, "unlucky")
    wait_for(lambda: not problems(own_stack))
    own_stack.control.faults({"path": "/api", "status": 503, "retry_after": 1})
    own_stack.control("POST", "/watches/drop")
    assert user.create().status_code == 201
    events = user.follow()
    wait_for(lambda: events.messages)
    own_stack.control("DELETE", "/faults")
    assert events.ended.wait(SECONDS)
    assert events.kinds[-1] == "complete"


def test_gafaelfawr_is_away(own_stack: Stack) -> None:
    user = User(own_stack, "nameless")
    own_stack.control.faults({"target": "gafaelfawr", "status": 502})
    answer = user.create()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    (problem,) = answer.json()["detail"]
    assert problem["type"] == "unavailable"
    assert problem["msg"] == "Login service does not answer, try again"


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
        service.launch()
        wait_for(lambda: not service.is_running)
        log.seek(0)
        written = log.read()
    assert service.exit_code
    assert message in written
    assert "Listening at" not in written


def _ready(stack: Stack) -> int | None:
    url = f"{stack.service.url}/readyz"
    try:
        return requests.get(url, timeout=SECONDS).status_code
    except requests.ConnectionError:
        return None


def _messages(user: User) -> list[str]:
    url = f"{user.stack.api_url}/admin/v1/users/{user.name}"
    events = requests.get(url, timeout=SECONDS).json()["events"]
    return [event["message"] for event in events]


def _history(user: User) -> list[dict[str, Any]]:
    url = f"{user.stack.api_url}/admin/v1/history/{user.name}"
    found: list[dict[str, Any]] = requests.get(url, timeout=SECONDS).json()["history"]
    return [entry for entry in found if entry["kind"] == "spawn"]


def _is_logged(stack: Stack, position: int, event: str, fact: str) -> bool:
    """Whether a line since a position of the log has an event and a fact."""
    assert stack.log_file
    lines = Path(stack.log_file).read_text()[position:].splitlines()
    return any(event in line and fact in f"{line} " for line in lines)


def _namespaces(stack: Stack) -> set[str]:
    url = f"{stack.endpoints.kubernetes}/api/v1/namespaces"
    query = {"labelSelector": "nublado.lsst.io/category=lab"}
    found = requests.get(url, params=query, timeout=SECONDS).json()["items"]
    return {namespace["metadata"]["name"] for namespace in found}


def _environments(stack: Stack) -> int:
    url = f"{stack.endpoints.kubernetes}/api/v1/configmaps"
    query = {"labelSelector": "nublado.lsst.io/category=lab"}
    found = requests.get(url, params=query, timeout=SECONDS).json()["items"]
    return sum(o["metadata"]["name"].endswith("-nb-env") for o in found)
