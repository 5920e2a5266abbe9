"""Why the pod of a lab that had started has ended, or its container was restarted.

References
----------
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nublado.models.domain.kubernetes import JSON, is_terminating
from nublado.services.builder.lab_containers import NOTEBOOK
from nublado.services.observed.pod_status import describe_pod_end

__all__ = ["EndReason", "PodEnd", "ended_at", "last_restart", "why_pod_ends"]

_NODE_LOST = frozenset({"NodeLost", "NodeShutdown", "Terminated", "NodeAffinity"})
_DISRUPTIONS = {
    "DeletionByTaintManager": "its node was tainted or does not answer",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "its node was short of resources or shut down",
    "EvictionByEvictionAPI": "somebody drained its node or evicted it",
    "PreemptionByScheduler": "a pod of higher priority took its place",
}


class EndReason(StrEnum):
    """Why a lab ended, of few kinds."""

    OUT_OF_MEMORY = "out-of-memory"
    EVICTED = "evicted"
    NODE_LOST = "node-lost"
    FAILED = "program-failed"
    EXITED = "program-exited"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class PodEnd:
    """Why, for counting and in words."""

    reason: EndReason
    text: str


def why_pod_ends(pod: JSON | None, *, gone: bool) -> PodEnd:
    """Tell why a pod that ran does so no more.

    Parameters
    ----------
    pod
        The pod as it was seen last; None if nobody saw it.
    gone
        Whether it is gone.
    """
    if pod is None:
        return PodEnd(EndReason.DELETED, "its pod is gone, nobody saw how")
    if not is_terminating(pod) and _phase(pod) in ("Failed", "Succeeded"):
        return PodEnd(_reason(pod), describe_pod_end(pod))
    disruption = _disruption(pod)
    if disruption is not None:
        return disruption
    if _phase(pod) == "Failed":
        return PodEnd(_reason(pod), describe_pod_end(pod))
    is_going = "was" if gone else "is being"
    return PodEnd(
        EndReason.DELETED,
        f"its pod {is_going} deleted by somebody other than this service",
    )


def ended_at(pod: JSON) -> datetime | None:
    """When the lab's container has ended for good; None where the pod does not say."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        if container["name"] == NOTEBOOK:
            ended = (container.get("state") or {}).get("terminated") or {}
            moment = ended.get("finishedAt")
            return datetime.fromisoformat(moment) if moment else None
    return None


def last_restart(pod: JSON) -> tuple[int, PodEnd] | None:
    """How often the lab's container was restarted, and why it was the last time.

    Returns
    -------
    tuple or None
        None while the container has not been reported.
    """
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        if container["name"] != NOTEBOOK:
            continue
        ended = (container.get("lastState") or {}).get("terminated") or {}
        return int(container.get("restartCount") or 0), _end_of_container(ended)
    return None


def _end_of_container(ended: JSON) -> PodEnd:
    reason, code = ended.get("reason"), ended.get("exitCode")
    shown = f" ({reason})" if reason else ""
    text = f"container {NOTEBOOK} exited with code {code}{shown}, and was restarted"
    return PodEnd(_reason_of_exit(reason, code), text)


def _reason(pod: JSON) -> EndReason:
    status = pod.get("status") or {}
    if status.get("reason") == "Evicted":
        return EndReason.EVICTED
    if status.get("reason") in _NODE_LOST:
        return EndReason.NODE_LOST
    for container in status.get("containerStatuses") or ():
        if container["name"] == NOTEBOOK:
            ended = (container.get("state") or {}).get("terminated") or {}
            return _reason_of_exit(ended.get("reason"), ended.get("exitCode"))
    return EndReason.FAILED


def _reason_of_exit(reason: str | None, code: int | None) -> EndReason:
    if reason == "OOMKilled":
        return EndReason.OUT_OF_MEMORY
    return EndReason.EXITED if code == 0 else EndReason.FAILED


def _disruption(pod: JSON) -> PodEnd | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        is_it = condition.get("type") == "DisruptionTarget"
        if not is_it or condition.get("status") != "True":
            continue
        reason = condition.get("reason") or ""
        said = _DISRUPTIONS.get(reason, reason)
        message = condition.get("message")
        lost = reason in ("DeletionByTaintManager", "DeletionByPodGC")
        kind = EndReason.NODE_LOST if lost else EndReason.EVICTED
        return PodEnd(kind, f"{said}: {message}" if message else said)
    return None


def _phase(pod: JSON) -> str | None:
    return (pod.get("status") or {}).get("phase")
