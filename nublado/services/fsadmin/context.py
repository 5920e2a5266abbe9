"""What operations on the pod for file systems work with, and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nublado.config.model import FsadminConfig
from nublado.constants import CATEGORY_FSADMIN, LABEL_CATEGORY
from nublado.exceptions import ForeignObjectError
from nublado.models.domain.kubernetes import (
    JSON,
    PodPhase,
    created_at,
    is_terminating,
    label_of,
)
from nublado.services.alerts import Alerts
from nublado.services.builder.fsadmin import FsadminBuilder
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import POD, ObjectRef
from nublado.timeout import Timeout

__all__ = ["FsadminContext", "phase_of", "runs", "start_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FsadminContext:
    """Long-lived objects that the pod is made with.

    Parameters
    ----------
    config
        Configuration of the pod.
    builder
        Builds it.
    cluster
        Where it runs.
    namespace
        Namespace of the controller.
    alerts
        Is told of each creation, and of failures.
    """

    config: FsadminConfig
    builder: FsadminBuilder
    cluster: Cluster
    namespace: str
    alerts: Alerts

    @property
    def ref(self) -> ObjectRef:
        """The pod."""
        return POD.at(self.namespace, self.config.pod_name)

    def read(self, timeout: Timeout) -> JSON | None:
        """Read the pod; None if there is none.

        Raises
        ------
        ForeignObjectError
            Raised if somebody else has made a pod of that name.
        KubernetesError
            Raised if it cannot be read.
        """
        pod = self.cluster.read(self.ref, timeout)
        if pod is not None and label_of(pod, LABEL_CATEGORY) != CATEGORY_FSADMIN:
            raise ForeignObjectError(str(self.ref))
        return pod


def phase_of(pod: JSON) -> str:
    """Phase of a pod, ``Terminating`` for one that is being deleted."""
    if is_terminating(pod):
        return "Terminating"
    return str((pod.get("status") or {}).get("phase", PodPhase.PENDING))


def runs(pod: JSON) -> bool:
    """Whether a pod runs, and is to go on."""
    return phase_of(pod) == PodPhase.RUNNING


def start_of(pod: JSON) -> datetime | None:
    """When a pod was started; None where that is not known."""
    started = (pod.get("status") or {}).get("startTime")
    return datetime.fromisoformat(started) if started else created_at(pod)
