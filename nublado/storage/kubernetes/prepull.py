"""Pods that make nodes pull images."""

from __future__ import annotations

from collections.abc import Iterator

from nublado.constants import CATEGORY_PREPULLER, LABEL_CATEGORY
from nublado.exceptions import KubernetesConflictError, PrepullError
from nublado.models.domain.kubernetes import JSON, PodPhase, name_of, uid_of
from nublado.storage.kubernetes.deletion import Deleter
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.pod import PodChanged, PodGone, PodStorage
from nublado.storage.kubernetes.resource import POD
from nublado.timeout import Timeout

__all__ = ["PrepullStorage"]

_ENDED = (PodPhase.SUCCEEDED, PodPhase.FAILED)


class PrepullStorage:
    """Runs pods of the prepuller to their end.

    Parameters
    ----------
    namespace
        Namespace of the controller.
    objects
        Storage of the objects.
    pods
        Follows pods.
    deleter
        Deletes pods.
    """

    def __init__(
        self, namespace: str, objects: ObjectStore, pods: PodStorage, deleter: Deleter
    ) -> None:
        self._namespace = namespace
        self._objects = objects
        self._pods = pods
        self._deleter = deleter

    def leftovers(self, timeout: Timeout) -> Iterator[JSON]:
        """List all pods of a prepuller that exist.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.
        """
        return self._objects.list(
            POD,
            timeout,
            namespace=self._namespace,
            labels=f"{LABEL_CATEGORY}={CATEGORY_PREPULLER}",
        )

    def remove(self, pod: JSON, timeout: Timeout) -> None:
        """Delete a pod and wait until it is gone.

        Raises
        ------
        KubernetesError
            Raised if it cannot be deleted.
        OperationCancelledError, OperationTimeoutError
            Raised if the wait was cancelled or took too long.
        """
        self._delete(name_of(pod), timeout, uid_of(pod))

    def run(self, pod: JSON, timeout: Timeout) -> None:
        """Create a pod, in place of one of its name, and wait until it ended.

        It is deleted afterwards, however that ends.

        Raises
        ------
        PrepullError
            Raised if the pod ended or vanished before the image was pulled.
        KubernetesError
            Raised if it cannot be created or deleted.
        OperationCancelledError, OperationTimeoutError
            Raised if the wait was cancelled or took too long.
        """
        name = name_of(pod)
        with self._pods.following(
            self._namespace, name, timeout, events=False
        ) as follower:
            created = self._create(pod, timeout)
            try:
                for news in follower.follow(created):
                    match news:
                        case PodGone():
                            raise PrepullError(f"Pod {name} was deleted")
                        case PodChanged(state) if _phase(state) in _ENDED:
                            _check_pulled(state)
                            return
            finally:
                self._clean_up(created, timeout)

    def _create(self, pod: JSON, timeout: Timeout) -> JSON:
        try:
            return self._objects.create(pod, timeout)
        except KubernetesConflictError:
            self._delete(name_of(pod), timeout)
            return self._objects.create(pod, timeout)

    def _clean_up(self, pod: JSON, timeout: Timeout) -> None:
        """Delete a pod though the time may be up, unless the process stops."""
        if timeout.cancellation.cancelled:
            return
        patience = Timeout("Prepull clean-up", 60.0, timeout.cancellation)
        self.remove(pod, patience)

    def _delete(self, name: str, timeout: Timeout, uid: str | None = None) -> None:
        self._deleter.delete(
            POD, self._namespace, name, timeout, uid=uid, grace_seconds=0
        )


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
