"""Make nodes pull the images that labs will want, before anyone waits for them."""

from __future__ import annotations

import threading
import time

import structlog

from nublado.constants import KUBERNETES_REQUEST_TIMEOUT, PREPULL_POD_TIMEOUT
from nublado.exceptions import NubladoError, OperationCancelledError
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.rspimage import RSPImage
from nublado.services.alerts import Alerts
from nublado.services.builder.prepull import PrepullPodBuilder
from nublado.services.image import ImageService
from nublado.services.nodes import NodeService
from nublado.storage.kubernetes.prepull import PrepullStorage
from nublado.timeout import Cancellation, Timeout

__all__ = ["Prepuller"]

_LEFTOVERS_SECONDS = 60.0


class Prepuller:
    """Has one queue for each node, worked off by a thread while it is not empty.

    So a slow node delays no other, no node pulls two images at once, and
    there are no threads when there is nothing to pull.

    Parameters
    ----------
    images
        Knows which images are missing where.
    nodes
        Knows the nodes.
    builder
        Builds the pods.
    storage
        Runs them.
    alerts
        Is told of failures.
    """

    def __init__(
        self,
        images: ImageService,
        nodes: NodeService,
        builder: PrepullPodBuilder,
        storage: PrepullStorage,
        alerts: Alerts,
    ) -> None:
        self._images = images
        self._nodes = nodes
        self._builder = builder
        self._storage = storage
        self._alerts = alerts
        self._cancellation = Cancellation()
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._log = structlog.get_logger(__name__)

    @property
    def busy(self) -> frozenset[str]:
        """Names of the nodes that are pulling."""
        with self._lock:
            return frozenset(self._busy)

    def start_missing(self) -> None:
        """Begin to pull what nodes lack; nodes that are at it go on.

        Raises
        ------
        KubernetesError
            Raised if the pods of an earlier prepuller cannot be listed.
        """
        leftovers = self._leftovers_by_node()
        for node in sorted({*self._images.inventory.missing_by_node(), *leftovers}):
            self._start(node, leftovers.get(node, []))

    def stop(self) -> None:
        """Stop at the next step; pods that run are left to the next process."""
        self._cancellation.cancel()

    def _leftovers_by_node(self) -> dict[str, list[JSON]]:
        """Find pods that nobody waits for."""
        busy = self.busy
        timeout = Timeout("Prepull", KUBERNETES_REQUEST_TIMEOUT, self._cancellation)
        found: dict[str, list[JSON]] = {}
        for pod in self._storage.leftovers(timeout):
            node = pod["spec"].get("nodeName", "")
            if node not in busy:
                found.setdefault(node, []).append(pod)
        return found

    def _start(self, node: str, leftovers: list[JSON]) -> None:
        with self._lock:
            if node in self._busy:
                return
            self._busy.add(node)
        threading.Thread(
            target=self._run,
            args=(node, leftovers),
            name=f"prepull-{node}",
            daemon=True,
        ).start()

    # --- Work on one node, in its thread ---------------------------------

    def _run(self, node: str, leftovers: list[JSON]) -> None:
        try:
            self._remove(leftovers)
            self._pull_missing(node)
        except OperationCancelledError:
            self._log.info("Stopped prepulling", node=node)
        except Exception as e:  # noqa: BLE001
            self._alerts.report(e, event="Prepulling failed", node=node)
        finally:
            with self._lock:
                self._busy.discard(node)

    def _remove(self, leftovers: list[JSON]) -> None:
        timeout = Timeout("Prepull clean-up", _LEFTOVERS_SECONDS, self._cancellation)
        for pod in leftovers:
            self._storage.remove(pod, timeout)

    def _pull_missing(self, node: str) -> None:
        """Pull one image after the other, and what becomes missing meanwhile."""
        tried: set[str | None] = set()
        while image := self._next(node, tried):
            tried.add(image.digest)
            obstacle = self._nodes.obstacle(node, self._cancellation)
            if obstacle is not None:
                self._log.info("Not prepulling", node=node, reason=obstacle)
                return
            self._pull(image, node)

    def _next(self, node: str, tried: set[str | None]) -> RSPImage | None:
        missing = self._images.inventory.missing_on(node)
        return next((image for image in missing if image.digest not in tried), None)

    def _pull(self, image: RSPImage, node: str) -> None:
        log = self._log.bind(image=image.reference, node=node)
        began = time.monotonic()
        timeout = Timeout(
            f"Prepull of {image.tag} on {node}", PREPULL_POD_TIMEOUT, self._cancellation
        )
        try:
            self._storage.run(self._builder.build(image, node), timeout)
        except OperationCancelledError:
            raise
        except NubladoError as e:
            if not self._nodes.exists(node, self._cancellation):
                log.info("Node went away while it pulled", error=str(e))
                return
            self._alerts.report(
                e, event="Prepulling failed", image=image.reference, node=node
            )
        else:
            self._images.mark_prepulled(image, node)
            log.info("Prepulled", seconds=round(time.monotonic() - began, 3))
