"""Ask outside systems now and then, so that trouble is seen before users see it."""

from __future__ import annotations

import threading

import structlog

from nublado.exceptions import KubernetesError, OperationTimeoutError
from nublado.services.nodes import NodeService
from nublado.services.observed.lost_nodes import LostNode
from nublado.storage.gafaelfawr import GafaelfawrClient
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import NAMESPACE
from nublado.timeout import Cancellation, Timeout

__all__ = ["Pulse"]

_INTERVAL_SECONDS = 15.0
_TIMEOUT_SECONDS = 10.0
_NODES_EVERY = 4


class Pulse:
    """Reads the controller's namespace, and less often the nodes.

    Nothing is asked that has just been asked by somebody else. Gafaelfawr is
    asked only while it does not answer, to learn that it does again.

    Parameters
    ----------
    cluster
        Kubernetes.
    namespace
        Namespace of the controller.
    nodes
        Lists nodes.
    gafaelfawr
        Login service.

    Attributes
    ----------
    lost_nodes
        Nodes that did not answer when they were listed last.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        namespace: str,
        nodes: NodeService,
        gafaelfawr: GafaelfawrClient,
    ) -> None:
        self._cluster = cluster
        self._own = NAMESPACE.at(None, namespace)
        self._nodes = nodes
        self._gafaelfawr = gafaelfawr
        self._cancellation = Cancellation()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._log = structlog.get_logger(__name__)
        self.lost_nodes: tuple[LostNode, ...] = ()

    def start(self) -> None:
        """Begin to ask, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._cancellation.cancel()

    def _run(self) -> None:
        turn = 0
        while not self._cancellation.wait(_INTERVAL_SECONDS):
            try:
                self._ask(with_nodes=turn % _NODES_EVERY == 0)
            except Exception:  # noqa: BLE001
                # Whatever is answered, the next turn has to come.
                self._log.exception("Cannot take the pulse")
            turn += 1

    def _ask(self, *, with_nodes: bool) -> None:
        if self._gafaelfawr.traffic.streaks():
            self._gafaelfawr.probe()
        try:
            if self._cluster.traffic.idle_seconds() >= _INTERVAL_SECONDS:
                self._cluster.read(self._own, self._timeout())
            if with_nodes:
                self.lost_nodes = tuple(self._nodes.lost(self._timeout()))
        except (KubernetesError, OperationTimeoutError) as e:
            self._log.info("Kubernetes does not respond to the pulse", error=str(e))

    def _timeout(self) -> Timeout:
        return Timeout("Taking the pulse", _TIMEOUT_SECONDS, self._cancellation)
