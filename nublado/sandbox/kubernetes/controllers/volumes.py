"""Binds volume claims whose storage class exists."""

from __future__ import annotations

from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.base import Controller, Key

__all__ = ["VolumeBinder"]


class VolumeBinder(Controller):
    """Binds claims at once; claims of unknown storage classes stay pending."""

    kinds: ClassVar = ("PersistentVolumeClaim", "StorageClass")

    def changed(self, type_: str, obj: JSON) -> None:
        """Look at new claims, and at all of them once a class is new."""
        if obj["kind"] == "PersistentVolumeClaim":
            super().changed(type_, obj)
            return
        for claim in self.store.list("PersistentVolumeClaim"):
            super().changed(type_, claim)

    def reconcile(self, key: Key) -> None:
        """Bind a claim if that is possible."""
        claim = self.store.find("PersistentVolumeClaim", *key)
        if claim is None or claim["status"].get("phase") == "Bound":
            return
        class_name = claim["spec"].get("storageClassName")
        if class_name and self.store.find("StorageClass", None, class_name) is None:
            return

        def bind(obj: JSON) -> None:
            obj["spec"]["volumeName"] = f"pvc-{obj['metadata']['uid']}"
            obj["status"] = {
                "phase": "Bound",
                "accessModes": obj["spec"].get("accessModes") or [],
                "capacity": (obj["spec"].get("resources") or {}).get("requests") or {},
            }

        self.store.mutate("PersistentVolumeClaim", *key, bind)
