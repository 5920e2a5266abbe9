"""File servers against a cluster in this process: reconciliation above all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nublado.exceptions import (
    FileserverCreationError,
    FileserverDeletionError,
    UnknownUserError,
)
from nublado.models.domain.kubernetes import JSON
from nublado.services.fileserver.service import FileserverService
from tests.cluster import Cluster
from tests.fileservers import (
    CONFIG,
    NAMESPACE,
    RACHEL,
    MakeService,
    maker_of_services,
)
from tests.waiting import wait_for

KINDS = ("GafaelfawrIngress", "Ingress", "Service", "Job", "Pod")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(config_file=CONFIG) as running:
        yield running


@pytest.fixture
def make_service(cluster: Cluster) -> Iterator[MakeService]:
    with maker_of_services(cluster) as make:
        yield make


@pytest.fixture
def service(make_service: MakeService) -> FileserverService:
    return make_service()


def objects(cluster: Cluster) -> dict[str, list[JSON]]:
    """All objects of file servers, by kind; none are left out."""

    def collect(sandbox: Any) -> dict[str, list[JSON]]:
        found = {kind: sandbox.store.list(kind, NAMESPACE) for kind in KINDS}
        return {kind: items for kind, items in found.items() if items}

    collected: dict[str, list[JSON]] = cluster.call(collect)
    return collected


def test_valid_server_survives_ten_reconciliations(
    cluster: Cluster, service: FileserverService
) -> None:
    service.create(RACHEL)
    before = objects(cluster)
    for _ in range(10):
        service.reconcile()
        assert service.running() == ["rachel"]
    assert objects(cluster) == before


def test_another_process_adopts_a_valid_server(
    cluster: Cluster, make_service: MakeService
) -> None:
    make_service().create(RACHEL)
    before = objects(cluster)
    other = make_service()
    other.reconcile()
    assert other.running() == ["rachel"]
    assert objects(cluster) == before


def test_server_whose_job_was_deleted_is_cleaned_up(
    cluster: Cluster, service: FileserverService
) -> None:
    service.create(RACHEL)
    cluster.call(
        lambda sandbox: sandbox.store.delete(
            "Job", NAMESPACE, "rachel-fs", propagation="Background"
        )
    )
    wait_for(lambda: service.running() == [])
    wait_for(lambda: objects(cluster) == {})


def test_server_without_an_ingress_is_cleaned_up(
    cluster: Cluster, service: FileserverService
) -> None:
    service.create(RACHEL)
    cluster.control("PATCH", "/settings", {"makes_ingresses": False})
    cluster.call(lambda s: s.store.delete("Ingress", NAMESPACE, "rachel-fs"))
    service.reconcile()
    wait_for(lambda: objects(cluster) == {})
    assert service.running() == []


def test_object_of_somebody_else_is_never_touched(
    cluster: Cluster, service: FileserverService
) -> None:
    other = {"metadata": {"name": "other"}, "spec": {"ports": [{"port": 80}]}}
    cluster.call(lambda sandbox: sandbox.store.create("Service", other, NAMESPACE))
    service.create(RACHEL)
    service.reconcile()
    service.delete("rachel")
    assert [s["metadata"]["name"] for s in objects(cluster)["Service"]] == ["other"]


def test_failed_creation_may_be_tried_again(
    cluster: Cluster, service: FileserverService
) -> None:
    rule = {"method": "POST", "path": "/jobs", "status": 422, "count": 1}
    cluster.control("PUT", "/faults", {"rules": [rule]})
    with pytest.raises(FileserverCreationError, match="Error creating object"):
        service.create(RACHEL)
    assert objects(cluster) == {}
    service.create(RACHEL)
    assert service.running() == ["rachel"]


def refuse_by_quota(cluster: Cluster) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    cluster.call(lambda s: s.store.create("ResourceQuota", quota, NAMESPACE))


def refuse_by_security(cluster: Cluster) -> None:
    def label(namespace: JSON) -> None:
        labels = namespace["metadata"].setdefault("labels", {})
        labels["pod-security.kubernetes.io/enforce"] = "restricted"

    cluster.call(lambda s: s.store.mutate("Namespace", None, NAMESPACE, label))


def refuse_by_webhook(cluster: Cluster) -> None:
    webhook = {"kinds": ["Pod"], "namespace": NAMESPACE, "deny": "image not signed"}
    cluster.control("PUT", "/webhooks", {"webhooks": [webhook]})


@pytest.mark.parametrize(
    ("refuse", "reason"),
    [
        (refuse_by_quota, "exceeded quota: none, requested: pods=1"),
        (refuse_by_security, 'violates PodSecurity "restricted'),
        (refuse_by_webhook, "image not signed"),
    ],
)
def test_pod_that_is_refused_says_why(
    cluster: Cluster,
    service: FileserverService,
    refuse: Callable[[Cluster], None],
    reason: str,
) -> None:
    refuse(cluster)
    with pytest.raises(FileserverCreationError) as caught:
        service.create(RACHEL)
    assert "timed out after 3.0: there is no pod: Error creating: " in str(caught.value)
    assert reason in str(caught.value)
    assert objects(cluster) == {}


def test_overloaded_server_is_asked_again(
    cluster: Cluster, service: FileserverService
) -> None:
    rule = {"status": 429, "retry_after": 0, "probability": 0.3}
    cluster.control("PUT", "/faults", {"rules": [rule], "seed": 5})
    service.create(RACHEL)
    service.delete("rachel")
    assert objects(cluster) == {}


def test_unknown_server_cannot_be_deleted(service: FileserverService) -> None:
    with pytest.raises(UnknownUserError):
        service.delete("rachel")


def test_deletion_that_failed_half_way_can_be_repeated(
    cluster: Cluster, service: FileserverService
) -> None:
    service.create(RACHEL)
    cluster.control.faults({"method": "DELETE", "path": "/services/", "status": 400})
    with pytest.raises(FileserverDeletionError, match="Error deleting object"):
        service.delete("rachel")
    assert "Job" in objects(cluster)
    assert service.running() == []
    cluster.control("DELETE", "/faults")
    service.delete("rachel")
    assert objects(cluster) == {}


def test_deletion_waits_for_what_a_creation_is_just_creating(
    cluster: Cluster, service: FileserverService
) -> None:
    cluster.control.faults({"method": "POST", "path": "/jobs$", "delay": 1.0})
    with ThreadPoolExecutor(1) as pool:
        creation = pool.submit(service.create, RACHEL)
        wait_for(lambda: cluster.control("GET", "/faults")["rules"][0]["hits"] > 0)
        service.delete("rachel")
        with pytest.raises(FileserverCreationError, match="Operation cancelled"):
            creation.result(60)
    assert objects(cluster) == {}
    assert service.running() == []


def test_old_objects_are_not_taken_for_new_ones(
    cluster: Cluster, service: FileserverService
) -> None:
    service.create(RACHEL)
    (old,) = objects(cluster)["Job"]
    service.delete("rachel")
    cluster.control.settings(gives_addresses=False)
    with pytest.raises(FileserverCreationError, match="ingress has no address"):
        service.create(RACHEL)
    cluster.control.settings(gives_addresses=True)
    service.create(RACHEL)
    (new,) = objects(cluster)["Job"]
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert service.running() == ["rachel"]
