"""The nodes on which labs may run, as they are now."""

from __future__ import annotations

from collections.abc import Iterator

from nublado.config.model import LabConfig
from nublado.constants import KUBERNETES_REQUEST_TIMEOUT
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.node import Node
from nublado.services.observed.lost_nodes import LostNode, lost_node
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import NODE
from nublado.timeout import Cancellation, Timeout

__all__ = ["NodeService"]


class NodeService:
    """Lists nodes and says whether labs may run there.

    Parameters
    ----------
    config
        Configuration of labs: which nodes they select, what they tolerate.
    cluster
        Where they are.
    """

    def __init__(self, *, config: LabConfig, cluster: Cluster) -> None:
        self._labels = ",".join(f"{k}={v}" for k, v in config.node_selector.items())
        self._tolerations = [t.to_kubernetes() for t in config.tolerations]
        self._cluster = cluster

    def list(self) -> list[Node]:
        """List the nodes that labs select.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.
        """
        timeout = Timeout("Listing nodes", KUBERNETES_REQUEST_TIMEOUT)
        return [
            Node.from_kubernetes(node, self._tolerations)
            for node in self._cluster.list(NODE, timeout, labels=self._labels)
        ]

    def lost(self, timeout: Timeout) -> Iterator[LostNode]:
        """Find the nodes that labs select and that do not answer.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.
        """
        nodes = self._cluster.list(NODE, timeout, labels=self._labels)
        yield from filter(None, map(lost_node, nodes))

    def obstacle(self, name: str, cancellation: Cancellation) -> str | None:
        """What keeps labs off a node; None if nothing does.

        Raises
        ------
        KubernetesError
            Raised if it cannot be read.
        """
        found = self._read(name, cancellation)
        if found is None:
            return "Node is gone"
        return Node.from_kubernetes(found, self._tolerations).comment

    def exists(self, name: str, cancellation: Cancellation) -> bool:
        """Whether there is a node of this name.

        Raises
        ------
        KubernetesError
            Raised if it cannot be read.
        """
        return self._read(name, cancellation) is not None

    def _read(self, name: str, cancellation: Cancellation) -> JSON | None:
        timeout = Timeout("Reading node", KUBERNETES_REQUEST_TIMEOUT, cancellation)
        return self._cluster.read(NODE.at(None, name), timeout)
