"""Nodes that do not answer, containers that are killed, and lists of images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.conftest import Cluster

POD = "/api/v1/namespaces/lab/pods/nb"


def conditions(obj: JSON) -> dict[str, JSON]:
    return {c["type"]: c for c in obj["status"].get("conditions") or ()}


def silence(cluster: Cluster, node: str, *, after: float = 0.0) -> None:
    cluster.control.settings(eviction_seconds=after)
    cluster.control("POST", f"/nodes/{node}/silence")


def test_node_is_tainted_and_its_pods_are_not_ready(lab: Cluster) -> None:
    name = lab.running_pod()["spec"]["nodeName"]
    silence(lab, name, after=600)
    node = lab.get(f"/api/v1/nodes/{name}")
    ready = conditions(node)["Ready"]
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert ready["message"] == "Kubelet stopped posting node status."
    taints = {(t["key"], t["effect"]) for t in node["spec"]["taints"]}
    key = "node.kubernetes.io/unreachable"
    assert taints == {(key, "NoSchedule"), (key, "NoExecute")}
    pod = lab.get(POD)
    assert conditions(pod)["Ready"]["status"] == "False"
    assert pod["status"]["phase"] == "Running"
    assert "deletionTimestamp" not in pod["metadata"]
    event = lab.event("NodeNotReady")
    assert (event["message"], event["type"]) == ("Node is not ready", "Warning")
    event = lab.event("NodeNotReady", "default")
    assert event["message"] == f"Node {name} status is now: NodeNotReady"


def test_pod_is_terminating_for_ever_until_forced(lab: Cluster) -> None:
    silence(lab, lab.running_pod()["spec"]["nodeName"])
    pod = lab.pod_that(lambda pod: "deletionTimestamp" in pod["metadata"])
    assert pod["status"]["phase"] == "Running"
    why = conditions(pod)["DisruptionTarget"]
    assert why["reason"] == "DeletionByTaintManager"
    assert why["message"] == "Taint manager: deleting due to NoExecute taint"
    event = lab.event("TaintManagerEviction")
    assert event["message"] == "Marking for deletion Pod lab/nb"

    assert lab.ask("DELETE", POD, {"gracePeriodSeconds": 1}).status_code == 200
    lab.ask("DELETE", "/api/v1/namespaces/lab")
    namespace = lab.state_of(
        "/api/v1/namespaces/lab",
        lambda obj: "NamespaceContentRemaining" in conditions(obj),
    )
    assert conditions(namespace)["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: pods. has 1 resource instances"
    )
    assert lab.get(POD)["metadata"]["deletionTimestamp"]

    assert lab.ask("DELETE", POD, {"gracePeriodSeconds": 0}).status_code == 200
    assert lab.ask("GET", POD).status_code == 404
    lab.until(lambda: lab.ask("GET", "/api/v1/namespaces/lab").status_code == 404)


def test_nothing_is_scheduled_or_started_there(start: Callable[..., Cluster]) -> None:
    cluster = start(settings={"nodes": 1})
    cluster.lab_namespace()
    silence(cluster, "node-1", after=600)
    cluster.lab_pod()
    text = cluster.event("FailedScheduling")["message"]
    assert "untolerated taint {node.kubernetes.io/unreachable: }" in text
    cluster.control("POST", "/nodes/node-1/wake")
    cluster.pod_that(lambda pod: pod["status"]["phase"] == "Running")
    taints = cluster.get("/api/v1/nodes/node-1")["spec"].get("taints")
    assert not taints


def test_node_that_is_back_removes_what_was_deleted(lab: Cluster) -> None:
    node = lab.running_pod()["spec"]["nodeName"]
    silence(lab, node)
    lab.pod_that(lambda pod: "deletionTimestamp" in pod["metadata"])
    lab.control("POST", f"/nodes/{node}/wake")
    lab.until(lambda: lab.ask("GET", POD).status_code == 404)
    assert "NodeReady" in {e["reason"] for e in lab.events("NodeReady", "default")}


def test_starting_pod_goes_on_when_its_node_is_back(lab: Cluster) -> None:
    lab.control.settings(failing_pulls=["lab:w1"])
    lab.lab_pod()
    node = lab.pod_that(lambda pod: "nodeName" in pod["spec"])["spec"]["nodeName"]
    lab.event("BackOff")
    silence(lab, node, after=600)
    lab.control.settings(failing_pulls=[])
    assert lab.get(POD)["status"]["phase"] == "Pending"
    lab.control("POST", f"/nodes/{node}/wake")
    lab.pod_that(lambda pod: pod["status"]["phase"] == "Running")


def test_taint_of_an_administrator_evicts_at_once(lab: Cluster) -> None:
    node = lab.running_pod()["spec"]["nodeName"]
    taint = {"key": "drain", "value": "now", "effect": "NoExecute"}
    lab.control("PATCH", f"/nodes/{node}", {"taints": [taint]})
    lab.until(lambda: lab.ask("GET", POD).status_code == 404)


def test_pod_that_tolerates_a_taint_stays(lab: Cluster) -> None:
    toleration = {"key": "drain", "operator": "Exists"}
    node = lab.running_pod(tolerations=[toleration])["spec"]["nodeName"]
    other = {"key": "drain", "effect": "NoExecute"}
    lab.control("PATCH", f"/nodes/{node}", {"taints": [other]})
    lab.lab_pod("later")
    lab.pod_that(lambda pod: pod["status"]["phase"] == "Running", "later")
    assert "deletionTimestamp" not in lab.get(POD)["metadata"]


def test_unknown_node_cannot_fall_silent(cluster: Cluster) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        cluster.control("POST", "/nodes/node-99/silence")


def test_killed_container_is_started_again(lab: Cluster) -> None:
    lab.running_pod()
    lab.control("POST", "/pods/lab/nb/kill")

    def restarted(pod: JSON) -> bool:
        status = pod["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and "running" in status["state"]

    pod = lab.pod_that(restarted)
    ended = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert pod["status"]["phase"] == "Running"
    lab.until(lambda: lab.events("Started")[0]["count"] == 2)


def test_container_killed_again_is_held_back(lab: Cluster) -> None:
    uid = lab.running_pod()["metadata"]["uid"]
    lab.control("POST", "/pods/lab/nb/kill")
    lab.pod_that(lambda pod: restarts(pod) == 1)
    lab.control.settings(pull_backoff=300)
    lab.control("POST", "/pods/lab/nb/kill")

    def waits(pod: JSON) -> bool:
        return "waiting" in pod["status"]["containerStatuses"][0]["state"]

    waiting = lab.pod_that(waits)["status"]["containerStatuses"][0]
    assert waiting["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 300s restarting failed container=notebook"
        f" pod=nb_lab({uid})",
    }
    assert waiting["lastState"]["terminated"]["reason"] == "OOMKilled"
    event = lab.event("BackOff")
    assert event["message"] == (
        f"Back-off restarting failed container notebook in pod nb_lab({uid})"
    )
    assert event["involvedObject"]["fieldPath"] == "spec.containers{notebook}"


@pytest.mark.parametrize(
    ("policy", "code", "phase"),
    [("Never", 137, "Failed"), ("OnFailure", 0, "Succeeded")],
)
def test_container_that_may_not_restart_ends_its_pod(
    lab: Cluster, policy: str, code: int, phase: str
) -> None:
    lab.running_pod(restartPolicy=policy)
    body = {"exit_code": code, "reason": "OOMKilled" if code else "Completed"}
    lab.control("POST", "/pods/lab/nb/kill", body)
    pod = lab.pod_that(lambda pod: pod["status"]["phase"] == phase)
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == code


def test_evicted_pod_says_why(lab: Cluster) -> None:
    lab.running_pod()
    text = "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi"
    lab.control("POST", "/pods/lab/nb/evict", {"message": text})
    pod = lab.pod_that(lambda pod: pod["status"]["phase"] == "Failed")
    assert (pod["status"]["reason"], pod["status"]["message"]) == ("Evicted", text)
    assert conditions(pod)["DisruptionTarget"]["reason"] == "TerminationByKubelet"
    assert lab.event("Evicted")["message"] == text


def test_node_names_only_its_largest_images(start: Callable[..., Cluster]) -> None:
    cluster = start(settings={"node_images": 3})
    for number in range(5):
        image = {"names": [f"registry.example/lab:{number}"], "size": 100 + number}
        cluster.control("PUT", "/nodes/node-1/images", image)
    images = images_of(cluster)
    assert [image["sizeBytes"] for image in images] == [104, 103, 102]


def test_image_is_there_though_its_node_does_not_list_it(
    start: Callable[..., Cluster],
) -> None:
    cluster = start(settings={"node_images": 1, "image_bytes": 5, "nodes": 1})
    lab = "registry.example/lab:w_1"
    cluster.control("PUT", "/nodes/node-1/images", {"image": lab})
    larger = "registry.example/lab:w_2"
    listed = {"names": [larger], "size": 6}
    cluster.control("PUT", "/nodes/node-1/images", listed)
    assert [image["names"] for image in images_of(cluster)] == [[larger]]
    cluster.lab_namespace()
    container = {"name": "nb", "image": lab}
    cluster.running_pod(containers=[container])
    pulled = cluster.event("Pulled")["message"]
    assert pulled == f'Container image "{lab}" already present on machine'

    cluster.control("DELETE", "/nodes/node-1/images", {"image": larger})
    assert [image["names"] for image in images_of(cluster)] == [[lab]]
    cluster.control("DELETE", "/nodes/node-1/images", {"image": lab})
    assert images_of(cluster) == []
    cluster.lab_pod("other", containers=[container])
    assert "Pulling image" in cluster.event("Pulling")["message"]


def test_node_that_is_replaced_has_nothing(cluster: Cluster) -> None:
    image = {"image": "registry.example/lab:w_1"}
    cluster.control("PUT", "/nodes/node-1/images", image)
    cluster.control("DELETE", "/nodes/node-1")
    cluster.control("POST", "/nodes", {"name": "node-1"})
    assert images_of(cluster) == []
    cluster.control("PUT", "/nodes/node-1/images", image)
    assert len(images_of(cluster)) == 1


def test_images_without_names(cluster: Cluster) -> None:
    nameless = {"names": None, "size": 3}
    untagged = {"names": ["<none>@<none>", "<none>:<none>"], "size": 2}
    many = {"names": [f"registry.example/lab:{n}" for n in range(9)], "size": 1}
    for image in (nameless, untagged, many):
        cluster.control("PUT", "/nodes/node-1/images", image)
    first, second, third = images_of(cluster)
    assert "names" not in first
    assert second["names"] == untagged["names"]
    assert third["names"] == [f"registry.example/lab:{n}" for n in range(5)]


def images_of(cluster: Cluster) -> list[JSON]:
    found: list[JSON] = cluster.get("/api/v1/nodes/node-1")["status"]["images"]
    return found


def restarts(pod: JSON) -> int:
    return int(pod["status"]["containerStatuses"][0]["restartCount"])
