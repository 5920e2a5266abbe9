"""Keeps what is known of images current, remembered, and on the nodes."""

from __future__ import annotations

from nublado.exceptions import NubladoError
from nublado.services.alerts import Alerts
from nublado.services.image import ImageService
from nublado.services.image_memory import ImageMemory
from nublado.services.nodes import NodeService
from nublado.services.prepuller import Prepuller

__all__ = ["ImageUpkeep"]


class ImageUpkeep:
    """What is done to images again and again.

    Parameters
    ----------
    images
        Images.
    nodes
        Nodes, which have some of them.
    memory
        Keeps them over a restart.
    prepuller
        Pulls what nodes lack.
    alerts
        Is told if that cannot begin.
    """

    def __init__(
        self,
        *,
        images: ImageService,
        nodes: NodeService,
        memory: ImageMemory,
        prepuller: Prepuller,
        alerts: Alerts,
    ) -> None:
        self._images = images
        self._nodes = nodes
        self._memory = memory
        self._prepuller = prepuller
        self._alerts = alerts

    def recall(self) -> None:
        """Begin with what was known before, and with what nodes have.

        Raises
        ------
        KubernetesError
            Raised if nodes cannot be listed.
        """
        self._images.recall(self._memory.recall(), self._nodes.list())

    def refresh(self) -> None:
        """List images again, and which nodes have them; pull what is missing.

        Raises
        ------
        NubladoError
            Raised if the registry or Kubernetes does not list them. What was
            known is used then.
        """
        nodes = self._nodes.list()
        try:
            self._images.refresh(nodes)
        finally:
            if not self._images.inventory.is_provisional:
                self._memory.keep(self._images.remember())
                self._start_prepulling()

    def _start_prepulling(self) -> None:
        try:
            self._prepuller.start_missing()
        except NubladoError as e:
            self._alerts.report(e, event="Cannot start prepulling")
