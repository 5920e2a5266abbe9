"""Namespaces of labs that go, by hand or not at all."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from nublado.exceptions import LabDeletionError
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabStatus
from tests.cluster import Cluster
from tests.waiting import wait_for

NAMESPACE = "userlabs-rachel"


def delete_by_hand(cluster: Cluster) -> None:
    """Delete the namespace, in a later second than its pod was created in."""
    created = time.time()
    wait_for(lambda: time.time() > created + 1.0)
    cluster.call(lambda sandbox: sandbox.store.delete("Namespace", None, NAMESPACE))


def hold(cluster: Cluster) -> None:
    def mutate(obj: JSON) -> None:
        obj["metadata"]["finalizers"] = ["example.com/held"]

    cluster.call(
        lambda sandbox: sandbox.store.mutate(
            "ConfigMap", NAMESPACE, "rachel-nb-nss", mutate
        )
    )


def test_a_namespace_deleted_by_hand_makes_its_lab_terminating(
    cluster: Cluster,
) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults(kinds=["pods"], silent=True)
    hold(cluster)
    delete_by_hand(cluster)
    wait_for(lambda: service.status("rachel") == "terminating")
    assert service.labs.state("rachel").internal_url is None
    assert service.labs.state("rachel").status is LabStatus.TERMINATING


def test_a_lab_in_a_namespace_of_a_used_name_runs(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    # The end of the first namespace, and of its pod, are heard of late.
    cluster.control.faults(kinds=["namespaces"], silent=True)
    service.labs.delete("rachel")
    service.spawn("rachel")
    cluster.control("DELETE", "/faults")
    cluster.control("POST", "/watches/drop")
    namespaces = [w for w in service.cluster.watchers if w.name == "watch-namespaces"]
    wait_for(lambda: all(w.lost == 0 for w in namespaces))
    assert service.status("rachel") == "running"


def test_a_deletion_that_times_out_names_what_holds_the_namespace(
    cluster: Cluster,
) -> None:
    lab = replace(cluster.config.lab, delete_timeout=2.0)
    cluster.config = replace(cluster.config, lab=lab)
    service = cluster.service()
    service.spawn("rachel")
    hold(cluster)
    with pytest.raises(LabDeletionError):
        service.labs.delete("rachel")
    message = service.messages("rachel")[-2]
    assert message.startswith("Lab deletion timed out after 2.0: Namespace")
    assert "finalizers remaining: example.com/held in 1 resource" in message
    assert service.status("rachel") == "failed"
    # It stays known as long as the namespace remains.
    service.reconciler.reconcile()
    service.messages("rachel")
    assert service.status("rachel") in ("failed", "terminating")
    wait_for(lambda: service.status("rachel") == "failed")
    assert cluster.namespaces() == {NAMESPACE}


def test_a_deletion_that_a_restored_server_has_forgotten_is_requested_again(
    cluster: Cluster,
) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control("POST", "/backup")
    hold(cluster)
    with ThreadPoolExecutor(1) as pool:
        deletion = pool.submit(service.labs.delete, "rachel")
        wait_for(lambda: _is_terminating(cluster))
        cluster.control("POST", "/restore", {"away": 0.1})
        deletion.result(60)
    assert cluster.namespaces() == set()
    assert service.status("rachel") is None


def _is_terminating(cluster: Cluster) -> bool:
    found: JSON | None = cluster.call(
        lambda sandbox: sandbox.store.find("Namespace", None, NAMESPACE)
    )
    return found is not None and "deletionTimestamp" in found["metadata"]
