"""Garbage collection: what an object owns goes with it.

References
----------
https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.base import Controller, Key
from nublado.sandbox.kubernetes.store import ApiError, Store

__all__ = ["GarbageCollector"]

_FOREGROUND = "foregroundDeletion"

Place = tuple[str, str | None, str]


class GarbageCollector(Controller):
    """Deletes what belonged to objects that are gone or going.

    The keys of its queue are the uids of owners.

    Parameters
    ----------
    store
        Objects of the cluster.
    """

    kinds: ClassVar = (None,)

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._owned: dict[str, set[Place]] = {}
        self._going: dict[str, Place] = {}

    def changed(self, type_: str, obj: JSON) -> None:
        """Remember who owns what; look at owners that end."""
        metadata = obj["metadata"]
        place = (obj["kind"], metadata.get("namespace"), metadata["name"])
        for reference in metadata.get("ownerReferences") or ():
            owner = reference["uid"]
            if type_ == "DELETED":
                self._owned.get(owner, set()).discard(place)
                if owner in self._going:
                    self.look_at((None, owner))
            else:
                self._owned.setdefault(owner, set()).add(place)
        uid = metadata["uid"]
        if type_ == "DELETED":
            self._going.pop(uid, None)
            if self._owned.get(uid):
                self.look_at((None, uid))
        elif _FOREGROUND in (metadata.get("finalizers") or ()):
            self._going[uid] = place
            self.look_at((None, uid))

    def reconcile(self, key: Key) -> None:
        """Delete what an owner leaves, and let a waiting owner go after it."""
        uid = key[1]
        for place in tuple(self._owned.get(uid, ())):
            obj = self.store.find(*place)
            if obj is None:
                self._owned[uid].discard(place)
            elif "deletionTimestamp" not in obj["metadata"]:
                self._delete(place)
        if self._owned.get(uid):
            return
        self._owned.pop(uid, None)
        if uid in self._going:
            self.store.mutate(*self._going.pop(uid), _release)

    def _delete(self, place: Place) -> None:
        try:
            self.store.delete(*place, propagation="Background")
        except ApiError:
            return


def _release(obj: JSON) -> None:
    finalizers = obj["metadata"].get("finalizers") or []
    obj["metadata"]["finalizers"] = [f for f in finalizers if f != _FOREGROUND]
