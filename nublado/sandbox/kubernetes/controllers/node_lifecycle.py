"""Nodes that do not answer, and what becomes of their pods.

A node whose kubelet is gone is tainted, and pods that do not tolerate that for
longer are deleted; but they stay, ``Terminating``, until their kubelet is back
or somebody deletes them by force.

References
----------
https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers import statuses
from nublado.sandbox.kubernetes.controllers.base import Controller, Key
from nublado.sandbox.kubernetes.controllers.kubelet import Kubelet
from nublado.sandbox.kubernetes.controllers.recorder import EventRecorder
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.store import Store, now

__all__ = ["NodeLifecycle"]

_UNREACHABLE = "node.kubernetes.io/unreachable"
_NODE_TAINTS = (_UNREACHABLE, "node.kubernetes.io/not-ready")
_CONTROLLER = "node-controller"
_EVICTOR = "taint-eviction-controller"

Taints = list[JSON]


class NodeLifecycle(Controller):
    """Deletes pods from nodes whose taints they do not tolerate.

    The keys of its queue are those of pods.

    Parameters
    ----------
    store, settings, recorder, kubelet
        The cluster.
    """

    kinds: ClassVar = ("Node", "Pod")

    def __init__(
        self,
        store: Store,
        settings: ClusterSettings,
        recorder: EventRecorder,
        kubelet: Kubelet,
    ) -> None:
        super().__init__(store)
        self._settings = settings
        self._recorder = recorder
        self._kubelet = kubelet
        self._taints: dict[str, Taints] = {}
        self._since: dict[str, float] = {}

    def silence(self, node: str) -> None:
        """Let a node answer no more.

        Raises
        ------
        ApiError
            Raised if there is no such node.
        """
        self.store.get("Node", None, node)
        self._kubelet.silence(node)
        lost = self.store.mutate("Node", None, node, _lose)
        self._tell(lost, "NodeNotReady", _CONTROLLER)
        for pod in self.store.list("Pod", fields=f"spec.nodeName={node}"):
            metadata = pod["metadata"]
            key = (metadata["namespace"], metadata["name"])
            unready = self.store.mutate("Pod", *key, statuses.unready)
            self._recorder.record(
                unready,
                "NodeNotReady",
                "Node is not ready",
                component=_CONTROLLER,
                type_="Warning",
            )

    def wake(self, node: str) -> None:
        """Let a node answer again; what was deleted meanwhile is removed.

        Raises
        ------
        ApiError
            Raised if there is no such node.
        """
        found = self.store.mutate("Node", None, node, _find)
        self._tell(found, "NodeReady", "kubelet")
        self._kubelet.wake(node)

    def changed(self, type_: str, obj: JSON) -> None:
        """Look at pods of nodes whose taints have changed, and at new ones."""
        if obj["kind"] == "Node":
            self._node_changed(type_, obj)
        elif type_ == "DELETED":
            self._since.pop(obj["metadata"]["uid"], None)
        elif obj["spec"].get("nodeName") in self._taints:
            super().changed(type_, obj)

    def reconcile(self, key: Key) -> None:
        """Delete a pod that has stayed for as long as it tolerates."""
        pod = self.store.find("Pod", *key)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        uid = pod["metadata"]["uid"]
        patience = self._patience(pod, self._taints.get(pod["spec"]["nodeName"], []))
        if patience is None:
            self._since.pop(uid, None)
            return
        moment = asyncio.get_running_loop().time()
        left = self._since.setdefault(uid, moment) + patience - moment
        if left > 0:
            self.look_at(key, left)
        else:
            self._evict(key, pod)

    def _node_changed(self, type_: str, node: JSON) -> None:
        name = node["metadata"]["name"]
        taints = [
            taint
            for taint in node["spec"].get("taints") or ()
            if taint["effect"] == "NoExecute" and type_ != "DELETED"
        ]
        if taints == self._taints.get(name, []):
            return
        if taints:
            self._taints[name] = taints
        else:
            del self._taints[name]
        for pod in self.store.list("Pod", fields=f"spec.nodeName={name}"):
            super().changed("MODIFIED", pod)

    def _patience(self, pod: JSON, taints: Taints) -> float | None:
        """Seconds for which a pod stays on a tainted node; None for ever."""
        spans = [self._tolerated(pod["spec"], taint) for taint in taints]
        return min((span for span in spans if span is not None), default=None)

    def _tolerated(self, spec: JSON, taint: JSON) -> float | None:
        tolerations = [
            toleration
            for toleration in spec.get("tolerations") or ()
            if _matches(toleration, taint)
        ]
        if not tolerations:
            return 0.0
        seconds = [t.get("tolerationSeconds") for t in tolerations]
        limited = [float(s) for s in seconds if s is not None]
        if not limited:
            return None
        shortened = self._settings.eviction_seconds
        if shortened >= 0 and taint["key"] in _NODE_TAINTS:
            return shortened
        return min(limited)

    def _evict(self, key: Key, pod: JSON) -> None:
        self._since.pop(pod["metadata"]["uid"], None)
        text = f"Marking for deletion Pod {key[0]}/{key[1]}"
        self._recorder.record(pod, "TaintManagerEviction", text, component=_EVICTOR)
        why = "Taint manager: deleting due to NoExecute taint"
        change = statuses.disrupted("DeletionByTaintManager", why)
        self.store.mutate("Pod", *key, change)
        self.store.delete("Pod", *key)

    def _tell(self, node: JSON, reason: str, component: str) -> None:
        text = f"Node {node['metadata']['name']} status is now: {reason}"
        self._recorder.record(node, reason, text, component=component)


def _matches(toleration: JSON, taint: JSON) -> bool:
    if toleration.get("effect") not in (None, "", "NoExecute"):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same_key = toleration.get("key") == taint["key"]
    return bool(same_key and toleration.get("value", "") == taint.get("value", ""))


def _lose(node: JSON) -> None:
    _set_ready(
        node, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."
    )
    others = [t for t in node["spec"].get("taints") or () if t["key"] != _UNREACHABLE]
    node["spec"]["taints"] = [
        *others,
        {"key": _UNREACHABLE, "effect": "NoSchedule", "timeAdded": now()},
        {"key": _UNREACHABLE, "effect": "NoExecute", "timeAdded": now()},
    ]


def _find(node: JSON) -> None:
    _set_ready(node, "True", "KubeletReady", "kubelet is posting ready status")
    taints = node["spec"].get("taints") or ()
    node["spec"]["taints"] = [t for t in taints if t["key"] not in _NODE_TAINTS]


def _set_ready(node: JSON, status: str, reason: str, message: str) -> None:
    for condition in node["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition.update(
                status=status,
                reason=reason,
                message=message,
                lastTransitionTime=now(),
            )
