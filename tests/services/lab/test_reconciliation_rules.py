"""Reconciliation: what a controller makes of labs that it finds."""

from __future__ import annotations

from typing import Any

import pytest

from nublado.constants import ANNOTATION_SPAWN
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.cluster import Sandbox
from nublado.storage.kubernetes.resource import NAMESPACE, POD
from tests.cluster import SPECIFICATION, Cluster, Service, timeout, user
from tests.waiting import wait_for

PREFIX = "userlabs"


def half_made(service: Service, username: str, count: int) -> list[JSON]:
    """Create the first objects of a lab, as a spawn that was cut off leaves them."""
    image = service.images.resolve(SPECIFICATION.image)
    data = {"postgres-credentials.txt": "eA=="}
    objects = service.builder.build(
        user(username),
        SPECIFICATION,
        image,
        {"nublado-lab-secret": data},
        {
            "metadata": {"name": "pull-secret"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": "e30="},
        },
    ).in_creation_order()
    for obj in objects[:count]:
        service.cluster.ensure(obj, timeout())
    return objects


def change(cluster: Cluster, kind: str, name: str, change: Any, user: str) -> None:
    """Change an object behind everyone's back, immutable or not."""

    def mutate(sandbox: Sandbox) -> None:
        sandbox.store.mutate(kind, f"{PREFIX}-{user}", name, change)

    cluster.call(mutate)


def strip(cluster: Cluster, kind: str, name: str, user: str) -> None:
    """Take the labels off an object."""
    change(cluster, kind, name, lose_labels, user)


def lose_labels(obj: JSON) -> None:
    """Lose all labels, as a tool or a hand takes them off."""
    del obj["metadata"]["labels"]


def pod_uid(cluster: Cluster, user: str) -> str:
    """Tell which pod a user's lab has."""
    found: str = cluster.call(
        lambda s: s.store.get("Pod", f"{PREFIX}-{user}", f"{user}-nb")["metadata"]
    )["uid"]
    return found


def test_running_labs_are_found_with_a_handful_of_requests(cluster: Cluster) -> None:
    earlier = cluster.service()
    for number in range(5):
        earlier.spawn(f"user{number}")
    states = {f"user{n}": earlier.labs.state(f"user{n}") for n in range(5)}
    earlier.stop()
    before = cluster.requests()
    service = cluster.service()
    service.reconciler.reconcile()
    # Three of them are for each of the two watches.
    assert cluster.requests() - before < 12
    assert service.labs.running() == sorted(states)
    for username, state in states.items():
        found = service.labs.state(username)
        assert found.internal_url == state.internal_url
        assert found.options == state.options
        assert found.resources == state.resources
        assert found.user.groups == state.user.groups
    assert service.messages("user0") == ["Lab Kubernetes pod started for user0"]


@pytest.mark.parametrize("count", [3, 4, 6, 9])
def test_a_spawn_that_was_cut_off_is_completed(cluster: Cluster, count: int) -> None:
    service = cluster.service()
    objects = half_made(service, "rachel", count)
    service.reconciler.reconcile()
    messages = service.messages("rachel")
    assert messages[0] == "Monitoring in-progress lab creation for rachel"
    assert messages[-1] == "Lab Kubernetes pod started for rachel"
    state = service.labs.state("rachel")
    assert state.status == "running"
    assert state.internal_url == f"http://lab.{PREFIX}-rachel:8888/nb/user/x/"
    for obj in objects:
        kind, metadata = obj["kind"], obj["metadata"]

        def exists(sandbox: Sandbox, kind: str = kind, of: JSON = metadata) -> object:
            return sandbox.store.find(kind, of.get("namespace"), of["name"])

        assert cluster.call(exists), kind


@pytest.mark.parametrize("count", [1, 2])
def test_less_than_that_is_removed_and_fails(cluster: Cluster, count: int) -> None:
    service = cluster.service()
    half_made(service, "rachel", count)
    cluster.control.settings(held_namespaces=[f"{PREFIX}-rachel"])
    service.reconciler.reconcile()
    record = service.labs.table.get_or_add("rachel")
    progress = service.progress.describe("rachel")
    assert str(progress.title) == "The start of your lab was interrupted"
    assert progress.is_followed
    cluster.control.settings(held_namespaces=[])
    messages = service.messages("rachel")
    # Whoever is told so can begin again at once.
    assert record.operation is None
    assert not cluster.namespaces()
    spawn = service.labs.operation("rachel")
    assert spawn.events.all()[-1].type == "failed"
    advice = service.progress.describe("rachel").advice
    assert advice is not None
    assert "was interrupted" in str(advice.happened)
    assert messages[-2:] == [
        "The service was interrupted before your lab had started, try again",
        "Lab spawn failed",
    ]
    assert service.spawn("rachel")[-1] == "Lab Kubernetes pod started for rachel"


def test_pending_pods_are_followed_to_their_start(cluster: Cluster) -> None:
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    earlier = cluster.service()
    earlier.labs.create(user("rachel"), SPECIFICATION)
    log = earlier.labs.operation("rachel").events
    wait_for(lambda: any("Back-off" in event.message for event in log.all()))
    earlier.stop()
    assert log.closed
    assert all(event.type == "info" for event in log.all())
    service = cluster.service()
    service.reconciler.reconcile()
    assert service.status("rachel") == "pending"
    cluster.control.settings(failing_pulls=[])
    assert service.messages("rachel")[-1] == "Lab Kubernetes pod started for rachel"
    # What becomes of the pod later is seen as well.
    cluster.control("POST", f"/pods/{PREFIX}-rachel/rachel-nb/finish", {})
    wait_for(lambda: service.status("rachel") == "terminated")


def test_other_peoples_namespaces_are_left_alone(cluster: Cluster) -> None:
    def add(sandbox: Sandbox) -> None:
        metadata = {"name": f"{PREFIX}-operator"}
        sandbox.store.create("Namespace", {"metadata": metadata})

    cluster.call(add)
    service = cluster.service()
    service.reconciler.reconcile()
    messages = service.spawn("operator")
    assert (
        "Error creating namespace (Namespace userlabs-operator, status 409)"
        in (messages[-2])
    )
    assert messages[-1] == "Lab spawn failed"
    assert cluster.namespaces() == {f"{PREFIX}-operator"}


def test_a_lab_that_cannot_be_parsed_harms_no_other(cluster: Cluster) -> None:
    earlier = cluster.service()
    for username in ("good", "strange", "ended"):
        earlier.spawn(username)
    earlier.stop()

    def forget_memory(obj: JSON) -> None:
        del obj["data"]["MEM_LIMIT"]

    for username in ("strange", "ended"):
        change(cluster, "ConfigMap", f"{username}-nb-env", forget_memory, user=username)
    cluster.control("POST", f"/pods/{PREFIX}-ended/ended-nb/finish", {"exit_code": 1})
    service = cluster.service()
    service.reconciler.reconcile()
    assert service.labs.running() == ["good"]
    # The pod of the strange lab still runs, and may be in use.
    wait_for(lambda: cluster.namespaces() == {f"{PREFIX}-good", f"{PREFIX}-strange"})


def test_a_malformed_record_of_a_spawn_is_removed(cluster: Cluster) -> None:
    service = cluster.service()
    half_made(service, "rachel", 5)

    def spoil(obj: JSON) -> None:
        obj["metadata"]["annotations"][ANNOTATION_SPAWN] = "{"

    change(cluster, "ConfigMap", "rachel-nb-env", spoil, user="rachel")
    service.reconciler.reconcile()
    wait_for(lambda: not cluster.namespaces())


def test_labs_that_are_gone_fail_first_and_are_forgotten_then(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults(silent=True)

    def remove(sandbox: Sandbox) -> None:
        sandbox.store.delete("Namespace", None, f"{PREFIX}-rachel")

    cluster.call(remove)
    wait_for(lambda: not cluster.namespaces())
    service.reconciler.reconcile()
    assert service.status("rachel") == "failed"
    service.reconciler.reconcile()
    wait_for(lambda: service.status("rachel") is None)


def test_ended_labs_are_removed(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control("POST", f"/pods/{PREFIX}-rachel/rachel-nb/finish", {})
    wait_for(lambda: service.status("rachel") == "terminated")
    service.reconciler.reconcile()
    wait_for(lambda: service.status("rachel") is None)
    assert not cluster.namespaces()


def test_a_namespace_that_does_not_go_away_is_reported(
    cluster: Cluster,
) -> None:
    name = f"{PREFIX}-rachel"
    cluster.service().spawn("rachel")

    def hold(sandbox: Sandbox) -> None:
        metadata = {"name": "x", "namespace": name, "finalizers": ["example.org/x"]}
        sandbox.store.create("ConfigMap", {"metadata": metadata})
        sandbox.store.delete("Namespace", None, name)

    def age(obj: JSON) -> None:
        obj["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z"

    def conditions(sandbox: Sandbox) -> Any:
        return sandbox.store.get("Namespace", None, name)["status"].get("conditions")

    cluster.call(hold)
    wait_for(lambda: cluster.call(conditions))
    service = cluster.service()
    service.reconciler.reconcile()
    assert service.alerts.recent() == ()
    cluster.call(lambda sandbox: sandbox.store.mutate("Namespace", None, name, age))
    service.reconciler.reconcile()
    (told,) = service.alerts.recent()
    assert (told.event, told.user) == ("Namespace does not go away", "rachel")
    assert "example.org/x in 1 resource instances" in told.message


def test_an_operation_in_progress_is_left_alone(cluster: Cluster) -> None:
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    service = cluster.service()
    service.labs.create(user("rachel"), SPECIFICATION)
    log = service.labs.operation("rachel").events
    wait_for(lambda: any("Back-off" in event.message for event in log.all()))
    service.reconciler.reconcile()
    assert not log.closed
    assert service.labs.operation("rachel").events is log
    cluster.control.settings(failing_pulls=[])
    assert service.messages("rachel")[-1] == "Lab Kubernetes pod started for rachel"


def test_labs_are_read_one_by_one_where_lists_are_forbidden(cluster: Cluster) -> None:
    earlier = cluster.service()
    earlier.spawn("rachel")
    earlier.stop()
    service = cluster.service()
    cluster.control.faults({"path": "^/api/v1/configmaps", "status": 403})
    service.reconciler.reconcile()
    assert service.labs.running() == ["rachel"]


def test_a_leftover_namespace_is_replaced_at_a_spawn(cluster: Cluster) -> None:
    service = cluster.service()
    half_made(service, "rachel", 6)
    cluster.control.settings(namespace_delay=0.2)
    assert service.spawn("rachel")[-1] == "Lab Kubernetes pod started for rachel"


@pytest.mark.parametrize("kinds", [("Pod",), ("ConfigMap",), ("Pod", "ConfigMap")])
def test_a_lab_whose_objects_have_lost_their_labels_is_kept(
    cluster: Cluster, kinds: tuple[str, ...]
) -> None:
    earlier = cluster.service()
    earlier.spawn("rachel")
    state, uid = earlier.labs.state("rachel"), pod_uid(cluster, "rachel")
    names = {"Pod": "rachel-nb", "ConfigMap": "rachel-nb-env"}
    for kind in kinds:
        strip(cluster, kind, names[kind], "rachel")
    for service in (earlier, cluster.service()):
        service.reconciler.reconcile()
        assert service.labs.running() == ["rachel"]
        assert service.labs.state("rachel").resources == state.resources
        told = [line.message for line in service.alerts.recent()]
        assert all(any(names[kind] in text for text in told) for kind in kinds)
    assert pod_uid(cluster, "rachel") == uid
    assert service.labs.table.get_or_add("rachel").operation is None


def test_a_pod_that_loses_its_label_still_runs(cluster: Cluster) -> None:
    service = cluster.service()
    for username in ("rachel", "sam"):
        service.spawn(username)
    pods = service.cluster.watcher(POD).cache
    strip(cluster, "Pod", "rachel-nb", "rachel")
    namespace = f"{PREFIX}-sam"
    cluster.call(lambda s: s.store.delete("Pod", namespace, "sam-nb", grace_seconds=0))
    # The watch of pods has had both news, and no longer knows either.
    wait_for(lambda: not pods.objects())
    wait_for(lambda: service.status("sam") == "failed")
    service.labs.stop()
    assert service.status("rachel") == "running"


def test_a_pod_without_label_that_is_gone_is_noticed(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    strip(cluster, "Pod", "rachel-nb", "rachel")
    namespace = f"{PREFIX}-rachel"
    cluster.call(
        lambda s: s.store.delete("Pod", namespace, "rachel-nb", grace_seconds=0)
    )

    def is_forgotten() -> bool:
        service.reconciler.reconcile()
        return service.status("rachel") is None

    wait_for(is_forgotten)


def test_a_namespace_that_has_lost_its_label_is_left_alone(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    namespace = f"{PREFIX}-rachel"
    cluster.call(lambda s: s.store.mutate("Namespace", None, namespace, lose_labels))
    wait_for(lambda: not service.cluster.watcher(NAMESPACE).cache.objects())
    service.reconciler.reconcile()
    assert service.status("rachel") == "running"
    later = cluster.service()
    later.reconciler.reconcile()
    assert later.status("rachel") is None
    cluster.call(
        lambda s: s.store.delete("Pod", namespace, "rachel-nb", grace_seconds=0)
    )
    for _ in range(2):
        service.reconciler.reconcile()
        assert service.status("rachel") == "failed"
    assert service.labs.table.get_or_add("rachel").operation is None
    assert cluster.namespaces() == {namespace}


def test_a_running_pod_without_environment_is_kept_and_reported(
    cluster: Cluster,
) -> None:
    cluster.service().spawn("rachel")
    namespace = f"{PREFIX}-rachel"
    cluster.call(lambda s: s.store.delete("ConfigMap", namespace, "rachel-nb-env"))
    service = cluster.service()
    service.reconciler.reconcile()
    assert "environment is missing" in service.alerts.recent()[0].message
    assert service.labs.table.get_or_add("rachel").operation is None
    assert cluster.namespaces() == {namespace}


def test_a_deletion_that_was_cut_off_is_completed(cluster: Cluster) -> None:
    earlier = cluster.service()
    earlier.spawn("rachel")
    earlier.cluster.ensure(earlier.builder.deletion_mark("rachel"), timeout())
    earlier.stop()
    service = cluster.service()
    service.reconciler.reconcile()
    assert service.messages("rachel")[-1] == "Lab for rachel deleted"
    assert not cluster.namespaces()


def test_what_could_not_be_read_is_taken_up_again_soon(cluster: Cluster) -> None:
    service = cluster.service()
    half_made(service, "rachel", 1)
    name = f"{PREFIX}-rachel"

    def age(namespace: JSON) -> None:
        namespace["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"

    cluster.call(lambda sandbox: sandbox.store.mutate("Namespace", None, name, age))
    cluster.control.faults({"method": "GET", "path": "/rachel-nb", "status": 500})
    service.reconciler.reconcile()
    assert cluster.namespaces() == {name}
    cluster.control("DELETE", "/faults")
    wait_for(lambda: _reconciled_again(cluster, service))
    before = cluster.requests()
    service.reconciler.reconcile_forgotten()
    assert cluster.requests() == before


def _reconciled_again(cluster: Cluster, service: Service) -> bool:
    service.reconciler.reconcile_forgotten()
    return not cluster.namespaces()
