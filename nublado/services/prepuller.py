"""Make nodes pull the images that labs will want, before anyone waits for them."""

from __future__ import annotations

import threading
import time

import structlog

from nublado.constants import (
    CATEGORY_PREPULLER,
    KUBERNETES_REQUEST_TIMEOUT,
    LABEL_CATEGORY,
)
from nublado.exceptions import (
    KubernetesConflictError,
    NubladoError,
    OperationCancelledError,
    PrepullError,
)
from nublado.models.domain.kubernetes import JSON, PodPhase, name_of, uid_of
from nublado.models.domain.rspimage import RSPImage
from nublado.services.alerts import Alerts
from nublado.services.builder.prepull import PrepullPodBuilder
from nublado.services.image import ImageService
from nublado.services.nodes import NodeService
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.pod import PodChanged, PodGone
from nublado.storage.kubernetes.resource import POD, ObjectRef
from nublado.timeout import Cancellation, Timeout

__all__ = ["Prepuller"]

_LEFTOVERS_SECONDS = 60.0
_ENDED = (PodPhase.SUCCEEDED, PodPhase.FAILED)


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
    cluster
        Where they run.
    namespace
        Namespace of the controller.
    timeout
        How long one image may take on one node (seconds).
    alerts
        Receives failures.
    """

    def __init__(
        self,
        *,
        images: ImageService,
        nodes: NodeService,
        builder: PrepullPodBuilder,
        cluster: Cluster,
        namespace: str,
        timeout: float,
        alerts: Alerts,
    ) -> None:
        self._images = images
        self._nodes = nodes
        self._builder = builder
        self._cluster = cluster
        self._namespace = namespace
        self._seconds = timeout
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
        labels = f"{LABEL_CATEGORY}={CATEGORY_PREPULLER}"
        for pod in self._cluster.list(
            POD, timeout, namespace=self._namespace, labels=labels
        ):
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
            self._remove_leftovers(leftovers)
            self._pull_missing(node)
        except OperationCancelledError:
            self._log.info("Stopped prepulling", node=node)
        except Exception as e:  # noqa: BLE001
            self._alerts.report(e, event="Prepulling failed", node=node)
        finally:
            with self._lock:
                self._busy.discard(node)

    def _remove_leftovers(self, leftovers: list[JSON]) -> None:
        timeout = Timeout("Prepull clean-up", _LEFTOVERS_SECONDS, self._cancellation)
        for pod in leftovers:
            self._remove_pod(pod, timeout)

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
            f"Prepull of {image.tag} on {node}", self._seconds, self._cancellation
        )
        try:
            self._run_pod(self._builder.build(image, node), timeout)
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

    # --- Pods ------------------------------------------------------------

    def _run_pod(self, pod: JSON, timeout: Timeout) -> None:
        """Create a pod, in place of one of its name, and wait until it ended.

        It is deleted afterwards, however that ends.

        Raises
        ------
        PrepullError
            Raised if the pod ended or vanished before the image was pulled.
        NubladoError
            Raised if it cannot be created or deleted, or takes too long.
        """
        ref = ObjectRef.of(pod)
        with self._cluster.follow(ref, timeout, events=False) as follower:
            created = self._create_pod(pod, timeout)
            try:
                for news in follower.follow(created):
                    match news:
                        case PodGone():
                            raise PrepullError(f"Pod {ref.name} was deleted")
                        case PodChanged(state) if _phase(state) in _ENDED:
                            _check_pulled(state)
                            return
            finally:
                # Though the time may be up, unless the process stops.
                if not self._cancellation.cancelled:
                    limit = Timeout(
                        "Prepull clean-up", _LEFTOVERS_SECONDS, self._cancellation
                    )
                    self._remove_pod(created, limit)

    def _create_pod(self, pod: JSON, timeout: Timeout) -> JSON:
        try:
            return self._cluster.create(pod, timeout)
        except KubernetesConflictError:
            self._cluster.remove(ObjectRef.of(pod), timeout, grace_seconds=0)
            return self._cluster.create(pod, timeout)

    def _remove_pod(self, pod: JSON, timeout: Timeout) -> None:
        ref = POD.at(self._namespace, name_of(pod))
        self._cluster.remove(ref, timeout, uid=uid_of(pod), grace_seconds=0)


def _phase(pod: JSON) -> str | None:
    return (pod.get("status") or {}).get("phase")


def _check_pulled(pod: JSON) -> None:
    """Check that a pod ended after its image was there.

    An image without ``/bin/true`` fails, but has been pulled.
    """
    status = pod["status"]
    if status["phase"] == PodPhase.SUCCEEDED:
        return
    containers = status.get("containerStatuses") or ()
    if not any(container.get("imageID") for container in containers):
        reason = status.get("message") or status.get("reason") or "no reason given"
        raise PrepullError(f"Pod {name_of(pod)} failed: {reason}")
