"""Namespaces that do not end, and labels that go."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.conftest import MERGE_PATCH, Cluster

LAB = "/api/v1/namespaces/lab"


def conditions(namespace: JSON) -> dict[str, tuple[str, str, str]]:
    return {
        c["type"]: (c["status"], c["reason"], c["message"])
        for c in namespace["status"].get("conditions") or ()
    }


def held_up(cluster: Cluster) -> dict[str, tuple[str, str, str]]:
    """Wait until a namespace says what holds it up."""
    return conditions(cluster.state_of(LAB, lambda obj: bool(conditions(obj))))


def test_end_is_seen_by_watches_at_once(lab: Cluster) -> None:
    with lab.watch("/api/v1/namespaces", resourceVersion=lab.version()) as events:
        lab.control("POST", "/namespaces/lab/hold")
        lab.ask("DELETE", LAB)
        event = next(events)
        assert event["type"] == "MODIFIED"
        assert event["object"]["status"]["phase"] == "Terminating"
        assert event["object"]["metadata"]["deletionTimestamp"]


def test_finalizers_hold_a_namespace_and_are_named(lab: Cluster) -> None:
    finalizer = "snapshot.storage.kubernetes.io/held"
    held = lab.control("POST", "/namespaces/lab/hold", {"finalizer": finalizer})
    assert held["objects"] == ["configmaps/kube-root-ca.crt"]
    answer = lab.ask("DELETE", LAB)
    assert answer.json()["status"]["phase"] == "Terminating"
    found = held_up(lab)
    assert found["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: configmaps. has 1 resource instances",
    )
    assert found["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining:"
        f" {finalizer} in 1 resource instances",
    )
    assert found["NamespaceDeletionDiscoveryFailure"] == (
        "False",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    )
    refused = lab.ask("POST", f"{LAB}/configmaps", {"metadata": {"name": "new"}})
    assert refused.status_code == 403
    assert "because it is being terminated" in refused.json()["message"]

    lab.control("POST", "/namespaces/lab/release", {"finalizer": finalizer})
    lab.until(lambda: lab.ask("GET", LAB).status_code == 404)


def test_discovery_that_fails_holds_a_namespace(lab: Cluster) -> None:
    lab.control.settings(held_namespaces=["^lab$"])
    lab.ask("DELETE", LAB)
    found = held_up(lab)
    status, reason, text = found["NamespaceDeletionDiscoveryFailure"]
    assert (status, reason) == ("True", "DiscoveryFailed")
    assert text.startswith("Discovery failed for some groups, 1 failing: unable to")
    lab.control.settings(held_namespaces=[])
    lab.until(lambda: lab.ask("GET", LAB).status_code == 404)


def test_own_finalizers_of_a_namespace_stay(lab: Cluster) -> None:
    namespace = lab.get(LAB)
    namespace["spec"]["finalizers"].append("example.com/own")
    assert lab.ask("PUT", f"{LAB}/finalize", namespace).status_code == 200
    lab.ask("DELETE", LAB)
    left = lab.state_of(LAB, lambda obj: "kubernetes" not in obj["spec"]["finalizers"])
    assert left["spec"]["finalizers"] == ["example.com/own"]
    left["spec"]["finalizers"] = []
    lab.ask("PUT", f"{LAB}/finalize", left)
    lab.until(lambda: lab.ask("GET", LAB).status_code == 404)


def test_only_namespaces_that_exist_are_held(cluster: Cluster) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        cluster.control("POST", "/namespaces/none/hold")
    with pytest.raises(requests.HTTPError, match="422"):
        cluster.control("POST", "/namespaces/default/hold", {"kinds": ["Node"]})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/namespaces/lab/pods", "nb"),
        ("/api/v1/namespaces/lab/configmaps", "nb-env"),
        ("/api/v1/namespaces", "labelled"),
    ],
)
@pytest.mark.parametrize("live", [True, False])
def test_object_that_loses_its_label_is_deleted_to_watches(
    lab: Cluster, path: str, name: str, live: bool
) -> None:
    labels = {"nublado.lsst.io/category": "lab", "user": "rachel"}
    content: dict[str, Any] = {"metadata": {"labels": labels}}
    if path.endswith("pods"):
        content["spec"] = {"containers": [{"name": "c", "image": "x:1"}]}
    lab.create(path, name, **content)
    if path.endswith("pods"):
        lab.pod_that(lambda pod: pod["status"]["phase"] == "Running", name)
    query = {"labelSelector": "nublado.lsst.io/category=lab"}
    query["resourceVersion"] = lab.version(path)
    patch = {"metadata": {"labels": {"nublado.lsst.io/category": None}}}

    def take_label() -> JSON:
        options = {"headers": {"Content-Type": MERGE_PATCH}}
        answer = lab.ask("PATCH", f"{path}/{name}", patch, **options)
        patched: JSON = answer.json()
        return patched

    patched = None if live else take_label()
    with lab.watch(path, **query) as events:
        patched = patched or take_label()
        event = next(events)
        assert event["type"] == "DELETED"
        # As it was when it was selected last, with the version of the change.
        metadata = event["object"]["metadata"]
        assert metadata["name"] == name
        assert metadata["labels"].items() >= labels.items()
        assert metadata["resourceVersion"] == patched["metadata"]["resourceVersion"]
        listed = lab.get(f"{path}?labelSelector={query['labelSelector']}")
        assert listed["items"] == []
        still = lab.get(f"{path}/{name}")
        assert still["metadata"]["uid"] == metadata["uid"]

        back = {"metadata": {"labels": labels}}
        options = {"headers": {"Content-Type": MERGE_PATCH}}
        lab.ask("PATCH", f"{path}/{name}", back, **options)
        assert next(events)["type"] == "ADDED"
