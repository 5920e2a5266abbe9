"""When an object that is deleted goes, and what holds it back.

An object with finalizers stays, marked with a ``deletionTimestamp``, until
the controllers that own these have removed them:

* ``foregroundDeletion``, put here for the propagation policy ``Foreground``,
  belongs to the garbage collector;
* ``kubernetes`` in the specification of a namespace belongs to the namespace
  controller.

With the policy ``Orphan`` the store itself lets go what the object owns, where
a real cluster has a finalizer and the garbage collector for it.

A pod on a node stays until its kubelet deletes it with a grace of 0 seconds.

References
----------
https://kubernetes.io/docs/concepts/architecture/garbage-collection/
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""

from __future__ import annotations

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.metadata import now
from nublado.sandbox.kubernetes.objects import Objects
from nublado.sandbox.kubernetes.resources import KINDS, Kind

__all__ = ["is_held", "mark_deleted", "propagation_for", "release_dependents"]

_POLICIES = ("Background", "Foreground", "Orphan")
_FOREGROUND = "foregroundDeletion"
_DEFAULT_GRACE = 30
"""Seconds that a pod has to stop when its specification does not say."""


def is_held(kind: Kind, obj: JSON) -> bool:
    """Whether an object that is being deleted has to stay for now."""
    if obj["metadata"].get("finalizers"):
        return True
    if kind.kind == "Namespace":
        return bool((obj.get("spec") or {}).get("finalizers"))
    if kind.kind == "Pod":
        return bool(obj["metadata"].get("deletionGracePeriodSeconds"))
    return False


def mark_deleted(
    kind: Kind, obj: JSON, grace_seconds: int | None, propagation: str | None
) -> None:
    """Mark an object as being deleted; may be called again.

    Parameters
    ----------
    kind
        Kind of the object.
    obj
        The object, modified in place.
    grace_seconds
        Seconds that a pod has to stop; None for what its specification says.
        A further deletion can shorten it, not lengthen it.
    propagation
        What the client asked for; a later deletion can change it.
    """
    metadata = obj["metadata"]
    is_marked = "deletionTimestamp" in metadata
    if kind.kind == "Namespace":
        if not is_marked:
            metadata["deletionTimestamp"] = now()
        obj.setdefault("status", {})["phase"] = "Terminating"
        return
    if propagation is not None:
        _mark_foreground(metadata, propagation)
    grace = _grace(obj, grace_seconds) if kind.kind == "Pod" else 0
    if not is_marked or grace < metadata.get("deletionGracePeriodSeconds", 0):
        metadata["deletionTimestamp"] = now(after=grace)
        metadata["deletionGracePeriodSeconds"] = grace
    if not is_marked and "generation" in metadata:
        metadata["generation"] += 1


def propagation_for(kind: Kind, asked: str | None) -> str:
    """Tell what becomes of the objects that one owns when it is deleted.

    Raises
    ------
    ApiError
        Raised if what was asked for is not a policy (422).
    """
    if asked is None:
        # Jobs are the one kind of this cluster whose pods survive by default,
        # as they did before there was a garbage collector.
        return "Orphan" if kind.kind == "Job" else "Background"
    if asked not in _POLICIES:
        text = (
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported'
            f' value: "{asked}": supported values: "Background", "Foreground", "Orphan"'
        )
        raise ApiError(422, "Invalid", text)
    return asked


def release_dependents(store: Objects, uid: str) -> None:
    """Take an owner out of the objects that it owns."""

    def disown(obj: JSON) -> None:
        metadata = obj["metadata"]
        owners = [o for o in metadata["ownerReferences"] if o["uid"] != uid]
        metadata["ownerReferences"] = owners
        if not owners:
            del metadata["ownerReferences"]

    for kind in KINDS:
        for obj in store.list(kind.kind):
            metadata = obj["metadata"]
            owners = metadata.get("ownerReferences") or ()
            if any(owner["uid"] == uid for owner in owners):
                namespace = metadata.get("namespace")
                store.mutate(kind.kind, namespace, metadata["name"], disown)


def _mark_foreground(metadata: JSON, propagation: str) -> None:
    finalizers = [f for f in metadata.get("finalizers", ()) if f != _FOREGROUND]
    if propagation == "Foreground":
        finalizers.append(_FOREGROUND)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _grace(pod: JSON, asked: int | None) -> int:
    spec, status = pod.get("spec", {}), pod.get("status", {})
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    if asked is None:
        return int(spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE))
    return max(asked, 0)
