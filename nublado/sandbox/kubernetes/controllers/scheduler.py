"""The scheduler: finds nodes for pods.

References
----------
https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.base import Controller, Key
from nublado.sandbox.kubernetes.controllers.recorder import EventRecorder
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.quantities import quantity
from nublado.sandbox.kubernetes.store import Store, now

__all__ = ["Scheduler"]

Amounts = Counter[str]

_UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


class Scheduler(Controller):
    """Binds pods to nodes on which they fit.

    Parameters
    ----------
    store, settings, recorder
        The cluster.
    """

    kinds: ClassVar = ("Pod", "Node", "PersistentVolumeClaim")

    def __init__(
        self, store: Store, settings: ClusterSettings, recorder: EventRecorder
    ) -> None:
        super().__init__(store)
        self._settings = settings
        self._recorder = recorder
        self._waiting: set[Key] = set()
        self._placed: dict[str, tuple[str, Amounts]] = {}
        self._used: dict[str, Amounts] = {}

    def changed(self, type_: str, obj: JSON) -> None:
        """Keep account of what is used; look at pods that have no node."""
        if obj["kind"] != "Pod":
            for key in self._waiting:
                self.look_at(key)
            return
        metadata, node = obj["metadata"], obj["spec"].get("nodeName")
        key = (metadata["namespace"], metadata["name"])
        ended = obj["status"].get("phase") in ("Succeeded", "Failed")
        if type_ == "DELETED" or ended:
            self._waiting.discard(key)
            self._release(metadata["uid"])
        elif node:
            self._waiting.discard(key)
            self._take(metadata["uid"], node, obj)
        elif type_ == "ADDED":
            self.look_at(key, self._settings.scheduling_delay)

    def reconcile(self, key: Key) -> None:
        """Bind a pod, or say why it has to wait."""
        pod = self.store.find("Pod", *key)
        if pod is None or pod["spec"].get("nodeName"):
            return
        reasons: Counter[str] = Counter()
        wanted = _requests(pod)
        candidates: list[tuple[Decimal, str]] = []
        nodes = self.store.list("Node")
        for node in nodes:
            name = node["metadata"]["name"]
            used = self._used.get(name, Amounts())
            why = self._unfit(pod, node, wanted, used)
            if why is None:
                candidates.append((Decimal(used["cpu"]), name))
            else:
                reasons[why] += 1
        if candidates and not self._has_unbound_claims(pod):
            self._bind(key, min(candidates)[1])
            return
        text = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
        if candidates:
            text = _UNBOUND
        message = f"0/{len(nodes)} nodes are available: {text or 'no nodes'}."
        self._wait(key, pod, message)

    def _bind(self, key: Key, node: str) -> None:
        self._waiting.discard(key)

        def bind(obj: JSON) -> None:
            obj["spec"]["nodeName"] = node
            _set_condition(obj, "PodScheduled", "True")

        bound = self.store.mutate("Pod", *key, bind)
        message = f"Successfully assigned {key[0]}/{key[1]} to {node}"
        self._recorder.record(
            bound, "Scheduled", message, component="default-scheduler"
        )

    def _wait(self, key: Key, pod: JSON, message: str) -> None:
        self._waiting.add(key)

        def mark(obj: JSON) -> None:
            _set_condition(obj, "PodScheduled", "False", "Unschedulable", message)

        marked = self.store.mutate("Pod", *key, mark)
        if marked is not pod:
            self._recorder.record(
                marked,
                "FailedScheduling",
                message,
                component="default-scheduler",
                type_="Warning",
            )

    def _unfit(
        self, pod: JSON, node: JSON, wanted: Amounts, used: Amounts
    ) -> str | None:
        """Say why a pod cannot run on a node; None if it can."""
        spec, labels = pod["spec"], node["metadata"].get("labels") or {}
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        for taint in node["spec"].get("taints") or ():
            if taint["effect"] != "PreferNoSchedule" and not _tolerated(spec, taint):
                value = taint.get("value", "")
                return f"node(s) had untolerated taint {{{taint['key']}: {value}}}"
        selector = spec.get("nodeSelector") or {}
        selected = all(labels.get(key) == value for key, value in selector.items())
        if not selected or not _affine(spec, labels):
            return "node(s) didn't match Pod's node affinity/selector"
        allocatable = node["status"]["allocatable"]
        for resource, amount in wanted.items():
            if used[resource] + amount > quantity(allocatable.get(resource, "0")):
                name = "Too many pods" if resource == "pods" else None
                return name or f"Insufficient {resource}"
        return None

    def _has_unbound_claims(self, pod: JSON) -> bool:
        for volume in pod["spec"].get("volumes") or ():
            claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if not claim_name:
                continue
            namespace = pod["metadata"]["namespace"]
            claim = self.store.find("PersistentVolumeClaim", namespace, claim_name)
            if claim is None or claim["status"].get("phase") != "Bound":
                return True
        return False

    def _take(self, uid: str, node: str, pod: JSON) -> None:
        if uid not in self._placed:
            wanted = _requests(pod)
            self._placed[uid] = (node, wanted)
            self._used.setdefault(node, Amounts()).update(wanted)

    def _release(self, uid: str) -> None:
        if uid in self._placed:
            node, amounts = self._placed.pop(uid)
            self._used[node].subtract(amounts)
            for key in self._waiting:
                self.look_at(key)


def _requests(pod: JSON) -> Amounts:
    amounts: Amounts = Amounts({"pods": 1})
    for container in pod["spec"]["containers"]:
        requests = container["resources"].get("requests") or {}
        for resource, text in requests.items():
            amounts[resource] += quantity(text)  # type: ignore[assignment]
    return amounts


def _tolerated(spec: JSON, taint: JSON) -> bool:
    for toleration in spec.get("tolerations") or ():
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        exists = toleration.get("operator") == "Exists"
        if exists and toleration.get("key") in (None, "", taint["key"]):
            return True
        same_value = toleration.get("value", "") == taint.get("value", "")
        if toleration.get("key") == taint["key"] and same_value and not exists:
            return True
    return False


def _affine(spec: JSON, labels: dict[str, str]) -> bool:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms") or []
    if not terms:
        return True
    return any(
        all(_matches(labels, rule) for rule in term.get("matchExpressions") or ())
        for term in terms
    )


def _matches(labels: dict[str, str], rule: JSON) -> bool:
    value, values = labels.get(rule["key"]), rule.get("values") or []
    match rule["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and int(value) > int(values[0])
        case _:
            return value is not None and int(value) < int(values[0])


def _set_condition(
    pod: JSON,
    type_: str,
    status: str,
    reason: str | None = None,
    message: str | None = None,
) -> None:
    condition = {"type": type_, "status": status, "lastTransitionTime": now()}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    known = pod["status"].get("conditions") or []
    for old in known:
        same = ("type", "status", "message")
        if all(old.get(k) == condition.get(k) for k in same):
            return
    others = [c for c in known if c["type"] != type_]
    pod["status"]["conditions"] = [*others, condition]
