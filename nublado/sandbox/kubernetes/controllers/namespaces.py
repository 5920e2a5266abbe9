"""Life cycle of namespaces: their service account, and their end.

References
----------
https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.base import Controller, Key
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.resources import KINDS, Kind
from nublado.sandbox.kubernetes.store import ApiError, Store, now

__all__ = ["NamespaceController"]

_RECHECK_SECONDS = 5.0
_HELD_SECONDS = 0.5
"""How often a namespace that is held up looks whether that is over."""

_UNDISCOVERED = (
    "Discovery failed for some groups, 1 failing: unable to retrieve the complete list"
    " of server APIs: metrics.k8s.io/v1beta1: stale GroupVersion discovery:"
    " metrics.k8s.io/v1beta1"
)

Text = tuple[str, str]
"""Reason and message of a condition."""


class NamespaceController(Controller):
    """Gives namespaces their service account, and empties those that end.

    Parameters
    ----------
    store, settings
        The cluster.
    """

    kinds: ClassVar = (None,)

    def __init__(self, store: Store, settings: ClusterSettings) -> None:
        super().__init__(store)
        self._settings = settings
        self._terminating: set[str] = set()

    def changed(self, type_: str, obj: JSON) -> None:
        """Look at new and ending namespaces, and at what goes from those."""
        metadata = obj["metadata"]
        if obj["kind"] == "Namespace":
            self._namespace_changed(type_, metadata)
        elif type_ == "DELETED" and metadata.get("namespace") in self._terminating:
            self.look_at((None, metadata["namespace"]))

    def reconcile(self, key: Key) -> None:
        """Give a namespace its account, or bring it nearer to its end."""
        namespace = self.store.find("Namespace", *key)
        if namespace is None:
            return
        if "deletionTimestamp" in namespace["metadata"]:
            self._empty(key[1])
        else:
            self._furnish(key[1])

    def _namespace_changed(self, type_: str, metadata: JSON) -> None:
        name = metadata["name"]
        if type_ != "DELETED" and "deletionTimestamp" in metadata:
            if name not in self._terminating:
                self._terminating.add(name)
                self.look_at((None, name))
            return
        self._terminating.discard(name)
        if type_ == "ADDED":
            self.look_at((None, name), self._settings.service_account_delay)

    def _furnish(self, name: str) -> None:
        if self.store.find("ServiceAccount", name, "default") is None:
            self.store.create("ServiceAccount", {"metadata": {"name": "default"}}, name)
        if self.store.find("ConfigMap", name, "kube-root-ca.crt") is None:
            ca = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ""}}
            self.store.create("ConfigMap", ca, name)

    def _empty(self, name: str) -> None:
        left: Counter[Kind] = Counter()
        finalizers: Counter[str] = Counter()
        for kind in KINDS:
            if not kind.namespaced:
                continue
            for obj in self.store.list(kind.kind, name):
                self._delete(kind, name, obj)
                still = self.store.find(kind.kind, name, obj["metadata"]["name"])
                if still is not None:
                    left[kind] += 1
                    finalizers.update(still["metadata"].get("finalizers") or ())
        held = self._settings.is_held(name)
        if left or held:
            conditions = _conditions(left, finalizers, discovers=not held)
            self.store.mutate("Namespace", None, name, _with_conditions(conditions))
            self.look_at((None, name), _HELD_SECONDS if held else _RECHECK_SECONDS)
        elif self._settings.namespace_delay > 0 and name in self._terminating:
            self._terminating.discard(name)
            self.look_at((None, name), self._settings.namespace_delay)
        else:
            self.store.mutate("Namespace", None, name, _finalize)

    def _delete(self, kind: Kind, namespace: str, obj: JSON) -> None:
        if "deletionTimestamp" in obj["metadata"]:
            return
        try:
            self.store.delete(kind.kind, namespace, obj["metadata"]["name"])
        except ApiError:
            return


def _finalize(namespace: JSON) -> None:
    finalizers = namespace["spec"].get("finalizers") or []
    namespace["spec"]["finalizers"] = [f for f in finalizers if f != "kubernetes"]


def _with_conditions(conditions: list[JSON]) -> Callable[[JSON], None]:
    def change(namespace: JSON) -> None:
        known = {c["type"]: c for c in namespace["status"].get("conditions") or ()}
        for condition in conditions:
            old = known.get(condition["type"])
            if old and old["status"] == condition["status"]:
                condition["lastTransitionTime"] = old["lastTransitionTime"]
        namespace["status"]["conditions"] = conditions

    return change


def _conditions(
    left: Counter[Kind], finalizers: Counter[str], *, discovers: bool
) -> list[JSON]:
    """Say what holds up the end of a namespace.

    Texts are those of the real controller:
    https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/namespace/deletion/status_condition_utils.go
    """
    remaining = ", ".join(
        sorted(
            f"{kind.plural}.{kind.group} has {count} resource instances"
            for kind, count in left.items()
        )
    )
    pending = ", ".join(
        sorted(
            f"{name} in {count} resource instances"
            for name, count in finalizers.items()
        )
    )
    return [
        _condition(
            "NamespaceDeletionDiscoveryFailure",
            None if discovers else ("DiscoveryFailed", _UNDISCOVERED),
            ("ResourcesDiscovered", "All resources successfully discovered"),
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            None,
            (
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ),
        _condition(
            "NamespaceContentRemaining",
            ("SomeResourcesRemain", f"Some resources are remaining: {remaining}")
            if left
            else None,
            ("ContentRemoved", "All content successfully removed"),
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            (
                "SomeFinalizersRemain",
                f"Some content in the namespace has finalizers remaining: {pending}",
            )
            if finalizers
            else None,
            (
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            ),
        ),
    ]


def _condition(type_: str, trouble: Text | None, fine: Text) -> JSON:
    reason, message = trouble or fine
    return {
        "type": type_,
        "status": "True" if trouble else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now(),
    }
