"""Nodes of the cluster."""

from __future__ import annotations

from collections.abc import Mapping

from nublado.models.domain.kubernetes import JSON
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.resource import NODE
from nublado.timeout import Timeout

__all__ = ["NodeStorage"]


class NodeStorage:
    """Reads nodes.

    Parameters
    ----------
    objects
        Storage of single objects.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def list(self, selector: Mapping[str, str], timeout: Timeout) -> list[JSON]:
        """List the nodes that carry all labels of a selector.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.
        """
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        return list(self._objects.list(NODE, timeout, labels=labels or None))

    def read(self, name: str, timeout: Timeout) -> JSON | None:
        """Read a node; None if it does not exist.

        Raises
        ------
        KubernetesError
            Raised if it cannot be read.
        """
        return self._objects.read(NODE, None, name, timeout)
