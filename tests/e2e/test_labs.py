"""The life of a lab, as JupyterHub and its user see it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import requests

from nublado.sandbox.stack import Stack
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for


def test_spawn_use_and_delete(stack: Stack, user: User) -> None:
    assert user.state().status_code == 404
    answer = user.create()
    assert answer.status_code == 201
    assert answer.json() is None
    assert answer.headers["Location"] == user.lab

    events = user.follow()
    assert events.ended.wait(SECONDS)
    assert events.kinds[-1] == "complete"
    assert events.messages[0] == f"Starting lab creation for {user.name}"
    assert events.seen[0][1]["progress"] == 1
    assert "Created Kubernetes objects for user lab" in events.messages
    assert "Container started" in events.messages
    assert events.messages[-1] == f"Lab Kubernetes pod started for {user.name}"
    assert "progress" not in events.seen[-1][1]
    progress = [data["progress"] for _, data in events.seen[:-1]]
    assert progress == sorted(progress)
    assert progress[progress.index(30) + 1 :][:4] == [35, 48, 57, 63]

    state = user.state().json()
    assert state["status"] == "running"
    assert state["internal_url"] == (
        f"http://lab.{user.namespace}:8888/nb/user/{user.name}/"
    )
    assert state["options"]["size"] == "small"
    assert "@sha256:" in state["options"]["image"]
    assert state["resources"]["limits"] == {"cpu": 1.0, "memory": 3 * 2**30}
    assert state["quota"] == {"cpu": 9.0, "memory": 27 * 2**30}
    assert all("id" in group for group in state["user"]["groups"])
    assert user.name in requests.get(_labs(stack), timeout=SECONDS).json()

    refused = user.create()
    assert refused.status_code == 409
    assert refused.json()["detail"][0]["type"] == "lab_exists"

    assert user.delete().status_code == 204
    assert user.state().status_code == 404
    assert user.delete().status_code == 404
    assert user.name not in requests.get(_labs(stack), timeout=SECONDS).json()
    assert _namespace(user).status_code == 404


def test_deletion_has_events_of_its_own(user: User) -> None:
    user.spawn()
    assert user.delete().status_code == 204
    events = user.follow()
    assert events.ended.wait(SECONDS)
    assert [(d["progress"], d["message"]) for _, d in events.seen] == [
        (25, "Shutting down Kubernetes pod"),
        (62, "Deleting user namespace"),
        (100, f"Lab for {user.name} deleted"),
    ]


def test_events_come_as_they_happen(stack: Stack, user: User) -> None:
    stack.control.settings(failing_pulls=["sciplat/lab"])
    assert user.create(image_tag="w_2026_45").status_code == 201
    events = user.follow()
    wait_for(lambda: any("Back-off pulling" in m for m in events.messages))
    assert not events.ended.is_set()
    assert user.status == "pending"
    stack.control.settings(failing_pulls=[])
    assert events.ended.wait(SECONDS)
    assert events.kinds[-1] == "complete"


def test_delete_during_spawn_cancels_it(stack: Stack, user: User) -> None:
    stack.control.settings(failing_pulls=["sciplat/lab"])
    try:
        assert user.create(image_tag="w_2026_44").status_code == 201
        events = user.follow()
        wait_for(lambda: any("Back-off pulling" in m for m in events.messages))
        assert user.create().json()["detail"][0]["type"] == "operation_in_progress"
        began = time.monotonic()
        assert user.delete().status_code == 204
        # Long before the spawn would have ended by itself.
        assert time.monotonic() - began < stack.config.lab.spawn_timeout / 2
        assert events.ended.wait(SECONDS)
        assert events.seen[-1][0] == "failed"
        assert events.messages[-1] == "Operation cancelled"
        assert _namespace(user).status_code == 404
    finally:
        stack.control.settings(failing_pulls=[])


def test_two_creates_at_once_make_one_lab(user: User) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: user.create().status_code, range(8)))
    assert sorted(answers) == [201] + [409] * 7
    assert user.follow().ended.wait(SECONDS)
    with ThreadPoolExecutor(4) as pool:
        deleted = list(pool.map(lambda _: user.delete().status_code, range(4)))
    assert set(deleted) <= {204, 404}
    assert 204 in deleted


def test_failed_spawn_says_why_and_can_be_repeated(stack: Stack, user: User) -> None:
    stack.control.faults(
        {"method": "POST", "path": f"{user.namespace}/pods", "status": 400, "count": 1}
    )
    events = user.spawn()
    assert events.kinds[-2:] == ["error", "failed"]
    start = f"Error creating object (Pod {user.namespace}/{user.name}-nb, status 400): "
    assert events.messages[-2].startswith(start)
    assert events.messages[-1] == "Lab spawn failed"
    assert user.status == "failed"

    events = user.spawn()
    assert events.kinds[-1] == "complete"
    assert [(d.get("progress"), d["message"]) for _, d in events.seen[:5]] == [
        (1, f"Starting lab creation for {user.name}"),
        (2, f"Deleting existing failed lab for {user.name}"),
        (5, "Shutting down Kubernetes pod"),
        (12, "Deleting user namespace"),
        (20, f"Lab for {user.name} deleted"),
    ]
    assert user.delete().status_code == 204


def test_quota_denies_a_large_lab(user: User) -> None:
    answer = user.create(size="large")
    assert answer.status_code == 403
    assert answer.json()["detail"] == [
        {
            "type": "insufficient_quota",
            "msg": "Insufficient quota to spawn requested lab",
            "loc": ["body", "options", "size"],
        }
    ]
    assert user.stream().status_code == 404


def test_state_follows_the_pod(stack: Stack, user: User) -> None:
    user.spawn()
    pod = f"/pods/{user.namespace}/{user.name}-nb"
    stack.control("POST", f"{pod}/evict")
    wait_for(lambda: user.status == "terminated")
    events = user.spawn()
    assert events.kinds[-1] == "complete"
    url = f"{stack.endpoints.kubernetes}/api/v1/namespaces/{user.namespace}/pods"
    requests.delete(f"{url}/{user.name}-nb", timeout=SECONDS).raise_for_status()
    wait_for(lambda: user.status == "failed")
    assert user.delete().status_code == 204


def test_pod_that_ends_while_starting(stack: Stack, user: User) -> None:
    stack.control.settings(exits={"inithome": 3})
    try:
        assert user.create().status_code == 201
        events = user.follow()
        wait_for(lambda: any("Back-off restarting" in m for m in events.messages))
    finally:
        stack.control.settings(exits={})
    assert events.ended.wait(SECONDS)
    assert events.kinds[-1] == "complete"


def test_states_cost_no_request(stack: Stack, user: User) -> None:
    user.spawn()
    before = _kubernetes_requests(stack)
    for _ in range(200):
        assert user.state().status_code == 200
    # Other users of this stack may be spawning at the same time, but not so much.
    assert _kubernetes_requests(stack) - before < 100
    status = requests.get(
        f"{stack.api_url}/spawner/v1/user-status", headers=user.headers, timeout=SECONDS
    )
    assert status.json() == user.state().json()


def _labs(stack: Stack) -> str:
    return f"{stack.api_url}/spawner/v1/labs"


def _namespace(user: User) -> requests.Response:
    base = user.stack.endpoints.kubernetes
    return requests.get(f"{base}/api/v1/namespaces/{user.namespace}", timeout=SECONDS)


def _kubernetes_requests(stack: Stack) -> int:
    counts = stack.control.stats()["requests"]
    return sum(c["count"] for c in counts if c["target"] == "kubernetes")


def test_privileged_containers_get_nothing_that_the_user_chose(user: User) -> None:
    body = user.specification()
    body["env"]["LD_PRELOAD"] = f"/home/{user.name}/evil.so"
    answer = requests.post(
        f"{user.lab}/create", json=body, headers=user.headers, timeout=SECONDS
    )
    assert answer.status_code == 201
    assert user.follow().ended.wait(SECONDS)
    pods = f"{user.stack.endpoints.kubernetes}/api/v1/namespaces/{user.namespace}/pods"
    pod = requests.get(f"{pods}/{user.name}-nb", timeout=SECONDS).json()
    (container,) = pod["spec"]["initContainers"]
    assert container["securityContext"]["privileged"]
    assert "envFrom" not in container
    names = {variable["name"] for variable in container["env"]}
    assert "LD_PRELOAD" not in names
    assert "JUPYTERHUB_SERVICE_PREFIX" in names
