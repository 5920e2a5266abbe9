"""The controllers of the embedded cluster: what makes objects come to life."""

from __future__ import annotations

from nublado.sandbox.kubernetes.controllers.garbage import GarbageCollector
from nublado.sandbox.kubernetes.controllers.ingresses import (
    GafaelfawrOperator,
    IngressController,
)
from nublado.sandbox.kubernetes.controllers.jobs import JobController
from nublado.sandbox.kubernetes.controllers.kubelet import Kubelet
from nublado.sandbox.kubernetes.controllers.namespaces import NamespaceController
from nublado.sandbox.kubernetes.controllers.node_lifecycle import NodeLifecycle
from nublado.sandbox.kubernetes.controllers.nodes import Nodes
from nublado.sandbox.kubernetes.controllers.recorder import EventRecorder
from nublado.sandbox.kubernetes.controllers.scheduler import Scheduler
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.controllers.volumes import VolumeBinder
from nublado.sandbox.kubernetes.releases import Release
from nublado.sandbox.kubernetes.store import Store

__all__ = ["ClusterSettings", "Controllers"]


class Controllers:
    """All controllers of a cluster.

    Parameters
    ----------
    store
        Objects of the cluster.
    settings
        How fast and how well it works.
    release
        Release of Kubernetes that it is.
    """

    def __init__(
        self, store: Store, settings: ClusterSettings, release: Release
    ) -> None:
        recorder = EventRecorder(store)
        self.nodes = Nodes(store, settings, release)
        self.kubelet = Kubelet(store, settings, recorder, self.nodes, release)
        self.node_lifecycle = NodeLifecycle(store, settings, recorder, self.kubelet)
        self._controllers = (
            NamespaceController(store, settings),
            GarbageCollector(store),
            VolumeBinder(store),
            Scheduler(store, settings, recorder),
            JobController(store, settings, recorder),
            self.node_lifecycle,
            GafaelfawrOperator(store, settings),
            IngressController(store, settings),
        )

    async def start(self) -> None:
        """Make the nodes and begin to work."""
        self.nodes.create()
        for controller in self._controllers:
            controller.start()
        self.kubelet.start()

    async def stop(self) -> None:
        """End all work."""
        await self.kubelet.stop()
        for controller in self._controllers:
            await controller.stop()
