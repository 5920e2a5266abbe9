"""Remove the pod for file systems, and its claims."""

from __future__ import annotations

from nublado.constants import CATEGORY_FSADMIN, LABEL_CATEGORY, POD_STOP_GRACE_SECONDS
from nublado.models.domain.failure import Failure
from nublado.models.domain.kubernetes import JSON, name_of, uid_of
from nublado.services.fsadmin.context import FsadminContext
from nublado.services.operation import Operation, OperationKind
from nublado.storage.kubernetes.resource import PERSISTENT_VOLUME_CLAIM
from nublado.timeout import Timeout

__all__ = ["Removal", "remove_pod"]


class Removal(Operation[None]):
    """Removes the pod and its claims, as far as they are there.

    Parameters
    ----------
    fsadmin
        What it was made with.
    username
        Who asks for it; empty if that is not known.
    """

    kind = OperationKind.DELETE
    title = "Removal of fsadmin pod"
    timed_as = "Removal of fsadmin pod"
    epitaph = "Removal of fsadmin pod failed"

    def __init__(self, fsadmin: FsadminContext, username: str) -> None:
        super().__init__(
            username, alerts=fsadmin.alerts, seconds=fsadmin.config.timeout
        )
        self._fsadmin = fsadmin

    def perform(self) -> None:
        """Remove the pod, then its claims."""
        fsadmin = self._fsadmin
        pod = fsadmin.read(self.timeout)
        if pod is not None:
            remove_pod(fsadmin, pod, self.timeout)
        for claim in list(
            fsadmin.cluster.list(
                PERSISTENT_VOLUME_CLAIM,
                self.timeout,
                namespace=fsadmin.namespace,
                labels=f"{LABEL_CATEGORY}={CATEGORY_FSADMIN}",
            )
        ):
            ref = PERSISTENT_VOLUME_CLAIM.at(fsadmin.namespace, name_of(claim))
            fsadmin.cluster.remove(ref, self.timeout, uid=uid_of(claim))

    def succeed(self, result: None) -> None:
        """Tell that it is gone."""
        del result
        self.events.complete("Pod is gone", 100)
        self._log.info("Privileged pod with all file systems is gone")

    def fail(self, failure: Failure) -> None:
        """Leave what is left to the next removal."""


def remove_pod(fsadmin: FsadminContext, pod: JSON, timeout: Timeout) -> None:
    """Delete this very pod and wait until it is gone.

    Raises
    ------
    KubernetesError
        Raised if it cannot be deleted.
    OperationCancelledError, OperationTimeoutError
        Raised if the operation was cancelled or its time is up.
    """
    fsadmin.cluster.remove(
        fsadmin.ref, timeout, uid=uid_of(pod), grace_seconds=POD_STOP_GRACE_SECONDS
    )
