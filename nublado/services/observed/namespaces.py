"""What a namespace that is being deleted says: for the lab in it, and for people.

References
----------
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nublado.models.domain.kubernetes import JSON, created_at

__all__ = ["describe_hold", "goes_with"]

_ALWAYS_THERE = "kubernetes"
"""Finalizer of every namespace, which Kubernetes itself removes in the end."""


def goes_with(pod: JSON, namespace: JSON) -> bool:
    """Whether a pod goes because its namespace does.

    Names are used again: a namespace that went before the pod was created is an
    earlier one.
    """
    deleted = namespace["metadata"].get("deletionTimestamp")
    created = created_at(pod)
    if deleted is None or created is None:
        return False
    return datetime.fromisoformat(deleted) > created


def describe_hold(namespace: JSON) -> str:
    """Say what holds a namespace up that is being deleted.

    An example is ``NamespaceFinalizersRemaining: Some content in the namespace has
    finalizers remaining: example.com/held in 1 resource instances``.
    """
    return "; ".join(_holds(namespace)) or "Kubernetes gives no reason"


def _holds(namespace: JSON) -> Iterator[str]:
    for condition in (namespace.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True":
            yield f"{condition.get('type')}: {condition.get('message') or ''}"
    finalizers = [
        *(namespace["metadata"].get("finalizers") or ()),
        *((namespace.get("spec") or {}).get("finalizers") or ()),
    ]
    named = [finalizer for finalizer in finalizers if finalizer != _ALWAYS_THERE]
    if named:
        yield f"finalizers {', '.join(named)}"
