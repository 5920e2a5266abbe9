"""What the API server fills in when an object is created or updated.

Only what clients can tell. Quantities are rewritten in their canonical form,
as they are when a real server reads and writes them.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.quantities import canonical
from nublado.sandbox.kubernetes.resources import Kind

__all__ = ["containers_of", "fill_in_defaults", "initial_status"]

_POD_SPEC: JSON = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}

_cluster_ips = (f"10.96.{a}.{b}" for a in itertools.count() for b in range(1, 255))


def containers_of(pod_spec: JSON) -> Iterator[tuple[str, JSON]]:
    """All containers of a pod, each with its path in the specification."""
    for field in ("initContainers", "containers"):
        for i, container in enumerate(pod_spec.get(field) or ()):
            yield f"{field}[{i}]", container


def fill_in_defaults(kind: Kind, obj: JSON) -> None:
    """Fill in what a valid object leaves out."""
    fill_in = _DEFAULTS.get(kind.kind)
    if fill_in is not None:
        fill_in(obj)


def initial_status(kind: Kind, obj: JSON) -> JSON:
    """Status of a new object."""
    if kind.kind == "Pod":
        return {"phase": "Pending", "qosClass": _qos_class(obj["spec"])}
    status = _STATUS.get(kind.kind, {})
    return dict(status)


_STATUS: dict[str, JSON] = {
    "Namespace": {"phase": "Active"},
    "PersistentVolumeClaim": {"phase": "Pending"},
    "PersistentVolume": {"phase": "Pending"},
    "Service": {"loadBalancer": {}},
    "Ingress": {"loadBalancer": {}},
}


def _namespace(obj: JSON) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])


def _node(obj: JSON) -> None:
    obj.setdefault("spec", {})


def _secret(obj: JSON) -> None:
    obj.setdefault("type", "Opaque")
    for key, text in (obj.pop("stringData", None) or {}).items():
        encoded = base64.b64encode(text.encode()).decode()
        obj.setdefault("data", {})[key] = encoded


def _service(obj: JSON) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
    if spec["type"] == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = next(_cluster_ips)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _claim(obj: JSON) -> None:
    spec = obj["spec"]
    spec.setdefault("volumeMode", "Filesystem")
    _canonicalize(spec.get("resources", {}).get("requests"))


def _volume(obj: JSON) -> None:
    obj["spec"].setdefault("persistentVolumeReclaimPolicy", "Retain")
    obj["spec"].setdefault("volumeMode", "Filesystem")
    _canonicalize(obj["spec"].get("capacity"))


def _quota(obj: JSON) -> None:
    _canonicalize(obj.setdefault("spec", {}).get("hard"))


def _network_policy(obj: JSON) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    types = ["Ingress", "Egress"] if "egress" in spec else ["Ingress"]
    spec.setdefault("policyTypes", types)
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _storage_class(obj: JSON) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def _job(obj: JSON) -> None:
    spec, metadata = obj["spec"], obj["metadata"]
    for field, value in (("backoffLimit", 6), ("completionMode", "NonIndexed")):
        spec.setdefault(field, value)
    if "parallelism" not in spec and "completions" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")
    template = spec["template"]
    if "selector" not in spec:
        mine = {"batch.kubernetes.io/controller-uid": metadata["uid"]}
        spec["selector"] = {"matchLabels": dict(mine)}
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels |= mine | {
            "batch.kubernetes.io/job-name": metadata["name"],
            "controller-uid": metadata["uid"],
            "job-name": metadata["name"],
        }
    _pod_spec(template["spec"])


def _pod(obj: JSON) -> None:
    _pod_spec(obj["spec"])


def _pod_spec(spec: JSON) -> None:
    for field, value in _POD_SPEC.items():
        spec.setdefault(field, value)
    spec.setdefault("securityContext", {})
    for _, container in containers_of(spec):
        _container(container)
    for volume in spec.get("volumes") or ():
        _volume_source(volume)


def _container(container: JSON) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", _pull_policy(container["image"]))
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        field = variable.get("valueFrom", {}).get("fieldRef")
        if field is not None:
            field.setdefault("apiVersion", "v1")
    resources = container.setdefault("resources", {})
    _canonicalize(resources.get("limits"))
    _canonicalize(resources.get("requests"))
    if resources.get("limits"):
        resources["requests"] = resources["limits"] | resources.get("requests", {})


def _pull_policy(image: str) -> str:
    name = image.rsplit("/", 1)[-1]
    is_moving = "@" not in name and (":" not in name or name.endswith(":latest"))
    return "Always" if is_moving else "IfNotPresent"


def _volume_source(volume: JSON) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", 0o644)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")


def _qos_class(spec: JSON) -> str:
    burstable = False
    guaranteed = True
    for _, container in containers_of(spec):
        resources = container["resources"]
        limits, requests = resources.get("limits", {}), resources.get("requests", {})
        burstable = burstable or bool(limits or requests)
        for resource in ("cpu", "memory"):
            if resource not in limits or limits[resource] != requests.get(resource):
                guaranteed = False
    if not burstable:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _canonicalize(amounts: Any) -> None:
    for name in amounts or ():
        amounts[name] = canonical(amounts[name])


_DEFAULTS: dict[str, Callable[[JSON], None]] = {
    "Job": _job,
    "Namespace": _namespace,
    "NetworkPolicy": _network_policy,
    "Node": _node,
    "PersistentVolume": _volume,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "ResourceQuota": _quota,
    "Secret": _secret,
    "Service": _service,
    "StorageClass": _storage_class,
}
