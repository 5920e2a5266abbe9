"""What ``kubectl get pods`` says of a pod.

References
----------
https://github.com/kubernetes/kubernetes/blob/master/pkg/printers/internalversion/printers.go
"""

from __future__ import annotations

from nublado.models.domain.kubernetes import JSON

__all__ = ["pod_ready", "pod_restarts", "pod_status"]


def pod_ready(pod: JSON) -> str:
    """How many containers are ready, of how many."""
    statuses = pod["status"].get("containerStatuses") or ()
    ready = sum(bool(status.get("ready")) for status in statuses)
    return f"{ready}/{len(pod['spec']['containers'])}"


def pod_restarts(pod: JSON) -> str:
    """How often containers have been started again."""
    statuses = pod["status"].get("containerStatuses") or ()
    return str(sum(status.get("restartCount", 0) for status in statuses))


def pod_status(pod: JSON) -> str:
    """One word on how the pod is."""
    status = pod["status"]
    if "deletionTimestamp" in pod["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    text = str(status.get("reason") or status.get("phase") or "Unknown")
    if text == "Pending" and _is_gated(status):
        return "SchedulingGated"
    if initializing := _init_status(pod):
        return initializing
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        state = container.get("state") or {}
        text = _word_for(state) or text
        running = running or (bool(container.get("ready")) and "running" in state)
    return "Running" if text == "Completed" and running else text


def _is_gated(status: JSON) -> bool:
    conditions = status.get("conditions") or ()
    return any(c.get("reason") == "SchedulingGated" for c in conditions)


def _init_status(pod: JSON) -> str | None:
    """Say which init container is at work or has failed; None if all are done."""
    for i, container in enumerate(pod["status"].get("initContainerStatuses") or ()):
        state = container.get("state") or {}
        if "terminated" in state and state["terminated"].get("exitCode") == 0:
            continue
        word = _word_for(state)
        if word and word != "PodInitializing":
            return f"Init:{word}"
        return f"Init:{i}/{len(pod['spec']['initContainers'])}"
    return None


def _word_for(state: JSON) -> str | None:
    if reason := (state.get("waiting") or {}).get("reason"):
        return str(reason)
    ended = state.get("terminated")
    if ended is None:
        return None
    if reason := ended.get("reason"):
        return str(reason)
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"
