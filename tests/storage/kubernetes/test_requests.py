"""Requests to Kubernetes: errors, overload, lost connections and answers."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    LabDeletionError,
    MissingSecretError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.cluster import Sandbox
from nublado.storage.kubernetes.client import KubernetesClient, Target
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.resource import CONFIG_MAP, NAMESPACE, POD, SECRET
from nublado.timeout import Timeout
from tests.cluster import Cluster, timeout
from tests.conftest import Answer, OutsideSystem
from tests.waiting import wait_for


def config_map(name: str = "colours", **data: str) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data or {"sky": "blue"},
    }


@pytest.fixture
def objects(cluster: Cluster) -> ObjectStore:
    return ObjectStore(cluster.client())


def test_requests_carry_the_credentials_of_the_kubeconfig(
    outside: OutsideSystem, tmp_path: Path
) -> None:
    kubeconfig = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": {"server": outside.url}}],
        "users": [{"name": "me", "user": {"token": "open sesame"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(kubeconfig))
    outside.default = Answer(body=b"{}")
    client = KubernetesClient.connect(str(file))
    try:
        query: dict[str, str | int] = {"labelSelector": "app=lab,tier!=x y"}
        query["limit"] = 5
        client.request("GET", "/api/v1/pods", Target("", "Pod"), timeout(), query=query)
        watch = client.watch("/api/v1/pods", Target("", "Pod"), {"watch": "true"}, 9.0)
        assert watch.read() == b"{}"
    finally:
        client.close()
    listed, watched = outside.wait_received(2)
    assert listed.path == (
        "/api/v1/pods?labelSelector=app%3Dlab%2Ctier%21%3Dx+y&limit=5"
    )
    assert watched.path == "/api/v1/pods?watch=true"
    for request in (listed, watched):
        assert request.headers["authorization"] == "Bearer open sesame"
        assert request.headers["user-agent"].startswith("nublado/")
        assert request.headers["accept"] == "application/json"


def test_create_read_list_delete(objects: ObjectStore) -> None:
    for number in range(3):
        objects.create(config_map(f"map{number}"), timeout())
    found = objects.read(CONFIG_MAP, "default", "map1", timeout())
    assert found is not None
    assert found["data"] == {"sky": "blue"}
    assert objects.read(CONFIG_MAP, "default", "none", timeout()) is None
    listed = objects.list(
        CONFIG_MAP, timeout(), namespace="default", fields="metadata.name=map2"
    )
    assert [obj["metadata"]["name"] for obj in listed] == ["map2"]
    uid = found["metadata"]["uid"]
    with pytest.raises(KubernetesConflictError):
        objects.delete(CONFIG_MAP, "default", "map1", timeout(), uid="another")
    assert objects.delete(CONFIG_MAP, "default", "map1", timeout(), uid=uid)
    assert objects.delete(CONFIG_MAP, "default", "map1", timeout()) is None


def test_errors_say_what_was_attempted(cluster: Cluster, objects: ObjectStore) -> None:
    objects.create(config_map(), timeout())
    with pytest.raises(KubernetesConflictError) as conflict:
        objects.create(config_map(), timeout())
    start = "Error creating object (ConfigMap default/colours, status 409): "
    assert str(conflict.value).startswith(start)
    cluster.control.faults({"method": "GET", "status": 400, "body": "nonsense"})
    with pytest.raises(KubernetesError) as failure:
        objects.read(POD, "default", "x", timeout())
    expected = "Error reading object (Pod default/x, status 400): nonsense"
    assert str(failure.value) == expected
    with pytest.raises(KubernetesError) as failure:
        list(objects.list(NAMESPACE, timeout()))
    expected = "Error listing namespaces (Namespace, status 400): nonsense"
    assert str(failure.value) == expected


def test_errors_about_secrets_do_not_quote_them(
    cluster: Cluster, objects: ObjectStore
) -> None:
    cluster.control.faults({"status": 422, "body": "invalid value: hunter2"})
    secret = {**config_map(), "kind": "Secret"}
    with pytest.raises(KubernetesError) as failure:
        objects.create(secret, timeout())
    expected = "Error creating object (Secret default/colours, status 422)"
    assert str(failure.value) == expected


@pytest.mark.parametrize("status", [429, 503])
def test_overload_is_waited_for(
    cluster: Cluster, objects: ObjectStore, status: int
) -> None:
    rule = {"method": "POST", "status": status, "retry_after": 1, "count": 1}
    cluster.control.faults(rule)
    began = time.monotonic()
    objects.create(config_map(), timeout())
    assert time.monotonic() - began >= 1.0


def test_creates_that_collide_over_a_quota_are_repeated(
    cluster: Cluster, objects: ObjectStore
) -> None:
    # Nothing was created then; "AlreadyExists" is the other 409.
    cluster.control.faults({"method": "POST", "status": 409, "count": 3})
    objects.ensure(config_map(), timeout())
    assert objects.read(CONFIG_MAP, "default", "colours", timeout())


def test_connections_that_break_several_times(
    cluster: Cluster, objects: ObjectStore
) -> None:
    cluster.control.faults({"method": "POST", "drop": "before", "count": 4})
    objects.create(config_map(), timeout())
    assert objects.read(CONFIG_MAP, "default", "colours", timeout())


def test_deletions_that_collide_are_repeated(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"method": "DELETE", "status": 409, "count": 6})
    service.labs.delete("rachel")
    assert not cluster.namespaces()


def test_overload_beyond_the_deadline_is_an_error(
    cluster: Cluster, objects: ObjectStore
) -> None:
    cluster.control.faults({"status": 503, "retry_after": 10})
    with pytest.raises(KubernetesError, match="status 503"):
        objects.create(config_map(), timeout(2.0))


def test_other_errors_are_not_repeated(cluster: Cluster, objects: ObjectStore) -> None:
    cluster.control.faults({"method": "POST", "status": 500})
    before = cluster.requests()
    with pytest.raises(KubernetesError, match="status 500"):
        objects.create(config_map(), timeout())
    assert cluster.requests() - before <= 1


def test_a_lost_answer_to_a_create_is_no_failure(
    cluster: Cluster, objects: ObjectStore
) -> None:
    cluster.control.faults({"method": "POST", "drop": "after", "count": 1})
    created = objects.create(config_map(), timeout())
    assert created["metadata"]["uid"]
    cluster.control.faults({"method": "POST", "drop": "after", "count": 1})
    secret = {**config_map("secret"), "kind": "Secret", "data": {}}
    objects.create(secret, timeout())
    assert objects.read(SECRET, "default", "secret", timeout()) is not None


def test_an_object_of_other_content_is_a_conflict(
    cluster: Cluster, objects: ObjectStore
) -> None:
    objects.create(config_map(sky="grey"), timeout())
    cluster.control.faults({"method": "POST", "drop": "before", "count": 1})
    with pytest.raises(KubernetesConflictError):
        objects.create(config_map(sky="blue"), timeout())


def test_cancellation_ends_a_wait_between_attempts(
    cluster: Cluster, objects: ObjectStore
) -> None:
    cluster.control.faults({"status": 503, "retry_after": 8})
    limit = timeout(60)
    threading.Timer(0.2, limit.cancellation.cancel).start()
    began = time.monotonic()
    with pytest.raises(OperationCancelledError):
        objects.create(config_map(), limit)
    assert time.monotonic() - began < 5


def test_no_request_is_made_after_the_deadline(objects: ObjectStore) -> None:
    expired = Timeout("Lab spawn", 600.0, elapsed=600.0)
    with pytest.raises(OperationTimeoutError) as failure:
        objects.create(config_map(), expired)
    assert str(failure.value) == "Lab spawn timed out after 600.0"


def test_connections_are_bounded(cluster: Cluster, objects: ObjectStore) -> None:
    cluster.control.faults({"path": "configmaps", "delay": 0.05})

    def read(_: int) -> None:
        objects.read(CONFIG_MAP, "default", "none", timeout())

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(read, range(200)))
    assert cluster.control.stats()["connections"]["kubernetes"]["peak"] <= 16


def test_missing_secrets_are_named(cluster: Cluster) -> None:
    storage = cluster.service().storage
    with pytest.raises(MissingSecretError) as missing:
        storage.read_secrets("nublado", [("nothing", "key")], timeout())
    assert str(missing.value) == "Secret nublado/nothing does not exist"
    with pytest.raises(MissingSecretError) as missing:
        storage.read_secrets("nublado", [("nublado-lab-secret", "key")], timeout())
    assert str(missing.value) == "No key key in secret nublado/nublado-lab-secret"


def test_deletion_waits_for_this_very_object(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults(silent=True)
    service.deleter.delete(
        POD, "userlabs-rachel", "rachel-nb", timeout(), grace_seconds=1
    )
    service.deleter.delete(POD, "userlabs-rachel", "rachel-nb", timeout())
    found = service.storage.read_pod(service.builder.names("rachel"), timeout())
    assert found is None


def test_deletion_of_a_namespace_that_is_going_already(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.settings(namespace_delay=0.3)

    def remove(sandbox: Sandbox) -> None:
        sandbox.store.delete("Namespace", None, "userlabs-rachel")

    cluster.call(remove)
    service.deleter.delete(NAMESPACE, None, "userlabs-rachel", timeout())
    assert cluster.namespaces() == set()


def test_deletion_that_is_refused(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"method": "DELETE", "path": "/pods/", "status": 400})
    with pytest.raises(LabDeletionError):
        service.labs.delete("rachel")
    messages = service.messages("rachel")
    assert (
        "Error deleting object (Pod userlabs-rachel/rachel-nb, status 400)"
        in (messages[-2])
    )
    assert messages[-1] == "Lab delete failed"
    assert service.status("rachel") == "failed"


def test_watcher_notices_what_happened_while_it_was_cut_off(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"path": "watch=true", "status": 500})
    cluster.control("POST", "/watches/drop")

    def replace(sandbox: Sandbox) -> None:
        sandbox.store.delete("Namespace", None, "userlabs-rachel")

    cluster.call(replace)
    wait_for(lambda: not cluster.namespaces())
    cluster.control("POST", "/compact")
    cluster.control("DELETE", "/faults")
    wait_for(lambda: service.status("rachel") == "failed")
    wait_for(lambda: not service.namespaces.objects())


def test_watcher_that_is_refused_does_not_hammer_the_server(cluster: Cluster) -> None:
    service = cluster.service()
    cluster.control.faults({"path": "watch=true", "status": 500})
    cluster.control("POST", "/watches/drop")
    cluster.control("POST", "/stats/reset")
    deadline = time.monotonic() + 2.0
    wait_for(lambda: time.monotonic() > deadline)
    assert cluster.requests() < 20
    assert not service.pods.dead
