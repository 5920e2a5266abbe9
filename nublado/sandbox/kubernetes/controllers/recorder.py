"""Kubernetes events: what controllers tell people about objects."""

from __future__ import annotations

import secrets
from collections import OrderedDict

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.store import ApiError, Store, now

__all__ = ["EventRecorder"]

_KEPT = 10_000
_NAMESPACE_OF_THE_REST = "default"
"""Where events about objects of the cluster itself are, such as nodes."""


class EventRecorder:
    """Records events; one that repeats itself is counted.

    Parameters
    ----------
    store
        Objects of the cluster.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorded: OrderedDict[tuple[str, ...], tuple[str, str]] = OrderedDict()

    def record(
        self,
        obj: JSON,
        reason: str,
        message: str,
        *,
        component: str = "kubelet",
        type_: str = "Normal",
        field_path: str | None = None,
    ) -> None:
        """Record an event about an object.

        Nothing happens if its namespace is going away.

        Parameters
        ----------
        obj
            The object.
        reason, message, type_
            What is told of it.
        component
            Who tells.
        field_path
            Part of the object that it is about, such as
            ``spec.containers{notebook}``.
        """
        metadata = obj["metadata"]
        key = (metadata["uid"], reason, message, field_path or "")
        try:
            if key in self._recorded:
                self._store.mutate("Event", *self._recorded[key], _count)
                return
            event = self._create(obj, reason, message, component, type_, field_path)
        except ApiError:
            self._recorded.pop(key, None)
            return
        created = event["metadata"]
        self._recorded[key] = (created["namespace"], created["name"])
        if len(self._recorded) > _KEPT:
            _, oldest = self._recorded.popitem(last=False)
            if self._store.find("Event", *oldest) is not None:
                self._store.delete("Event", *oldest)

    def _create(
        self,
        obj: JSON,
        reason: str,
        message: str,
        component: str,
        type_: str,
        field_path: str | None,
    ) -> JSON:
        metadata, moment = obj["metadata"], now()
        event = {
            "metadata": {"name": f"{metadata['name']}.{secrets.token_hex(8)}"},
            "involvedObject": {
                "kind": obj["kind"],
                "apiVersion": obj["apiVersion"],
                "namespace": metadata.get("namespace"),
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "fieldPath": field_path,
            },
            "reason": reason,
            "message": message,
            "type": type_,
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": "",
        }
        namespace = metadata.get("namespace") or _NAMESPACE_OF_THE_REST
        return self._store.create("Event", event, namespace)


def _count(event: JSON) -> None:
    event["count"] += 1
    event["lastTimestamp"] = now()
