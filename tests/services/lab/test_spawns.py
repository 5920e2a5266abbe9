"""Spawns: what users are told, and what becomes of labs that do not start."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType

import pytest

from nublado.events import Step
from nublado.exceptions import (
    LabExistsError,
    OperationInProgressError,
    ServiceUnavailableError,
)
from nublado.models.domain.kubernetes import JSON
from nublado.storage.kubernetes import resource
from tests.cluster import SPECIFICATION, Cluster, user
from tests.waiting import wait_for

POD = "userlabs-rachel/rachel-nb"


def test_a_reason_to_wait_is_not_repeated(cluster: Cluster) -> None:
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    service = cluster.service()
    service.labs.create(user("rachel"), SPECIFICATION)
    log = service.labs.operation("rachel").events
    wait_for(lambda: any("Back-off" in event.message for event in log.all()))
    cluster.control.settings(failing_pulls=[])
    messages = service.messages("rachel")
    # Once as an event; the state of the pod may have said so before that.
    assert 1 <= sum("Back-off pulling" in message for message in messages) <= 2
    told = [(event.container, event.message) for event in log.all()]
    assert len(told) == len(set(told))


def test_an_event_that_comes_late_does_not_hide_what_is_wrong(cluster: Cluster) -> None:
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    cluster.control.faults({"method": "GET", "path": "/events", "delay": 8.0})
    service = cluster.service()
    service.labs.create(user("rachel"), SPECIFICATION)
    log = service.labs.operation("rachel").events
    wait_for(lambda: any(e.step is Step.PULL_FAILING for e in log.all()))
    assert not any(e.reason == "Pulling" for e in log.all())
    wait_for(
        lambda: any(
            e.reason == "Pulling" and e.container == "notebook" for e in log.all()
        )
    )
    *_, last = (event.step for event in log.all() if event.step is not None)
    assert last is Step.PULL_FAILING
    cluster.control("DELETE", "/faults")
    service.labs.delete("rachel")


def test_a_pod_that_cannot_be_scheduled_says_why(cluster: Cluster) -> None:
    for node in ("node-1", "node-2", "node-3"):
        cluster.control("DELETE", f"/nodes/{node}")
    service = cluster.service()
    service.labs.create(user("rachel"), SPECIFICATION)
    log = service.labs.operation("rachel").events
    wait_for(lambda: any("nodes are available" in e.message for e in log.all()))
    with pytest.raises(OperationInProgressError):
        service.labs.create(user("rachel"), SPECIFICATION)
    cluster.control("POST", "/nodes", {})
    assert service.messages("rachel")[-1] == "Lab Kubernetes pod started for rachel"
    with pytest.raises(LabExistsError):
        service.labs.create(user("rachel"), SPECIFICATION)


def test_a_pod_that_ends_instead_of_starting(cluster: Cluster) -> None:
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    service = cluster.service()
    service.labs.create(user("rachel"), SPECIFICATION)
    log = service.labs.operation("rachel").events
    wait_for(lambda: any("Back-off" in event.message for event in log.all()))
    cluster.control("POST", f"/pods/{POD}/finish", {"exit_code": 137})
    messages = service.messages("rachel")
    assert "137" in messages[-2]
    assert messages[-1] == "Lab spawn failed"
    assert service.status("rachel") == "terminated"


def test_a_pod_that_vanishes_while_it_starts(cluster: Cluster) -> None:
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    service = cluster.service()
    service.labs.create(user("rachel"), SPECIFICATION)
    log = service.labs.operation("rachel").events
    wait_for(lambda: any("Back-off" in event.message for event in log.all()))
    namespace, name = POD.split("/")
    cluster.call(lambda s: s.store.delete("Pod", namespace, name, grace_seconds=0))
    messages = service.messages("rachel")
    assert messages[-2] == f"Pod {POD} was deleted before the lab had started"
    assert service.status("rachel") == "failed"


def test_a_pod_that_loses_its_label_while_it_starts(cluster: Cluster) -> None:
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    service = cluster.service()
    service.labs.create(user("rachel"), SPECIFICATION)
    log = service.labs.operation("rachel").events
    wait_for(lambda: any("Back-off" in event.message for event in log.all()))
    namespace, name = POD.split("/")

    def lose_labels(obj: JSON) -> None:
        del obj["metadata"]["labels"]

    cluster.call(lambda s: s.store.mutate("Pod", namespace, name, lose_labels))
    wait_for(lambda: not service.cluster.watcher(resource.POD).cache.objects())
    cluster.control.settings(failing_pulls=[])
    assert service.messages("rachel")[-1] == "Lab Kubernetes pod started for rachel"
    assert service.status("rachel") == "running"


def test_a_missing_secret_fails_the_spawn_before_anything_is_made(
    cluster: Cluster,
) -> None:
    cluster.call(
        lambda sandbox: sandbox.store.delete("Secret", "nublado", "nublado-lab-secret")
    )
    service = cluster.service()
    messages = service.spawn("rachel")
    assert messages[-2] == "Secret nublado/nublado-lab-secret does not exist"
    assert messages[-1] == "Lab spawn failed"
    assert cluster.namespaces() == set()
    assert service.status("rachel") == "failed"


def test_a_spawn_that_takes_too_long_says_so() -> None:
    with Cluster(spawn_timeout=8) as cluster:
        cluster.control.settings(failing_pulls=["sciplat/lab"])
        service = cluster.service()
        messages = service.spawn("rachel")
        assert messages[-2].startswith("Lab spawn timed out after 8.0: ")
        assert messages[-2].endswith(f"(Pod {POD}, container notebook, node node-1)")
        assert service.status("rachel") == "failed"
        cluster.control.settings(failing_pulls=[])
        messages = service.spawn("rachel")
        assert "Deleting existing failed lab for rachel" in messages
        assert messages[-1] == "Lab Kubernetes pod started for rachel"


def test_what_saves_a_spawn_from_a_crash_is_made_for_all_first(
    cluster: Cluster,
) -> None:
    users = [f"user{number}" for number in range(12)]
    service = cluster.service(connections=1)
    cluster.control.faults({"method": "POST", "path": "^/api", "delay": 0.02})
    for username in users:
        service.labs.create(user(username), SPECIFICATION)
    for username in users:
        assert service.messages(username)[-1].startswith("Lab Kubernetes pod started")

    def version(of: str) -> int:
        namespace, name = f"userlabs-{of.partition('-')[0]}", of
        found: JSON = cluster.call(
            lambda sandbox: sandbox.store.get("ConfigMap", namespace, name)
        )
        return int(found["metadata"]["resourceVersion"])

    last = max(version(f"{username}-nb-env") for username in users)
    early = [name for name in users if version(f"{name}-nb-nss") < last]
    # A few come in between, while the last ones prepare their next request.
    assert len(early) < len(users) / 2


@pytest.mark.parametrize("status", [None, 422])
def test_a_spawn_that_is_over_holds_no_secrets(
    cluster: Cluster, status: int | None
) -> None:
    if status is not None:
        rule = {"method": "POST", "path": "/pods$", "status": status}
        cluster.control.faults(rule)
    service = cluster.service()
    service.spawn("rachel")
    spawn = service.labs.operation("rachel")
    assert spawn.wait(60)
    # Whatever can be reached from it.
    seen: dict[int, object] = {}
    reachable: list[object] = [vars(spawn)]
    while reachable:
        found = reachable.pop()
        if id(found) in seen or isinstance(found, type | ModuleType | Cluster):
            continue
        seen[id(found)] = found
        assert not (isinstance(found, str) and "gt-rachel" in found)
        if isinstance(found, FunctionType):
            reachable.extend(found.__closure__ or ())
        else:
            reachable.extend(gc.get_referents(found))


def test_a_namespace_that_came_after_the_deletion_is_taken_back(
    cluster: Cluster,
) -> None:
    service = cluster.service()
    cluster.control.faults({"method": "POST", "path": "namespaces$", "delay": 2.0})
    service.labs.create(user("rachel"), SPECIFICATION)
    wait_for(lambda: cluster.control("GET", "/faults")["rules"][0]["hits"] > 0)
    service.labs.delete("rachel")
    assert service.status("rachel") is None
    cluster.control("DELETE", "/faults")
    wait_for(lambda: _deleted_namespaces(cluster) > 0)
    wait_for(lambda: not cluster.namespaces())


def _deleted_namespaces(cluster: Cluster) -> int:
    """Deletions of namespaces, besides the one of the deletion itself."""
    found = [
        int(c["count"])
        for c in cluster.control.stats()["requests"]
        if c["method"] == "DELETE" and c["route"].startswith("namespaces")
    ]
    return sum(found) - 1


def test_a_spawn_that_is_refused_during_a_stop_leaves_nothing(cluster: Cluster) -> None:
    service = cluster.service()
    service.labs.stop()
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError):
            service.labs.create(user("rachel"), SPECIFICATION)
        assert service.status("rachel") is None
