"""Ingresses: Gafaelfawr's operator makes them, and they get an address.

References
----------
https://gafaelfawr.lsst.io/user-guide/gafaelfawringress.html
"""

from __future__ import annotations

from copy import deepcopy
from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.base import Controller, Key
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.store import Store

__all__ = ["GafaelfawrOperator", "IngressController"]

_ADDRESS = "127.0.0.1"


class GafaelfawrOperator(Controller):
    """Makes an ingress of the same name from each GafaelfawrIngress.

    Parameters
    ----------
    store, settings
        The cluster.
    """

    kinds: ClassVar = ("GafaelfawrIngress",)

    def __init__(self, store: Store, settings: ClusterSettings) -> None:
        super().__init__(store)
        self._settings = settings

    def reconcile(self, key: Key) -> None:
        """Make the ingress that is missing."""
        namespace, name = key
        custom = self.store.find("GafaelfawrIngress", namespace, str(name))
        if custom is None or "deletionTimestamp" in custom["metadata"]:
            return
        if self.store.find("Ingress", namespace, str(name)):
            return
        if self._settings.makes_ingresses:
            self.store.create("Ingress", _ingress(custom), namespace)


class IngressController(Controller):
    """Gives each ingress an address after a while.

    Parameters
    ----------
    store, settings
        The cluster.
    """

    kinds: ClassVar = ("Ingress",)

    def __init__(self, store: Store, settings: ClusterSettings) -> None:
        super().__init__(store)
        self._settings = settings

    def changed(self, type_: str, obj: JSON) -> None:
        """Look at a new ingress when its address is due."""
        if type_ == "ADDED":
            metadata = obj["metadata"]
            key = (metadata["namespace"], metadata["name"])
            self.look_at(key, self._settings.address_delay)

    def reconcile(self, key: Key) -> None:
        """Write the address."""
        namespace, name = key
        if not self._settings.gives_addresses:
            return
        if self.store.find("Ingress", namespace, str(name)):
            self.store.mutate("Ingress", namespace, str(name), _give_address)


def _give_address(ingress: JSON) -> None:
    points = [{"ip": _ADDRESS}]
    ingress.setdefault("status", {})["loadBalancer"] = {"ingress": points}


def _ingress(custom: JSON) -> JSON:
    metadata, template = custom["metadata"], deepcopy(custom["template"])
    owner = {
        "apiVersion": custom["apiVersion"],
        "kind": custom["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    made: JSON = template["metadata"]
    return {
        "metadata": {
            "name": made["name"],
            "labels": made.get("labels", {}),
            "annotations": made.get("annotations", {}),
            "ownerReferences": [owner],
        },
        "spec": {"ingressClassName": "nginx", **template["spec"]},
    }
