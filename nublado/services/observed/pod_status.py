"""What the status of a pod says: for the state of a lab, and for people.

References
----------
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from nublado.models.domain.kubernetes import JSON, PodPhase, is_terminating
from nublado.models.domain.lab import LabStatus
from nublado.models.domain.pod import PodNotice

__all__ = ["describe_pod_end", "status_of_pod", "waiting_notices"]

_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons to wait that are part of every start."""

_MAX_MESSAGE = 500
"""How much is shown of what a container said when it ended, in characters."""


def _phase(pod: JSON) -> PodPhase:
    try:
        return PodPhase(pod.get("status", {}).get("phase", PodPhase.PENDING))
    except ValueError:
        return PodPhase.UNKNOWN


def status_of_pod(pod: JSON) -> LabStatus:
    """State of a lab that has this pod."""
    if is_terminating(pod):
        return LabStatus.TERMINATING
    match _phase(pod):
        case PodPhase.RUNNING:
            return LabStatus.RUNNING
        case PodPhase.SUCCEEDED | PodPhase.FAILED:
            return LabStatus.TERMINATED
        case _:
            return LabStatus.PENDING


def describe_pod_end(pod: JSON, subject: str = "Lab pod") -> str:
    """Say how a pod ended.

    Examples are ``Lab pod failed: container notebook exited with code 137
    (OOMKilled)`` and ``Lab pod failed: Evicted: The node was low on resource:
    memory``.

    Parameters
    ----------
    pod
        The pod.
    subject
        What it is called.
    """
    status = pod.get("status", {})
    reasons = [_join(status.get("reason"), status.get("message"))]
    for container in _container_statuses(pod):
        terminated = container.get("state", {}).get("terminated")
        if terminated:
            reasons.append(_describe_exit(container["name"], terminated))
    verb = "ended" if _phase(pod) is PodPhase.SUCCEEDED else "failed"
    return _join(f"{subject} {verb}", "; ".join(filter(None, reasons)))


def waiting_notices(pod: JSON) -> list[PodNotice]:
    """Reasons for which a pod cannot start; empty while all goes its usual way."""
    notices = [
        PodNotice("FailedScheduling", condition.get("message") or "")
        for condition in pod.get("status", {}).get("conditions") or ()
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    for container in _container_statuses(pod):
        waiting = container.get("state", {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason and reason not in _STARTING:
            message = waiting.get("message") or ""
            notices.append(PodNotice(reason, message, container["name"]))
    return notices


def _container_statuses(pod: JSON) -> list[JSON]:
    """Status of the init containers, then of the others.

    An init container that has done its work is left out.
    """
    status = pod.get("status", {})
    unfinished = [
        container
        for container in status.get("initContainerStatuses") or ()
        if container.get("state", {}).get("terminated", {}).get("exitCode") != 0
    ]
    return [*unfinished, *(status.get("containerStatuses") or ())]


def _describe_exit(name: str, terminated: JSON) -> str:
    reason = terminated.get("reason")
    text = f"container {name} exited with code {terminated.get('exitCode')}"
    text = f"{text} ({reason})" if reason else text
    return _join(text, (terminated.get("message") or "").strip()[-_MAX_MESSAGE:])


def _join(*parts: str | None) -> str:
    return ": ".join(part for part in parts if part)
