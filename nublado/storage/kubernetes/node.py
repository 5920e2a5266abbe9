"""Nodes of the cluster."""

from __future__ import annotations

from collections.abc import Mapping

from nublado.constants import KUBERNETES_REQUEST_TIMEOUT
from nublado.models.domain.kubernetes import JSON
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.resource import NODE
from nublado.timeout import Timeout

__all__ = ["NodeStorage"]


class NodeStorage:
    """Lists nodes.

    Parameters
    ----------
    objects
        Storage of single objects.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def list(self, selector: Mapping[str, str]) -> list[JSON]:
        """List the nodes that carry all labels of a selector.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.
        """
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        timeout = Timeout("Listing nodes", KUBERNETES_REQUEST_TIMEOUT)
        return list(self._objects.list(NODE, timeout, labels=labels or None))
